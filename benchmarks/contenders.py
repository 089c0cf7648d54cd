"""Who is compared: a name, a command, and what the goals ask of us against it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tools
from shapes import Files, Shape
from tools import HERE, Broken, Missing, Root

from higgsdemo.worker import ENVIRONMENT

OURS = "worker"
FLOOR = "floor"


@dataclass(frozen=True)
class Contender:
    """A program that analyses a file. `command` is completed by the tiny file and the file.

    `checked`: it applies the published rules, so its counts must equal everyone's. `settings` are
    environment variables of its own.
    """

    key: str
    label: str
    command: tuple[str, ...]
    checked: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)

    def run(self, files: Files) -> dict[str, Any]:
        """One process: what it prints, see measuring.py."""
        command = [*self.command, files.tiny, files.path]
        return tools.said(command, self.label, self.settings)


def script(name: str, *options: str, python: str = sys.executable) -> tuple[str, ...]:
    return (python, str(HERE / name), *options)


def ours() -> list[Contender]:
    """Our worker and the peers that need nothing but the project."""
    return [
        Contender(
            OURS,
            "higgsdemo worker, published",
            script("worker_loop.py", "published", "auto"),
            settings=ENVIRONMENT,
        ),
        Contender(
            "worker-default",
            "higgsdemo worker, default",
            script("worker_loop.py", "default", "auto"),
            checked=False,
            settings=ENVIRONMENT,
        ),
        Contender(
            "worker-uproot",
            "same, published, by uproot",
            script("worker_loop.py", "published", "uproot"),
            settings=ENVIRONMENT,
        ),
        Contender("uproot", "(d) uproot + awkward", script("peers_uproot.py")),
        Contender(
            FLOOR, "(e) floor: zlib inflates", script("peers_floor.py", "zlib"), checked=False
        ),
    ]


def of_root(root: Root, cache: Path) -> list[Contender]:
    """The C++ peers, compiled if need be."""
    return [
        Contender(
            "rdataframe",
            "(a) RDataFrame, g++ -O2",
            (str(tools.build(HERE / "rdataframe.cpp", root, cache)),),
        ),
        Contender(
            "ttree",
            "(b) TTree loop, g++ -O2",
            (str(tools.build(HERE / "ttree_loop.cpp", root, cache)),),
        ),
    ]


def of_coffea() -> list[Contender]:
    """A coffea processor, at its default chunk and at one that suits these files."""
    python = tools.find_python("coffea", "HIGGSDEMO_COFFEA_PYTHON")
    return [
        Contender(
            "coffea",
            "(c) coffea, default chunks",
            script("peers_coffea.py", "default", python=python),
        ),
        Contender(
            "coffea-1m",
            "(c) coffea, 1M-event chunks",
            script("peers_coffea.py", "1000000", python=python),
        ),
    ]


def everyone(cache: Path) -> tuple[list[Contender], Root | None, list[str]]:
    """All contenders of this machine, its ROOT, and what is missing."""
    found, missing = ours(), []
    root = None
    try:
        root = tools.find_root()
        found += of_root(root, cache)
    except Missing as error:
        missing.append(f"(a) and (b) left out: {error}")
    try:
        found += of_coffea()
    except Missing as error:
        missing.append(f"(c) left out: {error}")
    return found, root, missing


def compare(shape: Shape, reports: dict[str, dict[str, Any]], checked: list[Contender]) -> None:
    """Raise Broken unless all contenders counted the same.

    Events and selected events per channel must be equal. A four-lepton mass is rounded to float32
    from sums in another order, so one in 100,000 (or two events) may fall into the next bin.
    """
    for part in ("tiny", "counts"):
        reference = reports[checked[0].key][part]
        for contender in checked[1:]:
            counts = reports[contender.key][part]
            for name in ("4mu", "4e", "2mu2e"):
                mine, other = reference["channels"][name], counts["channels"][name]
                moved = sum(abs(a - b) for a, b in zip(mine["m4l"], other["m4l"], strict=True)) / 2
                if (
                    counts["events"] != reference["events"]
                    or mine["selected"] != other["selected"]
                    or moved > max(2, 1e-5 * mine["selected"])
                ):
                    raise Broken(
                        f"{shape.name}, {name}: {checked[0].label} counts {mine['selected']} of "
                        f"{reference['events']} events, {contender.label} {other['selected']} of "
                        f"{counts['events']}; {moved:g} masses in another bin"
                    )
