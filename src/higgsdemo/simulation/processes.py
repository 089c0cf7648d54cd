"""The physics processes: true leptons of H -> ZZ -> 4l and of the ZZ / Z gamma* continuum.

Decay angles: in H -> ZZ each Z decays according to its polarisation (azimuthal correlations
are left out); in the continuum and in Z -> 4l the pairs decay isotropically. What that misses
changes the acceptance by a few per cent, which the calibrated efficiencies absorb.
"""

from __future__ import annotations

import numpy as np

from higgsdemo.simulation import production
from higgsdemo.simulation.kinematics import (
    Floats,
    boost,
    directions,
    isotropic,
    pair_mass_squared,
    produced,
    two_body,
)
from higgsdemo.simulation.leptons import (
    ELECTRON,
    FROM_TAU,
    MUON,
    PROMPT,
    TAU,
    Flags,
    Integers,
    Leptons,
    from_vectors,
)

# Final states of H(125) -> ZZ -> 4l, l = e, mu, tau. Weights ~ branching fractions: 3.27e-5 for
# 4e and for 4mu, 5.93e-5 for 2e2mu (LHC Higgs XS working group, CERN-2013-004, Table A.13; the
# identical-lepton interference raises 4l), lepton universality for the rest.
_SAME, _MIXED = 3.27, 5.93
HIGGS_STATES = (
    (MUON, MUON, _SAME),
    (ELECTRON, ELECTRON, _SAME),
    (TAU, TAU, _SAME),
    (MUON, ELECTRON, _MIXED),
    (MUON, TAU, _MIXED),
    (ELECTRON, TAU, _MIXED),
)
TAU_TO_ELECTRON, TAU_TO_MUON = 0.1782, 0.1739  # PDG

# The share of the Z -> 4l resonance in each CMS sample, the rest being the continuum; set so
# that the peak at 91 GeV and the step at 180 GeV have the ratio of the AOD analysis
# (histograms ZZ4mu12, ZZ4e12, ZZ2mu2e12).
SINGLE_RESONANT_SHARE = {"4mu": 0.45, "4e": 0.42, "2mu2e": 0.42}

# Final-state photons: probability that a muon loses more than 1 % of its energy, from
# (alpha/pi) (ln(Q^2/m^2) - 1) integrated over the photon spectrum at Q ~ m_Z. Electrons get
# theirs back in the calorimeter; what is lost there is in the resolution.
_MUON_FSR = 0.06


def higgs(rng: np.random.Generator, events: int) -> Leptons:
    """H(125) by gluon fusion -> Z(*)Z(*) -> 4l, taus included."""
    m1, m2 = production.higgs_pair_masses(rng, events)
    swapped = rng.random(events) < 0.5
    m1, m2 = np.where(swapped, m2, m1), np.where(swapped, m1, m2)
    mass = np.full(events, production.HIGGS_MASS)
    pt = production.transverse_momentum(rng, production.HIGGS_PT_SCALE, events)
    system = produced(
        mass, pt, production.rapidity_gluons(rng, mass), rng.uniform(-np.pi, np.pi, events)
    )
    weights = np.array([weight for _, _, weight in HIGGS_STATES])
    state = rng.choice(len(HIGGS_STATES), size=events, p=weights / weights.sum())
    flavour_1 = np.array([one for one, _, _ in HIGGS_STATES])[state]
    flavour_2 = np.array([other for _, other, _ in HIGGS_STATES])[state]
    # both Z longitudinal with probability f_L = r^2 / (r^2 + 2), r = p1.p2 / (m1 m2)
    ratio = (mass**2 - m1**2 - m2**2) / (2 * m1 * m2)
    longitudinal = rng.random(events) < ratio**2 / (ratio**2 + 2)
    decays = (_helicity(rng, longitudinal), _helicity(rng, longitudinal))
    pairs = _boson_pair(rng, system, mass, m1, m2, isotropic(rng, events), decays)
    return _visible(rng, pairs, flavour_1, flavour_2)


def _helicity(rng: np.random.Generator, longitudinal: Flags) -> Floats:
    """Draw cos(theta) of a lepton to its boson's flight: 1 - c^2 if longitudinal, else 1 + c^2.

    Of three numbers uniform on (-1, 1) the median has density (3/4)(1 - c^2). (3/8)(1 + c^2) is
    3/4 of a uniform and 1/4 of (3/2) c^2, whose draw is the cube root of a uniform number.
    """
    three = rng.uniform(-1, 1, (3, longitudinal.size))
    edge = rng.random(longitudinal.size) < 0.25
    transverse = np.where(edge, np.cbrt(three[0]), three[0])
    return np.where(longitudinal, np.median(three, axis=0), transverse)


def zz(rng: np.random.Generator, events: int, state: str) -> Leptons:
    """Q qbar -> ZZ, Z gamma*, gamma* gamma* and Z -> 4l, in state 4mu, 4e or 2mu2e.

    Opposite-sign same-flavour pairs are above 4 GeV, as in the CMS samples.
    """
    parts: list[Floats] = []
    missing = events
    while missing > 0:
        batch = int(missing * 1.15) + 16
        resonant = int(rng.binomial(batch, SINGLE_RESONANT_SHARE[state]))
        made = np.concatenate(
            [_continuum(rng, batch - resonant), _single_resonant(rng, resonant)], axis=2
        )
        if state != "2mu2e":
            crossed = np.minimum(
                pair_mass_squared(made[0], made[3]), pair_mass_squared(made[2], made[1])
            )
            made = made[:, :, crossed > production.PAIR_MASS_CUT**2]
        made = made[:, :, rng.permutation(made.shape[2])[:missing]]
        parts.append(made)
        missing -= made.shape[2]
    four = np.concatenate(parts, axis=2) if parts else np.zeros((4, 4, 0))
    swap = rng.random(events) < 0.5  # which pair is the muons
    one = np.full(events, ELECTRON if state == "4e" else MUON)
    other = np.full(events, MUON if state == "4mu" else ELECTRON)
    return _visible(
        rng,
        (four[0], four[1], four[2], four[3]),
        np.where(swap, one, other),
        np.where(swap, other, one),
    )


def _continuum(rng: np.random.Generator, events: int) -> Floats:
    m4l, m1, m2, y = production.continuum(rng, events)
    pt = production.transverse_momentum(rng, production.pt_scale_quarks(m4l), events)
    system = produced(m4l, pt, y, rng.uniform(-np.pi, np.pi, events))
    cosine = production.continuum_polar_angle(rng, m4l, m1, m2)
    along = directions(cosine, rng.uniform(-np.pi, np.pi, events))
    return np.stack(_boson_pair(rng, system, m4l, m1, m2, along))


def _single_resonant(rng: np.random.Generator, events: int) -> Floats:
    m4l, photon, x1, x2 = production.single_resonant(rng, events)
    share = (photon / m4l) ** 2
    # lepton 1 along a random axis, lepton 2 at the angle that energy conservation fixes
    cosine = np.clip(1 - 2 * (x1 + x2 - 1 + share) / (x1 * x2), -1.0, 1.0)
    axis = isotropic(rng, events)
    direction = _around(rng, axis, cosine)
    lepton_1 = np.concatenate([[m4l * x1 / 2], m4l * x1 / 2 * axis])
    lepton_2 = np.concatenate([[m4l * x2 / 2], m4l * x2 / 2 * direction])
    third = -(lepton_1 + lepton_2)
    third[0] = np.sqrt(photon**2 + (third[1:] ** 2).sum(axis=0))
    daughters = [boost(p, third) for p in two_body(photon, 0.0, 0.0, isotropic(rng, events))]
    system = produced(
        m4l,
        production.transverse_momentum(rng, production.pt_scale_quarks(m4l), events),
        production.rapidity_quarks(rng, events),
        rng.uniform(-np.pi, np.pi, events),
    )
    return np.stack([boost(p, system) for p in (lepton_1, lepton_2, *daughters)])


def _around(rng: np.random.Generator, axis: Floats, cosine: Floats) -> Floats:
    """Return unit vectors at the angle given by `cosine` to unit vectors `axis`."""
    other = np.cross(axis, isotropic(rng, cosine.size), axis=0)
    other /= np.maximum(np.sqrt((other**2).sum(axis=0)), 1e-12)
    return np.asarray(cosine * axis + np.sqrt(1 - cosine**2) * other)


def _boson_pair(
    rng: np.random.Generator,
    system: Floats,
    mass: Floats,
    m1: Floats,
    m2: Floats,
    along: Floats,
    cosines: tuple[Floats, Floats] | None = None,
) -> tuple[Floats, Floats, Floats, Floats]:
    """Decay `system` into two bosons of masses m1 and m2, and these into lepton pairs.

    `cosines` are those of the first lepton to its boson's flight; isotropic without.
    """
    events = mass.size
    made = []
    for number, (boson, pair) in enumerate(
        zip(two_body(mass, m1, m2, along), (m1, m2), strict=True)
    ):
        if cosines is None:
            direction = isotropic(rng, events)
        else:
            flight = along if number == 0 else -along
            direction = _around(rng, flight, cosines[number])
        in_system = [boost(lepton, boson) for lepton in two_body(pair, 0.0, 0.0, direction)]
        made += [boost(lepton, system) for lepton in in_system]
    return made[0], made[1], made[2], made[3]


def _visible(
    rng: np.random.Generator,
    four: tuple[Floats, Floats, Floats, Floats],
    flavour_1: Integers,
    flavour_2: Integers,
) -> Leptons:
    """Make leptons of massless four-vectors (1+, 1-, 2+, 2-): tau decays and radiation."""
    events = flavour_1.size
    vectors, flavours, origins = [], [], []
    for vector, made_as in zip(four, (flavour_1, flavour_1, flavour_2, flavour_2), strict=True):
        is_tau = made_as == TAU
        flavour, fraction = np.array(made_as), np.ones(events)
        if is_tau.any():
            fraction[is_tau] = tau_fraction(rng, int(is_tau.sum()))
            channel = rng.random(int(is_tau.sum()))
            flavour[is_tau] = np.select(
                [channel < TAU_TO_ELECTRON, channel < TAU_TO_ELECTRON + TAU_TO_MUON],
                [ELECTRON, MUON],
                0,
            )
        radiates = (flavour == MUON) & (rng.random(events) < _MUON_FSR)
        # photon spectrum ~ 1/z between 1 % and the whole energy
        fraction[radiates] *= 1 - 0.01 ** (1 - rng.random(int(radiates.sum())))
        vectors.append(vector * np.maximum(fraction, 1e-3))
        flavours.append(flavour)
        origins.append(np.where(is_tau, FROM_TAU, PROMPT))
    plus, minus = np.ones(events, dtype=np.int64), -np.ones(events, dtype=np.int64)
    return from_vectors(vectors, (plus, minus, plus, minus), flavours, origins)


def tau_fraction(rng: np.random.Generator, count: int) -> Floats:
    """Draw x = E_lepton / E_tau of tau -> l nu nu, collinear and unpolarised.

    f(x) = 5/3 - 3 x^2 + 4/3 x^3 (B. K. Bullock, K. Hagiwara, A. D. Martin, Nucl. Phys. B 395
    (1993) 499), by inverting its integral on a grid.
    """
    x = np.linspace(0, 1, 257)
    return np.interp(rng.random(count), 5 / 3 * x - x**3 + x**4 / 3, x)
