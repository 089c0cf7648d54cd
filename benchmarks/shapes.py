"""The three shapes of input: generated, then rewritten by ROOT; kept in the cache."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools import ENVIRONMENT, HERE, Root, digest

TINY_EVENTS = 100


@dataclass(frozen=True)
class Shape:
    """A kind of sample: what `higgsdemo.simulation.write_shape` calls it, and how many events."""

    name: str
    events: int
    seed: int
    simulated: bool  # which of the two goals against RDataFrame holds
    tasks: int  # for two workers against one: enough to last a few seconds


SHAPES = (
    Shape("signal", 300_000, 101, simulated=True, tasks=8),
    Shape("zz", 1_000_000, 102, simulated=True, tasks=4),
    Shape("data", 3_000_000, 103, simulated=False, tasks=4),
)
QUICK = 10  # --quick divides the events by this


@dataclass(frozen=True)
class Files:
    """A shape on disk: the file of the measured pass and that of the first pass."""

    path: Path
    tiny: Path
    events: int
    rewritten: bool


def ensure(shape: Shape, cache: Path, root: Root | None, *, quick: bool = False) -> Files:
    """Return the files of a shape, making what the cache lacks."""
    events = shape.events // (QUICK if quick else 1)
    return Files(
        path=_ensure(shape, events, cache, root),
        tiny=ensure_tiny(shape, cache, root),
        events=events,
        rewritten=root is not None,
    )


def ensure_tiny(shape: Shape, cache: Path, root: Root | None) -> Path:
    """Return a file of `TINY_EVENTS` events of a shape."""
    return _ensure(shape, TINY_EVENTS, cache, root)


def _ensure(shape: Shape, events: int, cache: Path, root: Root | None) -> Path:
    from higgsdemo import simulation

    code = sorted(Path(simulation.__file__).parent.glob("*.py"))
    writer = f"root-{root.version}" if root else "uproot"
    key = digest(*(file.read_bytes() for file in code), f"seed {shape.seed}".encode())
    path = cache / f"{shape.name}-{events}-{writer}-{key}.root"
    if path.exists():
        return path
    print(f"generating {shape.name}, {events:,} events", file=sys.stderr)
    cache.mkdir(parents=True, exist_ok=True)
    raw = path.with_suffix(f".{os.getpid()}.raw.root")
    part = path.with_suffix(f".{os.getpid()}.part.root")
    try:
        simulation.write_shape(raw, shape.name, events, shape.seed)
        if root is None:
            raw.replace(path)
        else:
            rewrite = [root.python, str(HERE / "rewrite_with_root.py"), str(raw), str(part)]
            subprocess.run(rewrite, check=True, env=ENVIRONMENT)
            part.replace(path)
        for other in cache.glob(f"{shape.name}-{events}-{writer}-*.root"):
            if other != path:  # of an older generator
                other.unlink(missing_ok=True)
    finally:
        raw.unlink(missing_ok=True)
        part.unlink(missing_ok=True)
    return path


def warm(path: Path) -> None:
    """Read a file once, so that it lies in the page cache."""
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass
