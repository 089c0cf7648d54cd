"""The selection of the public RDataFrame tutorial df103, event by event, its slips included.

Source: ROOT 6.40, tutorials/analysis/dataframe/df103_NanoAODHiggsAnalysis (.C, .py); the step
labels are those of its `Report()`. For whoever wants to check this program against ROOT:

- every cut is on *all* leptons stored: one soft or non-isolated lepton more rejects the event;
- the best mass so far is kept in an int: pairs compete with a truncated mass;
- 2mu2e asks for *at least* 2 + 2 and takes the first two stored, of either sign;
- the Z mass is 91.2 GeV; 4mu and 4e have no 20/10 GeV cut; m4l is not cut on;
- an event can enter several channels.

Lepton columns are cut on in float32; four-vectors are float64; mZ1, mZ2 and m4l are float32
before they are cut on. dR is float32, as ROOT's `DeltaR` of floats, compared with 0.02 in float64.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from higgsdemo.columns import Chunk
from higgsdemo.workflows.h4l.candidates import Candidates, Quad, Steps, reorder
from higgsdemo.workflows.h4l.fourvectors import Floats
from higgsdemo.workflows.h4l.leptons import (
    ELECTRON,
    MUON,
    Bools,
    Indices,
    Leptons,
    blocks,
    span,
)

M_Z = 91.2  # GeV, as in df103
DR_GHOST = 0.02
_PAIRS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))  # in the order they are tried
# Rows of the leptons for each pair chosen as the first; the last is "none": see `truncated_best`.
_ROWS = np.array(
    [[*pair, *(i for i in range(4) if i not in pair)] for pair in _PAIRS] + [[0, 0, 1, 2]],
    dtype=np.intp,
).T
_NONE = len(_PAIRS)
_SWAP = np.array([[0, 1, 2, 3], [2, 3, 0, 1]], dtype=np.intp).T


def select(
    chunk: Chunk, channels: Sequence[str], certified: Bools | None, steps: Mapping[str, Steps]
) -> Iterator[tuple[str, Candidates]]:
    """Apply the selection to a chunk; called as the default selection."""
    enough = {channel: _enough(channel, chunk) for channel in channels}
    possible = np.logical_or.reduce(list(enough.values()))
    if certified is not None:
        possible &= certified
    for entries in blocks(possible):
        block = span(entries)
        judged = {
            flavour.collection: _Judged(Leptons(chunk, flavour, block))
            for flavour in (MUON, ELECTRON)
            if flavour.collection in chunk.counts
        }
        for channel in channels:
            first = enough[channel][block]
            if certified is not None:
                first = first & certified[block]
            if channel == "2mu2e":
                found = _two_and_two(judged["Muon"], judged["Electron"], first, steps[channel])
            else:
                kind = judged["Muon" if channel == "4mu" else "Electron"]
                found = _four_alike(kind, first, steps[channel])
            if isinstance(block, slice):
                entries_found = found.entries + block.start
            else:
                entries_found = block.take(found.entries)
            yield channel, dataclasses.replace(found, entries=entries_found)


def _enough(channel: str, chunk: Chunk) -> Bools:
    """Whether each event has the leptons that the channel's first step asks for."""
    if channel == "2mu2e":
        return (chunk.counts["Muon"] >= 2) & (chunk.counts["Electron"] >= 2)
    return chunk.counts["Muon" if channel == "4mu" else "Electron"] >= 4


class _Judged:
    """Leptons, and whether all of each event pass a cut: made once for every channel."""

    def __init__(self, leptons: Leptons) -> None:
        self.leptons = leptons

    @functools.cached_property
    def isolated(self) -> Bools:
        return self.leptons.every(_isolated(self.leptons))

    @functools.cached_property
    def central(self) -> Bools:
        return self.leptons.every(_central(self.leptons))

    @functools.cached_property
    def hard(self) -> Bools:
        return self.leptons.every(self.leptons["pt"] > np.float32(self.leptons.flavour.pt_min))

    @functools.cached_property
    def prompt(self) -> Bools:
        return self.leptons.every(_prompt(self.leptons))


def truncated_best(masses: Floats, opposite: Bools) -> Indices:
    """Return for each event the pair that df103 takes as its first Z.

    `masses` (GeV) and `opposite` (charges differ) have shape (pairs, events), pairs in the order
    tried. A pair wins if it is nearer to 91.2 GeV than the best so far *cut to an integer*,
    which starts at -1; the result is `pairs` where none ever wins (all above 183.4 GeV).
    """
    pairs, events = masses.shape
    best = np.full(events, -1.0)
    winner = np.full(events, pairs, dtype=np.intp)
    for pair in range(pairs):
        better = np.abs(M_Z - masses[pair]) < np.abs(M_Z - best)
        better &= opposite[pair]
        np.copyto(best, np.trunc(masses[pair]), where=better)
        winner[better] = pair
    return winner


def _four_alike(judged: _Judged, passed: Bools, steps: Steps) -> Candidates:
    """Select 4mu or 4e among the events that `passed` and have at least four."""
    leptons = judged.leptons
    labels = _four_muons if leptons.flavour is MUON else _four_electrons
    charge = leptons["charge"]
    four = np.flatnonzero(leptons.counts == 4)
    rows = leptons.bounds.take(four) + np.arange(4)[:, np.newaxis]
    signs = charge.take(rows)
    balanced = np.zeros(passed.size, dtype=np.bool_)
    balanced[four] = ((signs == 1).sum(axis=0) == 2) & ((signs == -1).sum(axis=0) == 2)
    cuts = (passed, judged.isolated, judged.hard & judged.central, judged.prompt, balanced)
    for label, cut in zip(labels[: len(cuts)], cuts, strict=True):
        passed = passed & cut
        steps.add(label, passed)
    events = np.flatnonzero(passed)
    first = leptons.bounds[:-1].take(events)
    quad = Quad([(leptons, first + np.arange(4)[:, np.newaxis])])
    charges = charge.take(first + np.arange(4)[:, np.newaxis])
    masses = np.stack([quad.pair_mass(*pair) for pair in _PAIRS])
    opposite = np.stack([charges[one] != charges[other] for one, other in _PAIRS])
    winner = truncated_best(masses, opposite)
    order = _ROWS.take(winner, axis=1)
    eta, phi = reorder(quad.eta, order), reorder(quad.phi, order)
    apart = (winner != _NONE) & ~_ghosts(eta, phi, 0, 1) & ~_ghosts(eta, phi, 2, 3)
    steps.add(labels[len(cuts)], apart)
    order, winner = order[:, apart], winner[apart]
    every = np.arange(winner.size)
    masses = masses[:, apart].astype(np.float32)
    # the pair left over is the one at the mirrored place in the list
    one, two = masses[winner, every], masses[_NONE - 1 - winner, every]
    return _cut(quad, np.flatnonzero(apart), order, one, two, events[apart], steps)


_WINDOWS = "Mass of first Z candidate in [40, 120]", "Mass of second Z candidate in [12, 120]"
_TRACK = "Track close to primary vertex with small uncertainty"
_four_muons = (
    "At least four muons",
    "Require good isolation",
    "Good muon kinematics",
    _TRACK,
    "Two positive and two negative muons",
    "Delta R separation of muons building Z system",
)
_four_electrons = (
    "At least our electrons",  # as printed
    "Require good isolation",
    "Good Electron kinematics",
    _TRACK,
    "Two positive and two negative electrons",
    "Delta R separation of Electrons building Z system",
)


def _two_and_two(mu: _Judged, e: _Judged, passed: Bools, steps: Steps) -> Candidates:
    """Select 2mu2e among the events that `passed` and have at least two of each."""
    muons, electrons = both = mu.leptons, e.leptons
    steps.add("At least two electrons and two muons", passed)
    passed = passed & e.central & mu.central
    steps.add("Eta cuts", passed)
    passed &= _triggers(muons) | _triggers(electrons)
    steps.add("Pt cuts", passed)
    events = np.flatnonzero(passed)  # only these are sure to have two of each
    for leptons in both:
        rows = leptons.bounds.take(events) + np.arange(2)[:, np.newaxis]
        close = _ghosts(leptons["eta"].take(rows), leptons["phi"].take(rows), 0, 1)
        passed[events[close]] = False
    steps.add("Dr cuts", passed)
    for label, cut in (
        ("Require good isolation", e.isolated & mu.isolated),
        (f"Electron {_TRACK[0].lower()}{_TRACK[1:]}", e.prompt),
        (f"Muon {_TRACK[0].lower()}{_TRACK[1:]}", mu.prompt),
        (
            "Two opposite charged electron and muon pairs",
            (_total(electrons) == 0) & (_total(muons) == 0),
        ),
    ):
        passed &= cut
        steps.add(label, passed)
    events = np.flatnonzero(passed)
    quad = Quad(
        [(leptons, leptons.bounds.take(events) + np.arange(2)[:, np.newaxis]) for leptons in both]
    )
    order = np.repeat(np.arange(4)[:, np.newaxis], events.size, axis=1)
    return _cut(
        quad,
        np.arange(events.size),
        order,
        quad.pair_mass(0, 1),
        quad.pair_mass(2, 3),
        events,
        steps,
    )


def _cut(
    quad: Quad,
    kept: Indices,
    order: Indices,
    one: NDArray[Any],
    two: NDArray[Any],
    entries: Indices,
    steps: Steps,
) -> Candidates:
    """Apply the Z mass windows; `one`, `two` are the masses of the pairs in `order`.

    `order`, `one`, `two` and `entries` are for the events `kept` of the quad. The pairs are
    compared in the precision they come in: float32 for 4mu and 4e, float64 for 2mu2e.
    """
    swap = ~(np.abs(one.astype(np.float64) - M_Z) < np.abs(two.astype(np.float64) - M_Z))
    one, two = one.astype(np.float32), two.astype(np.float32)
    m_z1, m_z2 = np.where(swap, two, one), np.where(swap, one, two)
    passed = (m_z1 > 40) & (m_z1 < 120)
    steps.add(_WINDOWS[0], passed)
    passed &= (m_z2 > 12) & (m_z2 < 120)
    steps.add(_WINDOWS[1], passed)
    order = reorder(order, _SWAP.take(swap.astype(np.intp), axis=1))[:, passed]
    kept = kept[passed]
    return Candidates(
        entries[passed],
        quad.mass().astype(np.float32)[kept],
        m_z1[passed],
        m_z2[passed],
        reorder(quad.leptons[:, kept], order),
        reorder(quad.electrons[:, kept], order),
    )


def _isolated(leptons: Leptons) -> Bools:
    isolated: Bools = np.abs(leptons.isolation) < np.float32(0.40)
    return isolated


def _central(leptons: Leptons) -> Bools:
    central: Bools = np.abs(leptons["eta"]) < np.float32(leptons.flavour.eta_max)
    return central


def _prompt(leptons: Leptons) -> Bools:
    dxy, dz = leptons["dxy"], leptons["dz"]
    dxy_error, dz_error = leptons["dxyErr"], leptons["dzErr"]
    ip = np.sqrt(dxy * dxy + dz * dz)
    sip = ip / np.sqrt(dxy_error * dxy_error + dz_error * dz_error)
    prompt: Bools = (sip < 4) & (np.abs(dxy) < 0.5) & (np.abs(dz) < 1)
    return prompt


def _triggers(leptons: Leptons) -> Bools:
    """Whether the two leptons of highest pt have more than 20 and 10 GeV."""
    pt = leptons["pt"]
    return (leptons.count(pt > 20) >= 1) & (leptons.count(pt > 10) >= 2)


def _total(leptons: Leptons) -> Indices:
    """Return the total charge of each event."""
    return leptons.count(leptons["charge"].astype(np.intp))


def _ghosts(eta: NDArray[np.float32], phi: NDArray[np.float32], one: int, other: int) -> Bools:
    """Whether two rows have dR < 0.02, in the precisions that ROOT's DeltaR of floats uses."""
    pi = np.float64(np.float32(np.pi))
    d_phi = np.fmod((phi[other] - phi[one]).astype(np.float64), 2 * pi)
    d_phi = np.where(d_phi < -pi, d_phi + 2 * pi, np.where(d_phi > pi, d_phi - 2 * pi, d_phi))
    narrow = d_phi.astype(np.float32)
    d_eta = eta[one] - eta[other]
    close: Bools = np.sqrt(d_eta * d_eta + narrow * narrow).astype(np.float64) < DR_GHOST
    return close
