"""The default selection: good leptons first, then the best pairs, each event in one channel.

========================  ==========================================  ==========================
rule                      value                                       source
========================  ==========================================  ==========================
muon kinematics           pt > 5 GeV, abs(eta) < 2.4                  AOD, df103
electron kinematics       pt > 7 GeV, abs(eta) < 2.5                  AOD (eta of supercluster)
isolation                 abs(relative isolation) < 0.40              AOD, df103
impact parameter          SIP < 4, abs(dxy) < 0.5, abs(dz) < 1 cm     AOD, df103
other leptons             ignored                                     AOD (df103: veto)
4mu, 4e                   the four of highest pt, total charge 0      AOD
2mu2e                     exactly 2 + 2 good, each pair opposite      ours: one channel an event
4mu and 4e                4mu wins                                    ours: one channel an event
Z1                        opposite-sign pair nearest 91.1876 GeV      AOD (df103: truncation)
Z2                        the other pair                              AOD, df103
ghosts                    dR > 0.02 in each pair                      df103
trigger plateau           Z1 leptons pt > 20 and 10 GeV               AOD
Z masses                  40 < mZ1 < 120, 12 < mZ2 < 120 GeV          AOD, df103
four-lepton mass          m4l > 70 GeV                                AOD
========================  ==========================================  ==========================

AOD is HiggsDemoAnalyzerGit.cc of the CMS Open Data example (record 5500); df103 is ROOT's
tutorial df103_NanoAODHiggsAnalysis. SIP = sqrt(dxy^2 + dz^2) / sqrt(dxyErr^2 + dzErr^2), as in
both. All cuts are strict; on lepton columns they are done in float32, as stored.

Ties: leptons of equal pt are ordered by lower eta, then phi; of two pairings equally near, the
one that holds the leading positive and the leading negative lepton in one pair; of two pairs
equally near, the second (AOD).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    span,
)

M_Z = 91.1876  # GeV, as in the AOD analysis; the world average of its time
ISOLATION = np.float32(0.40)
SIP = np.float32(4.0)
DXY, DZ = np.float32(0.5), np.float32(1.0)  # cm
DR_GHOST = 0.02

# Signs of four leptons as bits -> the positions of the two positive and the two negative ones.
_BY_CHARGE = np.zeros((4, 16), dtype=np.intp)
for _one, _two in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)):
    _rest = (i for i in range(4) if i not in (_one, _two))
    _BY_CHARGE[:, 1 << _one | 1 << _two] = [_one, _two, *_rest]
_TWO = np.array([signs.bit_count() == 2 for signs in range(16)])

# Rows (l+, l'+, l-, l'-) in the order of Z1, Z2: for either pairing, its first or second pair
# nearer to the Z.
_Z_ORDER = np.array([[0, 2, 1, 3], [1, 3, 0, 2], [0, 3, 1, 2], [1, 2, 0, 3]], dtype=np.intp).T


def select(
    chunk: Chunk, channels: Sequence[str], certified: Bools | None, steps: Mapping[str, Steps]
) -> Iterator[tuple[str, Candidates]]:
    """Apply the selection to a chunk: yield channels with candidates, some repeatedly.

    `certified` (shape (events,)) says which events may be used, None for all. The events left
    are counted in `steps`, one for each channel. Muons may be left out for 4e alone: see
    `needs_muons`.
    """
    counts = {name: chunk.counts[name] for name in ("Muon", "Electron") if name in chunk.counts}
    enough = {channel: _enough(channel, counts) for channel in channels}
    possible = np.logical_or.reduce(list(enough.values()))
    if certified is not None:
        possible &= certified
    whole = certified is None or bool(certified.all())
    for entries in blocks(possible):
        block = span(entries) if whole else entries
        good = {
            flavour.collection: _Good(Leptons(chunk, flavour, block))
            for flavour in (MUON, ELECTRON)
            if flavour.collection in counts
        }
        for channel in channels:
            if channel == "2mu2e":
                quad, events = _two_and_two(good["Muon"], good["Electron"], steps[channel])
            elif channel == "4mu":
                quad, events = _four_alike(good["Muon"], None, steps[channel])
            else:
                quad, events = _four_alike(good["Electron"], good.get("Muon"), steps[channel])
            here = events + block.start if isinstance(block, slice) else block.take(events)
            pairing = _pair(quad, only_first=channel == "2mu2e")
            yield channel, _cut(quad, pairing, here, steps[channel])


def needs_muons(chunk: Chunk) -> bool:
    """Whether 4e must know the muons, in a chunk read without them.

    It is 4mu that takes an event with four good leptons of each kind; without four muons there
    is none. Such events are so rare that reading muons for them alone is the exception.
    """
    if "nMuon" not in chunk.scalars:
        return True
    return bool(np.any((chunk.scalars["nMuon"] >= 4) & (chunk.counts["Electron"] >= 4)))


def _enough(channel: str, counts: dict[str, NDArray[np.int64]]) -> Bools:
    if channel == "2mu2e":
        return (counts["Muon"] >= 2) & (counts["Electron"] >= 2)
    return counts["Muon" if channel == "4mu" else "Electron"] >= 4


class _Good:
    """Good leptons per event: how many pass each cut and those before, and where they are."""

    def __init__(self, leptons: Leptons) -> None:
        self.leptons = leptons
        flavour = leptons.flavour
        good = leptons["pt"] > np.float32(flavour.pt_min)
        good &= np.abs(leptons["eta"]) < np.float32(flavour.eta_max)
        self.n_kinematics = leptons.count(good)
        good &= np.abs(leptons.isolation) < ISOLATION
        self.n_isolated = leptons.count(good)
        good &= _prompt(leptons)
        ranks = leptons.ranks(good)
        self.n = np.diff(ranks)
        self._first = ranks[:-1]
        self._positions = np.flatnonzero(good)

    @property
    def stages(self) -> tuple[Indices, Indices, Indices, Indices]:
        """Leptons per event: stored, in acceptance, isolated too, prompt too."""
        return self.leptons.counts, self.n_kinematics, self.n_isolated, self.n

    def leading(self, events: Indices, number: int) -> Indices:
        """Return positions of the `number` good leptons of highest pt, shape (number, n).

        Each event must have as many. They are in any order.
        """
        first = self._first.take(events)
        rows = self._positions.take(first + np.arange(number)[:, np.newaxis])
        more = np.flatnonzero(self.n.take(events) > number)
        if more.size:
            count = self.n.take(events[more])
            start = np.cumsum(count) - count
            within = np.arange(int(count.sum())) - np.repeat(start, count)
            pool = self._positions.take(np.repeat(first[more], count) + within)
            ranked = self._by_pt(pool, np.repeat(np.arange(more.size), count))
            rows[:, more] = ranked.take(start + np.arange(number)[:, np.newaxis])
        return rows

    def _by_pt(self, pool: Indices, event: Indices) -> Indices:
        """Sort leptons by event, then by falling pt; ties by eta, phi, mass, charge."""
        pt = self.leptons["pt"].take(pool)
        # The bits of positive floats sort as the floats do: one integer holds both keys.
        keys = (event << 32) - pt.view(np.int32)
        order = np.argsort(keys)
        same = np.diff(keys.take(order)) == 0
        if same.any():
            tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
            members = order.take(tied)
            leptons = pool.take(members)
            rest = [self.leptons[name].take(leptons) for name in ("charge", "mass", "phi", "eta")]
            order[tied] = members.take(np.lexsort((*rest, keys.take(members))))
        return pool.take(order)


def _prompt(leptons: Leptons) -> Bools:
    dxy, dz = leptons["dxy"], leptons["dz"]
    passed: Bools = np.abs(dxy) < DXY
    passed &= np.abs(dz) < DZ
    distance = dxy * dxy
    distance += dz * dz
    limit = leptons["dxyErr"] * leptons["dxyErr"]
    limit += leptons["dzErr"] * leptons["dzErr"]
    limit *= SIP * SIP
    passed &= distance < limit
    return passed


def _labels(flavour: Flavour, number: str) -> tuple[str, str, str, str]:
    kind = "muons" if flavour is MUON else "electrons"
    return (
        f"at least {number} {kind}",
        f"{number} with pt > {flavour.pt_min:g} GeV, abs(eta) < {flavour.eta_max:g}",
        f"{number} with relative isolation < 0.40 too",
        f"{number} with SIP < 4, abs(dxy) < 0.5 cm, abs(dz) < 1 cm too",
    )


def _four_alike(good: _Good, muons: _Good | None, steps: Steps) -> tuple[Quad, Indices]:
    """Return 4mu or 4e: rows (l+, l'+, l-, l'-), each sign in falling pt, and their events."""
    leptons = good.leptons
    for label, count in zip(_labels(leptons.flavour, "four"), good.stages, strict=True):
        steps.add(label, count >= 4)
    accepted = good.n >= 4
    if leptons.flavour is ELECTRON:
        if muons is not None:
            accepted &= muons.n < 4
        steps.add("fewer than four good muons", accepted)
    events = np.flatnonzero(accepted)
    rows = good.leading(events, 4)
    charge = leptons["charge"].take(rows)
    positive, negative = _bits(charge > 0), _bits(charge < 0)
    neutral = _TWO.take(positive) & _TWO.take(negative)
    steps.add("total charge 0", neutral)
    kept = np.flatnonzero(neutral)
    events, rows = events.take(kept), rows.take(kept, axis=1)
    rows = reorder(rows, _BY_CHARGE.take(positive.take(kept), axis=1))
    for one, other in ((0, 1), (2, 3)):
        swap = _after(leptons, rows[one], rows[other])
        rows[one], rows[other] = (
            np.where(swap, rows[other], rows[one]),
            np.where(swap, rows[one], rows[other]),
        )
    return Quad([(leptons, rows)]), events


def _bits(flags: Bools) -> NDArray[np.int8]:
    """Return flags of shape (4, n) as numbers from 0 to 15, shape (n,)."""
    bits: NDArray[np.int8] = flags[3].astype(np.int8)
    for row in (2, 1, 0):
        bits += bits
        bits += flags[row]
    return bits


def _after(leptons: Leptons, one: Indices, other: Indices) -> Bools:
    """Whether `one` comes after `other`: lower pt; if equal higher eta, phi, mass."""
    pt = leptons["pt"]
    pt_one, pt_other = pt.take(one), pt.take(other)
    after: Bools = pt_one < pt_other
    tied = np.flatnonzero(pt_one == pt_other)
    for name in ("eta", "phi", "mass"):
        if tied.size:
            column = leptons[name]
            key_one, key_other = column.take(one[tied]), column.take(other[tied])
            after[tied] = key_one > key_other
            tied = tied[key_one == key_other]
    return after


def _two_and_two(muons: _Good, electrons: _Good, steps: Steps) -> tuple[Quad, Indices]:
    """Return 2mu2e: rows (mu+, e+, mu-, e-), and their events."""
    labels = (
        "at least two muons and two electrons",
        "two of each with pt > 5 (mu), 7 (e) GeV, abs(eta) < 2.4 (mu), 2.5 (e)",
        "two of each with relative isolation < 0.40 too",
        "two of each with SIP < 4, abs(dxy) < 0.5 cm, abs(dz) < 1 cm too",
    )
    for label, mu, e in zip(labels, muons.stages, electrons.stages, strict=True):
        steps.add(label, (mu >= 2) & (e >= 2))
    accepted = (muons.n == 2) & (electrons.n == 2)
    steps.add("exactly two good muons and two good electrons", accepted)
    events = np.flatnonzero(accepted)
    pairs, opposite = [], np.ones(events.size, dtype=np.bool_)
    for good in (muons, electrons):
        rows = good.leading(events, 2)
        charge: NDArray[Any] = good.leptons["charge"].take(rows)
        opposite &= np.sign(charge[0]) * np.sign(charge[1]) < 0
        pairs.append(np.where(charge[0] > 0, rows, rows[::-1]))
    steps.add("opposite charges in each pair", opposite)
    mu_rows, e_rows = (rows[:, opposite] for rows in pairs)
    parts = [(muons.leptons, mu_rows[:1]), (electrons.leptons, e_rows[:1])]
    parts += [(muons.leptons, mu_rows[1:]), (electrons.leptons, e_rows[1:])]
    return Quad(parts), events[opposite]


@dataclass(frozen=True, slots=True)
class _Pairing:
    order: Indices  # the rows of the quad as Z1, Z2, shape (4, n)
    m_z1: Floats
    m_z2: Floats


def _pair(quad: Quad, *, only_first: bool) -> _Pairing:
    """Choose the pairing, and which of its pairs is Z1.

    With rows (l+, l'+, l-, l'-) the pairings are (l+ l-)(l'+ l'-) and (l+ l'-)(l'+ l-); of 2mu2e
    only the first exists.
    """
    one, two = quad.pair_mass(0, 2), quad.pair_mass(1, 3)
    d_one, d_two = np.abs(one - M_Z), np.abs(two - M_Z)
    code = np.zeros(one.size, dtype=np.intp)
    if not only_first:
        other_one, other_two = quad.pair_mass(0, 3), quad.pair_mass(1, 2)
        d_other_one, d_other_two = np.abs(other_one - M_Z), np.abs(other_two - M_Z)
        other = np.minimum(d_other_one, d_other_two) < np.minimum(d_one, d_two)
        one, two = np.where(other, other_one, one), np.where(other, other_two, two)
        d_one, d_two = np.where(other, d_other_one, d_one), np.where(other, d_other_two, d_two)
        code += other
        code += other
    second = d_one >= d_two
    code += second
    return _Pairing(
        order=_Z_ORDER.take(code, axis=1),
        m_z1=np.where(second, two, one),
        m_z2=np.where(second, one, two),
    )


def _cut(quad: Quad, pairing: _Pairing, entries: Indices, steps: Steps) -> Candidates:
    """Apply the cuts on the pairs.

    Masses are rounded to float32, the precision of the input, before they are cut on and
    filled: what is histogrammed is what the event dump shows.
    """
    m_z1, m_z2 = pairing.m_z1.astype(np.float32), pairing.m_z2.astype(np.float32)
    m_4l = quad.mass().astype(np.float32)
    pt, eta, phi = (reorder(rows, pairing.order) for rows in (quad.pt, quad.eta, quad.phi))
    passed = _apart(eta, phi, 0, 1) & _apart(eta, phi, 2, 3)
    steps.add("dR > 0.02 in each pair", passed)
    passed &= (np.maximum(pt[0], pt[1]) > 20) & (np.minimum(pt[0], pt[1]) > 10)
    steps.add("Z1 leptons with pt > 20, 10 GeV", passed)
    passed &= (m_z1 > 40) & (m_z1 < 120)
    steps.add("40 < mZ1 < 120 GeV", passed)
    passed &= (m_z2 > 12) & (m_z2 < 120)
    steps.add("12 < mZ2 < 120 GeV", passed)
    passed &= m_4l > 70
    steps.add("m4l > 70 GeV", passed)
    kept = np.flatnonzero(passed)
    order = pairing.order.take(kept, axis=1)
    return Candidates(
        entries.take(kept),
        m_4l.take(kept),
        m_z1.take(kept),
        m_z2.take(kept),
        reorder(quad.leptons.take(kept, axis=1), order),
        reorder(quad.electrons.take(kept, axis=1), order),
    )


def _apart(eta: NDArray[Any], phi: NDArray[Any], one: int, other: int) -> Bools:
    """Whether two leptons are further apart than a track reconstructed twice would be."""
    d_eta = eta[one].astype(np.float64) - eta[other]
    d_phi = phi[one].astype(np.float64) - phi[other]
    d_phi -= 2 * np.pi * np.rint(d_phi / (2 * np.pi))
    apart: Bools = d_eta * d_eta + d_phi * d_phi > DR_GHOST**2
    return apart
