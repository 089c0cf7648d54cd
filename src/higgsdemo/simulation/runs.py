"""Runs and luminosity sections of the pseudo-data.

Sections are taken from the certified list of 2012 (CERN Open Data record 1002,
Cert_190456-208686_8TeV_22Jan2013ReReco_Collisions12_JSON.txt), so that a mask made of it keeps
every event: per era the longest certified stretch of the sixteen longest runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from higgsdemo.simulation.leptons import Integers

# run, first and last certified section
_SECTIONS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "B": (
        (194050, 816, 1435),
        (194151, 240, 617),
        (194480, 959, 1402),
        (194704, 44, 545),
        (194711, 9, 619),
        (194712, 61, 418),
        (194912, 98, 444),
        (195378, 737, 1120),
        (195398, 1309, 1712),
        (195552, 1303, 1789),
        (195656, 1, 362),
        (195930, 179, 526),
        (195950, 833, 1587),
        (196438, 701, 1269),
        (196452, 114, 490),
        (196453, 147, 669),
    ),
    "C": (
        (198212, 1, 574),
        (198487, 997, 1434),
        (199021, 565, 1223),
        (199409, 604, 1014),
        (199436, 257, 675),
        (199834, 505, 942),
        (199877, 175, 605),
        (200042, 112, 536),
        (200473, 740, 1324),
        (201202, 1, 437),
        (201278, 1306, 1793),
        (201613, 228, 646),
        (202016, 179, 743),
        (202045, 75, 528),
        (202178, 967, 1444),
        (202973, 853, 1408),
    ),
}

# Recorded luminosity per stream and era, pb^-1: sums of the per-file values of the 2019 demo
# (lumi/*.json of lukasheinrich/higgs-demo), which used CERN Open Data record 1052.
STREAM_LUMINOSITY_PB: dict[tuple[str, str], float] = {
    ("DoubleMuParked", "B"): 4436.728455,
    ("DoubleMuParked", "C"): 7132.244375,
    ("DoubleElectron", "B"): 4436.337279,
    ("DoubleElectron", "C"): 7169.567607,
}
NOMINAL_FB = 11.58  # fb^-1 to which the values above belong


@dataclass(frozen=True)
class Places:
    """Run, luminosity section and event number of events, shape (n,) each."""

    run: Integers
    section: Integers
    event: Integers
    position: Integers  # of the section in the era, counted from 0


def sections_in(era: str) -> int:
    """Return how many luminosity sections an era has."""
    return sum(last - first + 1 for _, first, last in _SECTIONS[era])


def span(era: str, block: int, blocks: int) -> tuple[int, int]:
    """Return the positions [low, high) of the sections of block `block` of `blocks`."""
    sections = sections_in(era)
    return sections * block // blocks, sections * (block + 1) // blocks


def place(
    rng: np.random.Generator, era: str, block: int, blocks: int, count: int, family: int
) -> Places:
    """Put `count` events at random into the sections of block `block` of `blocks`.

    No two events of a pseudo-experiment share (run, section, event): blocks share no section,
    and inside a block each `family` (0, 1 or 2) has event numbers of its own.
    """
    table = np.array(_SECTIONS[era], dtype=np.int64)
    runs = np.repeat(table[:, 0], table[:, 2] - table[:, 1] + 1)
    sections = np.concatenate([np.arange(first, last + 1) for _, first, last in table])
    chosen = rng.integers(*span(era, block, blocks), count)
    number = sections[chosen] * 1_000_000 + 3 * np.arange(count) + family
    return Places(runs[chosen], sections[chosen], number, chosen)


def simulated_places(first: int, count: int) -> Places:
    """Return the places of simulated events: run 1, a thousand events a section."""
    number = np.arange(first, first + count)
    section = number // 1000
    return Places(np.ones(count, dtype=np.int64), section + 1, number + 1, section)
