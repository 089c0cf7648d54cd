"""The rules of `selection=published` on awkward arrays, for the coffea and the uproot peers.

`muons` and `electrons` are jagged records with pt, eta, phi, mass, charge, iso, dxy, dxyErr, dz,
dzErr. Written the way columnar analyses usually are: event masks, then four-vectors of what is
left. The integer truncation of the running best mass is the public tutorial's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np

Z_MASS = 91.2  # GeV, the tutorial's value
PAIRS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
OTHERS = ((2, 3), (1, 3), (1, 2), (0, 3), (0, 2), (0, 1))


def _every(mask: Any) -> Any:
    return ak.to_numpy(ak.all(mask, axis=1))


def _isolated(leptons: Any, isolation: str) -> Any:
    return _every(abs(leptons[isolation]) < 0.40)


def _near_vertex(leptons: Any) -> Any:
    dxy, dz = leptons.dxy, leptons.dz
    sip3d = np.sqrt(dxy**2 + dz**2) / np.sqrt(leptons.dxyErr**2 + leptons.dzErr**2)
    return _every((sip3d < 4) & (abs(dxy) < 0.5) & (abs(dz) < 1.0))


def _leading_two(pt: Any) -> Any:
    ordered = ak.to_numpy(ak.pad_none(ak.sort(pt, ascending=False), 2, clip=True)[:, :2])
    return (np.ma.filled(ordered[:, 0], 0) > 20) & (np.ma.filled(ordered[:, 1], 0) > 10)


def _regular(values: Any, count: int) -> Any:
    """The first `count` of each list, shape (lists, count), where all have as many."""
    return ak.to_numpy(values[:, :count]).reshape(-1, count)  # no list at all has no width


class Momenta:
    """Cartesian momenta of the first leptons of each event, double precision."""

    def __init__(self, leptons: Any, count: int) -> None:
        def column(name: str) -> Any:
            return _regular(leptons[name], count).astype(np.float64)

        self.eta, self.phi = column("eta"), column("phi")
        pt, mass = column("pt"), column("mass")
        self.px, self.py = pt * np.cos(self.phi), pt * np.sin(self.phi)
        self.pz = pt * np.sinh(self.eta)
        # A slightly negative stored mass (rounding in the reconstruction) counts negative.
        squared = self.px**2 + self.py**2 + self.pz**2 + mass * abs(mass)
        self.energy = np.sqrt(np.maximum(squared, 0))

    def add(self, *columns: int) -> Any:
        """The sum of some leptons of each event, shape (4, events): px, py, pz, E."""
        parts = (self.px, self.py, self.pz, self.energy)
        return np.stack([sum(part[:, column] for column in columns) for part in parts])

    def close(self, one: int, two: int) -> Any:
        """Whether two leptons are nearer than 0.02 in (eta, phi)."""
        turn = self.phi[:, one] - self.phi[:, two]
        turn = (turn + np.pi) % (2 * np.pi) - np.pi
        return np.hypot(self.eta[:, one] - self.eta[:, two], turn) < 0.02


def _mass(momentum: Any) -> Any:
    px, py, pz, energy = momentum
    squared = energy**2 - px**2 - py**2 - pz**2
    return np.copysign(np.sqrt(abs(squared)), squared)


def _finish(one: Any, two: Any, four: Any) -> Any:
    """Four-lepton masses of the events whose Z candidates pass, float32 as in the tutorial."""
    one, two = one.astype(np.float32), two.astype(np.float32)
    # As doubles: numpy would otherwise take 91.2 down to float32.
    nearer = abs(one.astype(np.float64) - Z_MASS) < abs(two.astype(np.float64) - Z_MASS)
    first, second = np.where(nearer, one, two), np.where(nearer, two, one)
    good = (first > 40) & (first < 120) & (second > 12) & (second < 120)
    return four[good].astype(np.float32)


def four_of_a_kind(leptons: Any, isolation: str, min_pt: float, max_eta: float) -> Any:
    """m4l (GeV) of the selected 4mu or 4e events."""
    leptons = leptons[ak.num(leptons.pt) >= 4]
    leptons = leptons[_isolated(leptons, isolation)]
    leptons = leptons[_every((leptons.pt > min_pt) & (abs(leptons.eta) < max_eta))]
    leptons = leptons[_near_vertex(leptons)]
    charge = leptons.charge
    balanced = (ak.sum(charge == 1, axis=1) == 2) & (ak.sum(charge == -1, axis=1) == 2)
    leptons = leptons[ak.to_numpy(balanced & (ak.num(charge) == 4))]

    p = Momenta(leptons, 4)
    charges = _regular(leptons.charge, 4)
    masses = np.stack([_mass(p.add(one, two)) for one, two in PAIRS])
    best = np.full(len(charges), -1.0)
    chosen = np.full(len(charges), -1)
    for pair, (one, two) in enumerate(PAIRS):
        nearer = abs(Z_MASS - masses[pair]) < abs(Z_MASS - best)
        better = nearer & (charges[:, one] != charges[:, two])
        best = np.where(better, np.trunc(masses[pair]), best)
        chosen = np.where(better, pair, chosen)
    close = np.stack([p.close(one, two) for one, two in PAIRS])
    event = np.arange(len(chosen))
    complement = len(PAIRS) - 1 - chosen  # the pairs are ordered so that this is the other two
    good = (chosen >= 0) & ~close[chosen, event] & ~close[complement, event]
    four = _mass(p.add(0, 1, 2, 3))
    chosen, complement, event = chosen[good], complement[good], event[good]
    return _finish(masses[chosen, event], masses[complement, event], four[good])


def two_and_two(muons: Any, electrons: Any, muon_iso: str, electron_iso: str) -> Any:
    """m4l (GeV) of the selected 2mu2e events."""
    for rule in (
        lambda mu, el: ak.to_numpy((ak.num(el.pt) >= 2) & (ak.num(mu.pt) >= 2)),
        lambda mu, el: _every(abs(el.eta) < 2.5) & _every(abs(mu.eta) < 2.4),
        lambda mu, el: _leading_two(mu.pt) | _leading_two(el.pt),
        lambda mu, el: _isolated(el, electron_iso) & _isolated(mu, muon_iso),
        lambda mu, el: _near_vertex(el) & _near_vertex(mu),
        lambda mu, el: ak.to_numpy(
            (ak.sum(el.charge, axis=1) == 0) & (ak.sum(mu.charge, axis=1) == 0)
        ),
    ):
        keep = rule(muons, electrons)
        muons, electrons = muons[keep], electrons[keep]
    mu, el = Momenta(muons, 2), Momenta(electrons, 2)
    apart = ~mu.close(0, 1) & ~el.close(0, 1)
    z_mu, z_el = mu.add(0, 1)[:, apart], el.add(0, 1)[:, apart]
    return _finish(_mass(z_mu), _mass(z_el), _mass(z_mu + z_el))


def select(
    muons: Any,
    electrons: Any,
    fill: Callable[[str, Any], None],
    muon_iso: str = "pfRelIso04_all",
    electron_iso: str = "pfRelIso03_all",
) -> None:
    """Call `fill(channel, m4l)` for the three channels."""
    fill("4mu", four_of_a_kind(muons, muon_iso, 5, 2.4))
    fill("4e", four_of_a_kind(electrons, electron_iso, 7, 2.5))
    fill("2mu2e", two_and_two(muons, electrons, muon_iso, electron_iso))
