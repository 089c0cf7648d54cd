"""Events as short lists of leptons, and as what the workflow reads: chunks and ROOT files."""

from __future__ import annotations

import dataclasses
from bisect import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from higgsdemo.columns import Chunk
from higgsdemo.model import CHANNELS, Output, Task, TaskFile
from higgsdemo.storage import open_source
from higgsdemo.workflows.h4l import SELECTIONS, H4l
from higgsdemo.workflows.h4l.candidates import Steps
from higgsdemo.workflows.h4l.leptons import ELECTRON, MUON, Flavour


@dataclass(frozen=True)
class Lepton:
    """A good lepton, unless told otherwise."""

    pt: float = 30.0
    eta: float = 0.0
    phi: float = 0.0
    charge: int = 1
    mass: float = 0.1057
    iso: float = 0.1
    dxy: float = 0.001
    dz: float = 0.002
    dxyErr: float = 0.01  # noqa: N815 - the branch's name
    dzErr: float = 0.01  # noqa: N815


@dataclass(frozen=True)
class Event:
    muons: tuple[Lepton, ...] = ()
    electrons: tuple[Lepton, ...] = ()
    run: int = 1
    section: int = 1


@dataclass(frozen=True)
class Selected:
    """What a selection made of a chunk: (entry, channel) -> (m4l, mZ1, mZ2), and the steps."""

    masses: dict[tuple[int, str], tuple[float, float, float]] = field(default_factory=dict)
    steps: dict[str, Steps] = field(default_factory=dict)
    leptons: dict[tuple[int, str], list[tuple[str, int]]] = field(default_factory=dict)


def fill(values: Iterable[Any], kind: type) -> np.ndarray:
    return np.array(list(values), dtype=kind)


def columns(events: Sequence[Event], flavour: Flavour) -> dict[str, np.ndarray]:
    of = "muons" if flavour is MUON else "electrons"
    leptons = [lepton for event in events for lepton in getattr(event, of)]
    return {
        name: fill(
            (getattr(lepton, "iso" if name == flavour.isolation else name) for lepton in leptons),
            np.int32 if name == "charge" else np.float32,
        )
        for name in flavour.attributes
    }


def chunk(events: Sequence[Event], start: int = 0) -> Chunk:
    values = {
        f"{flavour.collection}_{name}": column
        for flavour in (MUON, ELECTRON)
        for name, column in columns(events, flavour).items()
    }
    return Chunk(
        start,
        start + len(events),
        {
            "run": fill((event.run for event in events), np.int32),
            "luminosityBlock": fill((event.section for event in events), np.uint32),
        },
        {
            "Muon": fill((len(event.muons) for event in events), np.int64),
            "Electron": fill((len(event.electrons) for event in events), np.int64),
        },
        values,
    )


def select(
    events: Sequence[Event] | Chunk,
    selection: str = "default",
    channels: Sequence[str] = CHANNELS,
    certified: np.ndarray | None = None,
    into: Selected | None = None,
) -> Selected:
    """Run a selection over the events as one chunk."""
    read = events if isinstance(events, Chunk) else chunk(events)
    result = into or Selected(steps={channel: Steps() for channel in channels})
    with np.errstate(all="ignore"):
        for channel, found in SELECTIONS[selection](read, channels, certified, result.steps):
            for i, entry in enumerate(found.entries.tolist()):
                key = (read.start + entry, channel)
                assert key not in result.masses
                masses = (found.m_4l, found.m_z1, found.m_z2)
                result.masses[key] = tuple(float(mass[i]) for mass in masses)
                result.leptons[key] = [
                    ("e" if electron else "mu", int(lepton))
                    for electron, lepton in zip(
                        found.electrons[:, i], found.leptons[:, i], strict=True
                    )
                ]
    return result


def random_lepton(rng: np.random.Generator, flavour: Flavour) -> Lepton:
    """A lepton that is good more often than not, with the -999 of the real files."""
    fate = rng.random()
    return Lepton(
        pt=float(np.float32(3 + rng.exponential(25))),
        eta=float(np.float32(min(max(rng.normal(0, 1.1), -3), 3))),
        phi=float(np.float32(rng.uniform(-np.pi, np.pi))),
        charge=1 if rng.random() < 0.5 else -1,
        mass=float(np.float32(0.10566 if flavour is MUON else rng.normal(0, 0.02))),
        iso=-999.0 if fate < 0.02 else float(np.float32(rng.exponential(0.08))),
        dxy=-999.0 if fate > 0.98 else float(np.float32(rng.normal(0, 0.01))),
        dz=-999.0 if fate > 0.98 else float(np.float32(rng.normal(0, 0.01))),
        dxyErr=-999.0 if fate > 0.98 else float(np.float32(rng.uniform(0.005, 0.02))),
        dzErr=-999.0 if fate > 0.98 else float(np.float32(rng.uniform(0.005, 0.02))),
    )


def random_events(rng: np.random.Generator, size: int) -> list[Event]:
    """Events with up to six leptons of each kind, most of them with four or two and two."""
    events = []
    for _ in range(size):
        muons, electrons = [(4, 0), (0, 4), (2, 2), (4, 4), rng.integers(0, 7, 2)][
            bisect([0.3, 0.55, 0.75, 0.8], rng.random())
        ]
        events.append(
            Event(
                tuple(random_lepton(rng, MUON) for _ in range(muons)),
                tuple(random_lepton(rng, ELECTRON) for _ in range(electrons)),
            )
        )
    return events


def tied(rng: np.random.Generator, event: Event) -> Event:
    """The event with pt in whole tens, some leptons stored twice, and some in one direction."""

    def alter(leptons: tuple[Lepton, ...]) -> tuple[Lepton, ...]:
        altered = []
        for lepton in leptons:
            like = dataclasses.replace(lepton, pt=10.0 * max(1, round(lepton.pt / 10)))
            if rng.random() < 0.3:
                like = dataclasses.replace(like, eta=0.5, phi=float(rng.choice((0.0, 1.5))))
            altered += [like, like] if rng.random() < 0.2 else [like]
        return tuple(altered)

    return dataclasses.replace(event, muons=alter(event.muons), electrons=alter(event.electrons))


def write(
    path: Path, events: Sequence[Event], *, scalars: bool = True, leave_out: Sequence[str] = ()
) -> Path:
    """Write the events as a reduced-NanoAOD file; `event` counts from 0."""
    tree: dict[str, Any] = {}
    if scalars:
        tree = {
            "run": fill((event.run for event in events), np.int32),
            "luminosityBlock": fill((event.section for event in events), np.uint32),
            "event": np.arange(len(events), dtype=np.uint64),
        }
    tree = {name: column for name, column in tree.items() if name not in leave_out}
    for flavour in (MUON, ELECTRON):
        of = "muons" if flavour is MUON else "electrons"
        counts = fill((len(getattr(event, of)) for event in events), np.int64)
        tree[flavour.collection] = ak.zip(
            {
                name: ak.unflatten(column, counts)
                for name, column in columns(events, flavour).items()
                if f"{flavour.collection}_{name}" not in leave_out
            }
        )
    with uproot.recreate(path) as file:
        file.mktree(
            "Events",
            {
                name: column.dtype if isinstance(column, np.ndarray) else column.type
                for name, column in tree.items()
            },
        )
        if events:
            file["Events"].extend(tree)
    return path


def task(*paths: Path, **settings: Any) -> Task:
    files = tuple(TaskFile(path.name, str(path), path.stat().st_size) for path in paths)
    return Task(sample="test", files=files, **settings)


def process(*paths: Path, **settings: Any) -> Output:
    """Run the workflow as a worker does."""
    planned = task(*paths, **settings)
    sources = [open_source(file.url) for file in planned.files]
    try:
        return H4l().process(planned, sources)
    finally:
        for source in sources:
            source.close()
