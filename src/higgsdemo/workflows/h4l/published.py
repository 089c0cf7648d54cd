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
    Flavour,
    Indices,
    Leptons,
    blocks,
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
    for channel in channels:
        if channel == "2mu2e":
            possible = (chunk.counts["Muon"] >= 2) & (chunk.counts["Electron"] >= 2)
        else:
            possible = chunk.counts["Muon" if channel == "4mu" else "Electron"] >= 4
        if certified is not None:
            possible &= certified
        for block in blocks(possible):
            if channel == "2mu2e":
                yield channel, _two_and_two(chunk, block, steps[channel])
            else:
                flavour = MUON if channel == "4mu" else ELECTRON
                yield channel, _four_alike(chunk, flavour, block, steps[channel])


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


def _four_alike(chunk: Chunk, flavour: Flavour, entries: Indices, steps: Steps) -> Candidates:
    """Select 4mu or 4e among events that have at least four."""
    leptons = Leptons(chunk, flavour, entries)
    labels = _four_muons if flavour is MUON else _four_electrons
    passed = np.ones(entries.size, dtype=np.bool_)
    charge = leptons["charge"]
    pairs = (
        leptons.counts == 4,
        leptons.count(charge == 1) == 2,
        leptons.count(charge == -1) == 2,
    )
    cuts = (
        passed,
        leptons.every(_isolated(leptons)),
        leptons.every((leptons["pt"] > np.float32(flavour.pt_min)) & _central(leptons)),
        leptons.every(_prompt(leptons)),
        np.logical_and.reduce(pairs),
    )
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
    return _cut(quad, np.flatnonzero(apart), order, one, two, entries[events[apart]], steps)


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


def _two_and_two(chunk: Chunk, entries: Indices, steps: Steps) -> Candidates:
    """Select 2mu2e among events that have at least two of each."""
    both = muons, electrons = Leptons(chunk, MUON, entries), Leptons(chunk, ELECTRON, entries)
    passed = np.ones(entries.size, dtype=np.bool_)
    firsts = [leptons.bounds[:-1] + np.arange(2)[:, np.newaxis] for leptons in both]
    close = [
        _ghosts(leptons["eta"].take(rows), leptons["phi"].take(rows), 0, 1)
        for leptons, rows in zip(both, firsts, strict=True)
    ]
    cuts = (
        ("At least two electrons and two muons", passed),
        ("Eta cuts", electrons.every(_central(electrons)) & muons.every(_central(muons))),
        ("Pt cuts", _triggers(muons) | _triggers(electrons)),
        ("Dr cuts", ~close[0] & ~close[1]),
        (
            "Require good isolation",
            electrons.every(_isolated(electrons)) & muons.every(_isolated(muons)),
        ),
        (f"Electron {_TRACK[0].lower()}{_TRACK[1:]}", electrons.every(_prompt(electrons))),
        (f"Muon {_TRACK[0].lower()}{_TRACK[1:]}", muons.every(_prompt(muons))),
        (
            "Two opposite charged electron and muon pairs",
            (_total(electrons) == 0) & (_total(muons) == 0),
        ),
    )
    for label, cut in cuts:
        passed = passed & cut
        steps.add(label, passed)
    events = np.flatnonzero(passed)
    quad = Quad([(leptons, rows[:, events]) for leptons, rows in zip(both, firsts, strict=True)])
    order = np.repeat(np.arange(4)[:, np.newaxis], events.size, axis=1)
    return _cut(
        quad,
        np.arange(events.size),
        order,
        quad.pair_mass(0, 1),
        quad.pair_mass(2, 3),
        entries[events],
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
