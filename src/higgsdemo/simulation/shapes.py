"""Single files of a chosen shape and size, for benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from higgsdemo.errors import UsageError, nearest
from higgsdemo.simulation import backgrounds, processes
from higgsdemo.simulation.detector import Reconstructed, concatenate, reconstruct
from higgsdemo.simulation.files import EventsFile
from higgsdemo.simulation.folder import prepare
from higgsdemo.simulation.leptons import MUON, Leptons, together
from higgsdemo.simulation.randomness import BLOCK, sequence
from higgsdemo.simulation.rates import PROCESSES
from higgsdemo.simulation.runs import simulated_places

Shape = Literal["signal", "zz", "data"]

FOUR_LEPTON_SHARE = 0.06  # of the data shape; the rest is the dimuon bulk


def write_shape(path: Path, shape: Shape, events: int, seed: int = 125) -> Path:
    """Write one file of `events` events and return its path.

    "signal": H -> 4l with four leptons or more; "zz": ZZ with four leptons or more, final states
    in the ratio of their cross sections; "data": dimuons, 6 % of the events with four leptons.
    Same branches as the demo files; clusters of 100,000 events; run 1. Raises UsageError for an
    unknown shape, fewer than one event, and a file that is not demo data in the way.
    """
    if shape not in get_args(Shape):
        raise UsageError(f"no shape {shape!r}", nearest=nearest(shape, get_args(Shape)))
    if events < 1:
        raise UsageError(f"{events} events make no file", hint="ask for one or more")
    prepare(path.parent, [path.name])
    with EventsFile(path, title=f"benchmark shape {shape}") as file:
        for block, first in enumerate(range(0, events, BLOCK)):
            count = min(BLOCK, events - first)
            made = _SHAPES[shape](sequence(seed, f"shape {shape}", block), count)
            file.write(made.at(simulated_places(first, count)))
    return path


def _zz_mixture(rng: np.random.Generator, events: int) -> Leptons:
    channels = [process for process in PROCESSES if process.group == "zz"]
    total = sum(process.cross_section_pb for process in channels)
    shares = [process.cross_section_pb / total for process in channels]
    counts = rng.multinomial(events, shares)
    return together(
        [
            processes.zz(rng, int(count), process.channels[0])
            for process, count in zip(channels, counts, strict=True)
        ]
    )


def _four_leptons(
    rng: np.random.Generator, events: int, truth: Callable[[np.random.Generator, int], Leptons]
) -> Reconstructed:
    """Draw events until `events` of them have four leptons or more."""
    kept: list[Reconstructed] = []
    missing = events
    while missing > 0:
        made = reconstruct(rng, truth(rng, int(1.7 * missing) + 64))
        enough = made.count(np.ones(made.event.size, dtype=np.bool_)) >= 4
        made = made.select(enough & (np.cumsum(enough) <= missing))
        kept.append(made)
        missing -= made.events
    return _shuffled(rng, concatenate(kept))


def _data(rng: np.random.Generator, events: int) -> Reconstructed:
    rich = max(1, round(events * FOUR_LEPTON_SHARE))
    parts = [_four_leptons(rng, rich, _zz_mixture)]
    if events > rich:
        bulk = backgrounds.bulk(rng, events - rich, MUON)
        parts.append(reconstruct(rng, bulk, with_strays=False))
    return _shuffled(rng, concatenate(parts))


def _shuffled(rng: np.random.Generator, made: Reconstructed) -> Reconstructed:
    return made.reorder(rng.permutation(made.events))


_SHAPES: dict[str, Callable[[np.random.Generator, int], Reconstructed]] = {
    "signal": lambda rng, events: _four_leptons(rng, events, processes.higgs),
    "zz": lambda rng, events: _four_leptons(rng, events, _zz_mixture),
    "data": _data,
}
