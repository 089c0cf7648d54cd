"""How the four-lepton systems are made: masses, rapidity and transverse momentum.

Each sampler draws from a density written down here with its source. Densities are shapes; the
rates are the cross sections of `rates.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from higgsdemo.simulation.kinematics import Floats, kallen

Z_MASS = 91.1876  # GeV, PDG
Z_WIDTH = 2.4952  # GeV, PDG
HIGGS_MASS = 125.0  # GeV, as in the CMS sample SMHiggsToZZTo4L_M-125
SQRT_S = 8000.0  # GeV
PAIR_MASS_CUT = 4.0  # GeV, generator cut on lepton pairs of the CMS ZZTo4mu/4e/2e2mu samples

_SIN2 = 0.2312  # effective weak mixing angle, PDG
_Z_COUPLING = 1 / np.sqrt(_SIN2 * (1 - _SIN2))
_HIGHEST_M4L = 1200.0  # GeV; above lies less than 0.1 % of the sample

Draw = tuple[Floats, ...]


def accept(
    rng: np.random.Generator,
    count: int,
    propose: Callable[[int], tuple[Draw, Floats]],
    efficiency: float,
) -> Draw:
    """Draw `count` by acceptance and rejection.

    `propose(n)` gives n points and their weights relative to the largest (a weight above one
    counts as one). `efficiency` is a guess that sets the size of the batches; it does not
    change the distribution, but is part of the random sequence.
    """
    kept: list[Draw] = []
    missing = count
    while missing > 0:
        points, weight = propose(int(missing / efficiency * 1.1) + 64)
        hit = np.flatnonzero(rng.random(weight.size) < weight)[:missing]
        kept.append(tuple(values[hit] for values in points))
        missing -= hit.size
    if not kept:
        points, _ = propose(1)
        return tuple(values[:0] for values in points)
    return tuple(np.concatenate(parts) for parts in zip(*kept, strict=True))


def quark(x: Floats) -> Floats:
    """Return x q(x), u-like: valence + sea.

    The usual form x^a (1 - x)^b of parton-density fits. A shape, not a fit: the powers of the
    sea are set so that m4l above 180 GeV falls as in the CMS simulation (ZZ4mu12).
    """
    return np.asarray(3.6 * x**0.7 * (1 - x) ** 4) + antiquark(x)


def antiquark(x: Floats) -> Floats:
    """Return x qbar(x), rising as x^-0.3 down to x ~ 1e-4; see `quark`."""
    return np.asarray(0.15 * x**0.7 / (x + 6e-5) * (1 - x) ** 10)


def gluon(x: Floats) -> Floats:
    """Return x g(x) up to a factor, as `quark`: set by lepton eta in HZZ12."""
    return np.asarray(x**-0.35 * (1 - x) ** 8)


def _annihilation(mass: Floats, rapidity: Floats) -> Floats:
    """Return q(x1) qbar(x2) + qbar(x1) q(x2), zero outside 0 < x < 1."""
    x1 = np.minimum(mass / SQRT_S * np.exp(rapidity), 1.0)
    x2 = np.minimum(mass / SQRT_S * np.exp(-rapidity), 1.0)
    return quark(x1) * antiquark(x2) + antiquark(x1) * quark(x2)


def rapidity_gluons(rng: np.random.Generator, mass: Floats) -> Floats:
    """Draw rapidities of systems made by gluon fusion."""
    limit = np.log(SQRT_S / HIGGS_MASS)
    top = float(gluon(np.array(HIGGS_MASS / SQRT_S))) ** 2

    def propose(n: int) -> tuple[Draw, Floats]:
        y = rng.uniform(-limit, limit, n)
        x1, x2 = (np.minimum(HIGGS_MASS / SQRT_S * np.exp(sign * y), 1.0) for sign in (1, -1))
        return (y,), gluon(x1) * gluon(x2) / top

    (drawn,) = accept(rng, mass.size, propose, 0.4)
    return drawn


def rapidity_quarks(rng: np.random.Generator, count: int, mass: float = Z_MASS) -> Floats:
    """Draw rapidities of systems of about `mass` (GeV) made by quark annihilation."""
    limit = np.log(SQRT_S / mass)
    grid = np.linspace(-limit, limit, 513)
    cumulative = np.cumsum(_annihilation(np.full(grid.size, mass), grid))
    cumulative = (cumulative - cumulative[0]) / (cumulative[-1] - cumulative[0])
    return np.interp(rng.random(count), cumulative, grid)


def transverse_momentum(rng: np.random.Generator, scale: Floats | float, count: int) -> Floats:
    """Draw pT (GeV) from dN/dpT^2 ~ 1 / (pT^2 + scale^2)^2, whose median is `scale`.

    The usual power-law form of resummed spectra; below 400 GeV.
    """
    uniform = rng.random(count) * 0.999
    return np.minimum(scale * np.sqrt(uniform / (1 - uniform)), 400.0)


def pt_scale_quarks(mass: Floats | float) -> Floats:
    """Return the median pT of a q qbar system: 8 GeV at the Z (CMS, arXiv:1504.03511)."""
    return np.asarray(8.0 * (np.asarray(mass) / Z_MASS) ** 0.8)


HIGGS_PT_SCALE = 17.0  # GeV, median; NNLO+NNLL gluon fusion at 8 TeV (HRes, arXiv:1109.2109)


def breit_wigner(rng: np.random.Generator, count: int, low: float, high: float) -> Floats:
    """Draw m^2 (GeV^2) of a Z from 1 / ((m^2 - M^2)^2 + M^2 Gamma^2) with low < m < high."""
    scale = Z_MASS * Z_WIDTH
    first, last = (np.arctan((edge**2 - Z_MASS**2) / scale) for edge in (low, high))
    return np.asarray(Z_MASS**2 + scale * np.tan(rng.uniform(first, last, count)))


def higgs_pair_masses(rng: np.random.Generator, count: int) -> tuple[Floats, Floats]:
    """Draw the two Z masses (GeV) of H(125) -> Z* Z*.

    dGamma/dm1^2 dm2^2 ~ BW(m1) BW(m2) sqrt(l) (l + 12 m1^2 m2^2 / mH^4), l the Källén function
    of (1, m1^2/mH^2, m2^2/mH^2): A. Djouadi, Phys. Rept. 457 (2008) 1, eq. 2.20. The first
    returned is the heavier one.
    """
    low2, high2 = 10.0**2, (HIGGS_MASS - 1) ** 2
    scale = Z_MASS * Z_WIDTH
    reach = np.arctan((high2 - Z_MASS**2) / scale) - np.arctan((low2 - Z_MASS**2) / scale)

    def propose(n: int) -> tuple[Draw, Floats]:
        on_shell = rng.random(n) < 0.8
        squared_1 = np.where(
            on_shell, breit_wigner(rng, n, 10.0, HIGGS_MASS - 1), rng.uniform(low2, high2, n)
        )
        line = scale / ((squared_1 - Z_MASS**2) ** 2 + scale**2)
        density = 0.8 * line / reach + 0.2 / (high2 - low2)
        m1 = np.sqrt(squared_1)
        room = HIGGS_MASS - m1
        m2 = room * rng.random(n)
        x1, x2 = squared_1 / HIGGS_MASS**2, (m2 / HIGGS_MASS) ** 2
        inside = (m2 < m1) & (m2 > 1.0)
        phase = np.where(inside, kallen(1.0, x1, x2), 0.0)
        propagator = (m2**2 - Z_MASS**2) ** 2 + scale**2
        weight = line / density * room * m2 * np.sqrt(phase) * (phase + 12 * x1 * x2) / propagator
        return (m1, m2), weight / _HIGGS_TOP

    m1, m2 = accept(rng, count, propose, 0.16)
    return m1, m2


_HIGGS_TOP = 2.15e-5  # bound on the weight; see `accept`


def _couplings(charge: float, isospin: float) -> tuple[float, float]:
    """Return the left- and right-handed Z couplings of a fermion, in units of e."""
    return _Z_COUPLING * (isospin - charge * _SIN2), _Z_COUPLING * (-charge * _SIN2)


_LEPTON = _couplings(-1.0, -0.5)
# charge, Z couplings, weight: u ubar luminosity is about 1.6 times that of d dbar at x ~ 0.02
_QUARKS = ((2 / 3, _couplings(2 / 3, 0.5), 1.6), (-1 / 3, _couplings(-1 / 3, -0.5), 1.0))


def _currents(squared: Floats) -> dict[tuple[int, int], Floats]:
    """Return m^2 sum |gamma* + Z propagator|^2 per (quark type, quark helicity)."""
    detune = squared - Z_MASS**2
    size = detune**2 + (Z_MASS * Z_WIDTH) ** 2
    given = {}
    for flavour, (charge, quark_z, _) in enumerate(_QUARKS):
        for helicity, strength in enumerate(quark_z):
            total = np.zeros_like(squared)
            for lepton_z in _LEPTON:
                photon, z = -charge, strength * lepton_z
                total += (
                    photon**2 / squared + 2 * photon * z * detune / size + z**2 * squared / size
                )
            given[flavour, helicity] = total
    return given


def continuum_density(s: Floats, squared_1: Floats, squared_2: Floats) -> Floats:
    """Return s sigma(q qbar -> (Z/gamma*)(Z/gamma*) -> 4l) up to a factor.

    The t- and u-channel matrix element t/u + u/t + 2 s (m1^2 + m2^2)/(tu)
    - m1^2 m2^2 (1/t^2 + 1/u^2) of R. W. Brown and K. O. Mikaelian, Phys. Rev. D 19 (1979) 922,
    with virtual masses, integrated over t; gamma* and Z interfere in each pair.
    """
    total = squared_1 + squared_2
    root = np.sqrt(np.maximum(kallen(s, squared_1, squared_2), 0.0))
    rest = s - total
    logarithm = np.log(np.maximum((rest + root) ** 2 / (4 * squared_1 * squared_2), 1.0))
    partonic = np.maximum((s**2 + total**2) / rest * logarithm - 2 * root, 0.0) / s
    one, other = _currents(squared_1), _currents(squared_2)
    boson = np.zeros_like(s)
    for (flavour, helicity), current in one.items():
        boson += _QUARKS[flavour][2] * current * other[flavour, helicity]
    return np.asarray(partonic * boson)


def continuum(rng: np.random.Generator, count: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Draw (m4l, m1, m2, rapidity) of the ZZ / Z gamma* / gamma* gamma* continuum, GeV.

    Pair masses above the 4 GeV generator cut. Proposals: each pair mass from the Z line shape
    or from dm^2/m^2, m4l from a power law above threshold, rapidity flat.
    """
    low2, high2 = PAIR_MASS_CUT**2, 250.0**2
    span = np.log(high2 / low2)
    scale = Z_MASS * Z_WIDTH
    reach = np.arctan((high2 - Z_MASS**2) / scale) - np.arctan((low2 - Z_MASS**2) / scale)

    def pair(n: int) -> tuple[Floats, Floats]:
        resonant = rng.random(n) < _RESONANT_SHARE
        squared = np.where(
            resonant,
            breit_wigner(rng, n, PAIR_MASS_CUT, 250.0),
            low2 * np.exp(span * rng.random(n)),
        )
        line = scale / ((squared - Z_MASS**2) ** 2 + scale**2) / reach
        return squared, _RESONANT_SHARE * line + (1 - _RESONANT_SHARE) / (squared * span)

    def propose(n: int) -> tuple[Draw, Floats]:
        squared_1, density_1 = pair(n)
        squared_2, density_2 = pair(n)
        m1, m2 = np.sqrt(squared_1), np.sqrt(squared_2)
        # m4l^2 - threshold falls as a power law with a scale that grows with the masses
        threshold = (m1 + m2) ** 2
        uniform = rng.random(n)
        s = threshold * (1 - uniform) ** (-1 / _FALL)
        density_s = _FALL * (1 - uniform)  # of ln s
        m4l = np.sqrt(s)
        limit = np.log(SQRT_S / m4l)
        y = rng.uniform(-1, 1, n) * limit
        inside = m4l < _HIGHEST_M4L
        parton = _annihilation(np.minimum(m4l, _HIGHEST_M4L), np.where(inside, y, 0.0)) * limit
        weight = continuum_density(s, squared_1, squared_2) / s * parton
        weight = np.where(inside, weight / (density_1 * density_2 * density_s), 0.0)
        return (m4l, m1, m2, y), weight / _CONTINUUM_TOP

    m4l, m1, m2, y = accept(rng, count, propose, 0.045)
    return m4l, m1, m2, y


_RESONANT_SHARE = 0.15
_FALL = 1.0
_CONTINUUM_TOP = 110.0  # bound on the weight; 0.3 % of the rate lies above


def continuum_polar_angle(rng: np.random.Generator, m4l: Floats, m1: Floats, m2: Floats) -> Floats:
    """Draw cos(theta) between the first boson and the beam, in the 4l frame.

    From the two poles 1/t + 1/u of the matrix element (see `continuum_density`), which carry
    its forward peak; the rest of it is within 15 % of flat and left out.
    """
    s, q1, q2 = m4l**2, m1**2, m2**2
    root = np.sqrt(np.maximum(kallen(s, q1, q2), 1e-9))
    pole = np.maximum((s - q1 - q2) / root, 1 + 1e-9)
    # density ~ 1/(pole - c) + 1/(pole + c): invert atanh(c / pole)
    edge = np.arctanh(1 / pole)
    return np.asarray(np.clip(pole * np.tanh(rng.uniform(-1, 1, m4l.size) * edge), -1.0, 1.0))


def single_resonant(rng: np.random.Generator, count: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Draw Z -> l l gamma* (-> l' l'): (m4l, m_gamma*, x1, x2).

    m4l is the Z line shape; x_i = 2 E_i / m4l of the leptons that do not come from the photon.
    The matrix element is that of e+e- -> q qbar g* with a massive gluon:
    ((x1 + e)^2 + (x2 + e)^2)/((1-x1)(1-x2)) - e/(1-x1)^2 - e/(1-x2)^2, e = m_gamma*^2 / m4l^2
    (Yu. L. Dokshitzer, G. Marchesini, B. R. Webber, Nucl. Phys. B 469 (1996) 93), times de/e.
    """
    lowest = (PAIR_MASS_CUT / 140.0) ** 2

    def propose(n: int) -> tuple[Draw, Floats]:
        m4l = np.sqrt(breit_wigner(rng, n, 60.0, 140.0))
        e = lowest ** rng.random(n)
        # 1 - x_i log-uniform between e and 1
        log_e = np.log(e)
        a, b = np.exp(log_e * rng.random(n)), np.exp(log_e * rng.random(n))
        x1, x2 = 1 - a, 1 - b
        inside = (a * b > e) & (a + b < 1 + e)
        # the masses of the photon's pair and of the other two
        lighter = m4l**2 * np.minimum(e, x1 + x2 - 1 + e)
        inside &= lighter > PAIR_MASS_CUT**2
        # proposals in (ln a, ln b) have density 1 / log_e^2
        weight = ((x1 + e) ** 2 + (x2 + e) ** 2 - e * a / b - e * b / a) * log_e**2
        return (m4l, m4l * np.sqrt(e), x1, x2), np.where(inside, weight, 0.0) / _SINGLE_TOP

    m4l, photon, x1, x2 = accept(rng, count, propose, 0.08)
    return m4l, photon, x1, x2


_SINGLE_TOP = 85.0  # bound on the weight; see `accept`
