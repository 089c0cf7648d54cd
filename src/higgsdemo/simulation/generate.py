"""Making the demo folder: eight files, block by block, the same for the same seed.

Every block of every file has its own random sequence (numpy's Philox, keyed by seed, file and
block), so the content does not depend on the order in which blocks or files are made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from higgsdemo.errors import UsageError
from higgsdemo.simulation import folder, processes, streams
from higgsdemo.simulation.detector import Reconstructed, reconstruct
from higgsdemo.simulation.files import EventsFile
from higgsdemo.simulation.leptons import Leptons
from higgsdemo.simulation.randomness import BLOCK, sequence
from higgsdemo.simulation.rates import PROCESSES, Process
from higgsdemo.simulation.runs import NOMINAL_FB, simulated_places

Progress = Callable[[str, int, int], None]
DEFAULT_SCALE = 0.1


@dataclass(frozen=True)
class Settings:
    """What to generate.

    `luminosity_fb` of the pseudo-data, fb^-1. `events_scale` thins out what costs time but
    carries no yield: at 1 the simulated files are as large as the real ones and the dilepton
    bulk of the pseudo-data is a hundredth of the real one. Four-lepton physics in the
    pseudo-data is always at full luminosity.
    """

    output: Path
    luminosity_fb: float = NOMINAL_FB
    events_scale: float = DEFAULT_SCALE
    seed: int = 2012  # picked after looking, as a typical draw: see docs/physics/generator.md


def generate(settings: Settings, progress: Progress | None = None) -> list[Path]:
    """Write the demo folder; return the paths written, ROOT files first.

    `progress` is called with file name, events done, events in all, after every block.
    Raises UsageError for values that make no sense, a folder that is not writable or holds
    foreign files of these names, and TransientError for a full disk; no partial file is left.
    """
    _check(settings)
    plans = [
        streams.plan_era(era, settings.luminosity_fb, settings.events_scale) for era in streams.ERAS
    ]
    jobs: list[tuple[str, int, Iterator[Reconstructed]]] = []
    generated = {}
    for process in PROCESSES:
        events = max(1, round(process.real_events * settings.events_scale))
        generated[process.name] = events
        jobs.append((process.name, events, _simulated(settings.seed, process, events)))
    for stream in streams.STREAMS:
        for plan in plans:
            expected = plan.bulk[stream] + round(sum(plan.expected().values()) / 2)
            blocks = streams.data_blocks(partial(sequence, settings.seed), plan, stream)
            jobs.append((f"Run2012{plan.era}_{stream}", expected, blocks))
    names = [f"{name}.root" for name, _, _ in jobs]
    folder.prepare(settings.output, [*names, folder.SAMPLES_FILE, folder.README_FILE])
    # the old numbers must not describe new files, should this be interrupted
    (settings.output / folder.SAMPLES_FILE).unlink(missing_ok=True)
    written = []
    for name, expected, blocks in jobs:
        path = settings.output / f"{name}.root"
        _write(path, name, expected, blocks, progress)
        written.append(path)
    return written + folder.write_texts(
        settings.output,
        generated,
        plans,
        seed=settings.seed,
        luminosity_fb=settings.luminosity_fb,
        events_scale=settings.events_scale,
    )


def _check(settings: Settings) -> None:
    for option, value in (
        ("luminosity", settings.luminosity_fb),
        ("events-scale", settings.events_scale),
    ):
        if not (math.isfinite(value) and value > 0):
            raise UsageError(
                f"--{option} {value:g} makes no sense", why="it must be a number above zero"
            )
    if settings.seed < 0:
        raise UsageError(f"--seed {settings.seed} makes no sense", why="it must not be negative")


def _write(
    path: Path,
    name: str,
    expected: int,
    blocks: Iterator[Reconstructed],
    progress: Progress | None,
) -> None:
    done = 0
    with EventsFile(path, title=name) as file:
        for block in blocks:
            file.write(block)
            done += block.events
            if progress is not None:
                progress(path.name, done, max(done, expected))
    if progress is not None:
        progress(path.name, done, done)


def _truth(rng: np.random.Generator, name: str, events: int) -> Leptons:
    if name == "SMHiggsToZZTo4L":
        return processes.higgs(rng, events)
    state = {"ZZTo4mu": "4mu", "ZZTo4e": "4e", "ZZTo2e2mu": "2mu2e"}[name]
    return processes.zz(rng, events, state)


def _simulated(seed: int, process: Process, events: int) -> Iterator[Reconstructed]:
    for block, first in enumerate(range(0, events, BLOCK)):
        count = min(BLOCK, events - first)
        rng = sequence(seed, process.name, block)
        made = reconstruct(rng, _truth(rng, process.name, count))
        yield made.at(simulated_places(first, count))
