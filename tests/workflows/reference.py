"""Both selections once more, slow and obvious: one event, plain Python, double precision."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from tests.workflows.builders import Event, Lepton

Masses = tuple[float, float, float]  # m4l, mZ1, mZ2


def mass(leptons: Sequence[Lepton]) -> float:
    px = math.fsum(lepton.pt * math.cos(lepton.phi) for lepton in leptons)
    py = math.fsum(lepton.pt * math.sin(lepton.phi) for lepton in leptons)
    pz = math.fsum(lepton.pt * math.sinh(lepton.eta) for lepton in leptons)
    energy = math.fsum(
        math.sqrt((lepton.pt * math.cosh(lepton.eta)) ** 2 + lepton.mass * abs(lepton.mass))
        for lepton in leptons
    )
    return math.sqrt(max(0.0, energy**2 - px**2 - py**2 - pz**2))


def distance(one: Lepton, other: Lepton) -> float:
    d_phi = (one.phi - other.phi + math.pi) % (2 * math.pi) - math.pi
    return math.hypot(one.eta - other.eta, d_phi)


def isolated(lepton: Lepton) -> bool:
    return abs(lepton.iso) < 0.40


def prompt(lepton: Lepton) -> bool:
    sip = math.hypot(lepton.dxy, lepton.dz) / math.hypot(lepton.dxyErr, lepton.dzErr)
    return sip < 4 and abs(lepton.dxy) < 0.5 and abs(lepton.dz) < 1


def accepted(lepton: Lepton, pt: float, eta: float) -> bool:
    return lepton.pt > pt and abs(lepton.eta) < eta


def opposite(one: Lepton, other: Lepton) -> bool:
    return one.charge * other.charge < 0


def default(event: Event) -> dict[str, Masses]:
    muons = [m for m in event.muons if accepted(m, 5, 2.4) and isolated(m) and prompt(m)]
    electrons = [e for e in event.electrons if accepted(e, 7, 2.5) and isolated(e) and prompt(e)]
    if len(muons) >= 4:
        channel, pairings = "4mu", all_pairings(leading_four(muons))
    elif len(electrons) >= 4:
        channel, pairings = "4e", all_pairings(leading_four(electrons))
    elif len(muons) == len(electrons) == 2:
        channel, pairings = "2mu2e", [(tuple(muons), tuple(electrons))]
    else:
        return {}
    allowed = [pairs for pairs in pairings if all(opposite(*pair) for pair in pairs)]
    if not allowed:
        return {}
    ranked = [sorted(pairs, key=lambda pair: abs(mass(pair) - 91.1876)) for pairs in allowed]
    z1, z2 = min(ranked, key=lambda pairs: abs(mass(pairs[0]) - 91.1876))
    pts = sorted(lepton.pt for lepton in z1)
    passed = (
        distance(*z1) > 0.02
        and distance(*z2) > 0.02
        and pts[1] > 20
        and pts[0] > 10
        and 40 < mass(z1) < 120
        and 12 < mass(z2) < 120
        and mass([*z1, *z2]) > 70
    )
    return {channel: (mass([*z1, *z2]), mass(z1), mass(z2))} if passed else {}


def leading_four(leptons: list[Lepton]) -> list[Lepton]:
    return sorted(leptons, key=lambda lepton: -lepton.pt)[:4]


def all_pairings(four: list[Lepton]) -> list[tuple[tuple[Lepton, Lepton], tuple[Lepton, Lepton]]]:
    a, b, c, d = four
    return [((a, b), (c, d)), ((a, c), (b, d)), ((a, d), (b, c))]


def published(event: Event) -> dict[str, Masses]:
    found = {
        "4mu": published_alike(event.muons, 5, 2.4),
        "4e": published_alike(event.electrons, 7, 2.5),
        "2mu2e": published_mixed(event.muons, event.electrons),
    }
    return {channel: masses for channel, masses in found.items() if masses is not None}


def published_alike(
    leptons: Sequence[Lepton], pt: float, eta: float, truncate: Callable[[float], float] = int
) -> Masses | None:
    good = all(accepted(x, pt, eta) and isolated(x) and prompt(x) for x in leptons)
    if not good or sorted(lepton.charge for lepton in leptons) != [-1, -1, 1, 1]:
        return None
    best, chosen = -1.0, (0, 0)
    for one, other in itertools.combinations(range(4), 2):
        if leptons[one].charge != leptons[other].charge:
            this = mass([leptons[one], leptons[other]])
            if abs(91.2 - this) < abs(91.2 - best):
                best, chosen = truncate(this), (one, other)
    if chosen == (0, 0):
        return None
    first = [leptons[i] for i in chosen]
    second = [leptons[i] for i in range(4) if i not in chosen]
    if distance(*first) < 0.02 or distance(*second) < 0.02:
        return None
    return published_windows(first, second)


def published_mixed(muons: Sequence[Lepton], electrons: Sequence[Lepton]) -> Masses | None:
    if len(muons) < 2 or len(electrons) < 2:
        return None
    pts = [sorted((x.pt for x in kind), reverse=True) for kind in (muons, electrons)]
    passed = (
        all(abs(x.eta) < 2.4 for x in muons)
        and all(abs(x.eta) < 2.5 for x in electrons)
        and any(pt[0] > 20 and pt[1] > 10 for pt in pts)
        and distance(*muons[:2]) >= 0.02
        and distance(*electrons[:2]) >= 0.02
        and all(isolated(x) and prompt(x) for x in (*muons, *electrons))
        and sum(x.charge for x in muons) == 0
        and sum(x.charge for x in electrons) == 0
    )
    return published_windows(muons[:2], electrons[:2]) if passed else None


def published_windows(first: Sequence[Lepton], second: Sequence[Lepton]) -> Masses | None:
    masses = sorted((mass(first), mass(second)), key=lambda m: abs(m - 91.2))
    m_z1, m_z2 = (float(np.float32(m)) for m in masses)
    if not (40 < m_z1 < 120 and 12 < m_z2 < 120):
        return None
    return float(np.float32(mass([*first, *second]))), m_z1, m_z2
