"""Pseudo-data: what the two triggers record of one era, block by block.

The physics events (signal, ZZ, reducible background) are the same for both streams: drawn from
the era's own random sequence, so an event that fires both triggers appears in both files with
the same content and the same (run, section, event). Each stream adds its own dilepton bulk.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from higgsdemo.errors import UsageError
from higgsdemo.simulation import backgrounds, processes
from higgsdemo.simulation.detector import Reconstructed, concatenate, reconstruct
from higgsdemo.simulation.leptons import ELECTRON, MUON, Flags, together
from higgsdemo.simulation.randomness import BLOCK
from higgsdemo.simulation.rates import BULK_FRACTION, PROCESSES, REAL_DATA_EVENTS
from higgsdemo.simulation.runs import NOMINAL_FB, STREAM_LUMINOSITY_PB, place, sections_in, span

STREAMS = {"DoubleMuParked": MUON, "DoubleElectron": ELECTRON}
ERAS = ("B", "C")

# Triggers: two leptons above 17 and 8 GeV, and for muons the parked low-mass paths as well. The
# efficiencies follow the 2mu2e candidates that the real streams share: of 94 events of a port of
# the public tutorial 54 are in both, 33 in the muon stream only, 7 in the electron stream only.
_LEG_EFFICIENCY = {MUON: 0.98, ELECTRON: 0.88}
_SOFT_MUON_PT, _SOFT_MUON_EFFICIENCY = 4.0, 0.94  # GeV, per event with two such muons


@dataclass(frozen=True)
class EraPlan:
    """How an era is divided, by luminosity sections, into chunks and these into blocks.

    The physics events are drawn chunk by chunk and do not depend on how many blocks (clusters
    of the file) a chunk has, hence not on the size of the bulk. `bulk` is events per stream.
    """

    era: str
    luminosity_fb: float
    bulk: dict[str, int]
    chunks: int
    blocks_per_chunk: int

    @property
    def blocks(self) -> int:
        """Blocks of the whole era."""
        return self.chunks * self.blocks_per_chunk

    def luminosity_pb(self, stream: str) -> float:
        """Luminosity of a stream in this era, pb^-1."""
        return STREAM_LUMINOSITY_PB[stream, self.era] * self.luminosity_fb / NOMINAL_FB

    @property
    def delivered_pb(self) -> float:
        """Luminosity that the physics events are drawn for: the larger of the two streams."""
        return max(self.luminosity_pb(stream) for stream in STREAMS)

    def expected(self) -> dict[str, float]:
        """Return the expected physics events per process, before the triggers."""
        return _expected(self.delivered_pb)


def _expected(delivered_pb: float) -> dict[str, float]:
    numbers = {
        process.name: delivered_pb * process.effective_cross_section_pb for process in PROCESSES
    }
    numbers["reducible"] = delivered_pb / 1000 * backgrounds.REDUCIBLE_PER_FB
    return numbers


def plan_era(era: str, luminosity_fb: float, events_scale: float) -> EraPlan:
    """Divide an era into chunks and blocks of at most about `BLOCK` events."""
    share = luminosity_fb / NOMINAL_FB
    bulk = {}
    for stream, real in REAL_DATA_EVENTS.items():
        both = sum(STREAM_LUMINOSITY_PB[stream, each] for each in ERAS)
        part = STREAM_LUMINOSITY_PB[stream, era] / both * share
        bulk[stream] = round(real * part * BULK_FRACTION * events_scale)
    delivered_pb = max(STREAM_LUMINOSITY_PB[stream, era] * share for stream in STREAMS)
    chunks = math.ceil(sum(_expected(delivered_pb).values()) / BLOCK)
    blocks = math.ceil(max(bulk.values()) / chunks / BLOCK) or 1
    if chunks * blocks > sections_in(era):
        raise UsageError(
            f"too many events for the {sections_in(era)} luminosity sections of 2012{era}",
            hint="take a smaller --luminosity or --events-scale",
        )
    return EraPlan(era, luminosity_fb, bulk, chunks, blocks)


def physics_chunk(rng: np.random.Generator, plan: EraPlan, chunk: int) -> Reconstructed:
    """Draw and reconstruct the physics events of a chunk, Poisson around the expectation."""
    many = {
        name: int(rng.poisson(expected / plan.chunks)) for name, expected in plan.expected().items()
    }
    truth = together(
        [
            processes.higgs(rng, many["SMHiggsToZZTo4L"]),
            processes.zz(rng, many["ZZTo4mu"], "4mu"),
            processes.zz(rng, many["ZZTo4e"], "4e"),
            processes.zz(rng, many["ZZTo2e2mu"], "2mu2e"),
            backgrounds.reducible(rng, many["reducible"]),
        ]
    )
    made = reconstruct(rng, truth)
    return made.at(place(rng, plan.era, chunk, plan.chunks, made.events, family=0))


def recorded(rng: np.random.Generator, made: Reconstructed, plan: EraPlan) -> dict[str, Flags]:
    """Return which events each stream records: trigger, and the stream's share of luminosity."""
    draw = rng.random(made.events)
    return {
        stream: _fires(rng, made, flavour) & (draw < plan.luminosity_pb(stream) / plan.delivered_pb)
        for stream, flavour in STREAMS.items()
    }


def _fires(rng: np.random.Generator, made: Reconstructed, flavour: int) -> Flags:
    right = made.muon == (flavour == MUON)
    right &= rng.random(right.size) < _LEG_EFFICIENCY[flavour]
    pt = made.leptons["pt"]
    hard, soft = made.count(right & (pt > 17)), made.count(right & (pt > 8))
    fired = (hard >= 1) & (soft >= 2)
    if flavour == MUON:
        parked = rng.random(made.events) < _SOFT_MUON_EFFICIENCY
        fired |= (made.count(right & (pt > _SOFT_MUON_PT)) >= 2) & parked
    return np.asarray(fired)


def data_blocks(
    sequence: Callable[[str, int], np.random.Generator], plan: EraPlan, stream: str
) -> Iterator[Reconstructed]:
    """Make the blocks of a stream's file, each sorted by run, section and event number.

    `sequence(name, number)` gives the random sequence of a chunk or block of that name.
    """
    era = f"Run2012{plan.era}"
    for chunk in range(plan.chunks):
        rng = sequence(era, chunk)
        physics = physics_chunk(rng, plan, chunk)
        physics = physics.select(recorded(rng, physics, plan)[stream])
        first = chunk * plan.blocks_per_chunk
        for block in range(first, first + plan.blocks_per_chunk):
            bulk = _bulk_block(sequence(f"{era}_{stream}", block), plan, stream, block)
            low, high = span(plan.era, block, plan.blocks)
            yield sorted_by_place(concatenate([_between(physics, low, high), bulk]))


def _between(made: Reconstructed, low: int, high: int) -> Reconstructed:
    position = made.globals_["position"].astype(np.int64)
    return made.select((low <= position) & (position < high))


def _bulk_block(rng: np.random.Generator, plan: EraPlan, stream: str, block: int) -> Reconstructed:
    low, high = (plan.bulk[stream] * edge // plan.blocks for edge in (block, block + 1))
    truth = backgrounds.bulk(rng, high - low, STREAMS[stream])
    made = reconstruct(rng, truth, with_strays=False)
    family = 1 if STREAMS[stream] == MUON else 2
    return made.at(place(rng, plan.era, block, plan.blocks, made.events, family))


def sorted_by_place(made: Reconstructed) -> Reconstructed:
    """Return the events in the order of run, luminosity section, event number."""
    columns = made.globals_
    return made.reorder(np.lexsort((columns["event"], columns["luminosityBlock"], columns["run"])))
