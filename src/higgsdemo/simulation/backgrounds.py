"""What else the triggers collect: dileptons in bulk, and the reducible four-lepton background.

The two are told apart by the number of extra leptons. The bulk (61.5 M and 54 M events in the
real files) has at most one, so it can never become a four-lepton candidate and may be thinned
out at will. Events with a lepton pair and two more leptons that are not both prompt are the
reducible background, made at full luminosity.

These are shapes set by hand to look like the `GMmass_extended`, `b4_RM_pt`, `NGoodRecMuons` and
`NGoodElectron` histograms of DoubleMu12 and DoubleE12 of the AOD analysis, not calculations.
"""

from __future__ import annotations

import numpy as np

from higgsdemo.simulation import production
from higgsdemo.simulation.kinematics import Floats, boost, isotropic, produced, two_body
from higgsdemo.simulation.leptons import (
    ELECTRON,
    MUON,
    NON_PROMPT,
    PROMPT,
    Integers,
    Leptons,
    from_vectors,
)

# Shares of the bulk per stream: isolated pair (Z, Drell-Yan, Upsilon), one isolated lepton
# (W + jets), none (heavy flavour, J/psi from b; misidentified jets).
_BULK_SHARES = {MUON: (0.19, 0.11, 0.70), ELECTRON: (0.13, 0.17, 0.70)}
_BULK_EXTRA = {MUON: 0.22, ELECTRON: 0.15}  # events of the bulk with an extra lepton

# Reducible background before reconstruction: events per fb^-1, leptons above 3 GeV inside
# |eta| < 2.6. About 3.5 of them pass the default selection in 70-180 GeV at 11.58 fb^-1 (the
# public AOD analysis has 3.4 from simulated Drell-Yan and ttbar in 2011 + 2012).
REDUCIBLE_PER_FB = 1800.0


def _system(rng: np.random.Generator, mass: Floats) -> Floats:
    count = mass.size
    return produced(
        mass,
        production.transverse_momentum(rng, production.pt_scale_quarks(production.Z_MASS), count),
        production.rapidity_quarks(rng, count),
        rng.uniform(-np.pi, np.pi, count),
    )


def _pair(rng: np.random.Generator, mass: Floats, system: Floats) -> tuple[Floats, Floats]:
    one, other = two_body(mass, 0.0, 0.0, isotropic(rng, mass.size))
    return boost(one, system), boost(other, system)


def _dilepton_mass(rng: np.random.Generator, count: int) -> Floats:
    """Draw isolated pair masses: Z line shape over the Drell-Yan fall, GeV."""
    resonance = np.sqrt(production.breit_wigner(rng, count, 40.0, 250.0))
    fall = 15.0 * (1 - rng.random(count)) ** -0.55  # dN/dm ~ m^-2.8
    return np.where(rng.random(count) < 0.8, resonance, np.minimum(fall, 400.0))


def _soft_pairs(rng: np.random.Generator, count: int) -> tuple[Floats, Floats]:
    """Draw two leptons in jets: a falling pT spectrum above the trigger's thresholds."""
    lead = 15.0 + rng.exponential(6.0, count)
    second = 6.5 + rng.exponential(4.5, count)
    # same jet (masses of a few GeV, J/psi) or back to back
    close = rng.random(count) < 0.4
    eta = rng.uniform(-2.5, 2.5, count)
    phi = rng.uniform(-np.pi, np.pi, count)
    eta_2 = np.where(close, eta + 0.2 * rng.standard_normal(count), rng.uniform(-2.5, 2.5, count))
    phi_2 = phi + np.where(
        close, 0.2 * rng.standard_normal(count), np.pi + 0.6 * rng.standard_normal(count)
    )
    return _massless(lead, eta, phi), _massless(second, eta_2, phi_2)


def _massless(pt: Floats, eta: Floats, phi: Floats) -> Floats:
    return np.stack([pt * np.cosh(eta), pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)])


def _sign(rng: np.random.Generator, count: int) -> Integers:
    return rng.choice(np.array([-1, 1]), count)


def bulk(rng: np.random.Generator, events: int, flavour: int) -> Leptons:
    """Draw the dilepton bulk of the muon (13) or electron (11) stream."""
    isolated_pair, one_isolated, _ = _BULK_SHARES[flavour]
    kind = rng.random(events)
    pair = kind < isolated_pair
    mass = _dilepton_mass(rng, events)
    system = _system(rng, mass)
    resonant = _pair(rng, mass, system)
    soft = _soft_pairs(rng, events)
    first, second = (np.where(pair, z, jet) for z, jet in zip(resonant, soft, strict=True))
    prompt_first = kind < isolated_pair + one_isolated
    sign = _sign(rng, events)
    opposite = pair | (rng.random(events) < 0.7)
    leptons = np.full(events, flavour)
    extra = rng.random(events) < _BULK_EXTRA[flavour]
    extra_flavour = np.where(rng.random(events) < 0.8, flavour, MUON + ELECTRON - flavour)
    return from_vectors(
        (first, second, _extra(rng, events)),
        (sign, np.where(opposite, -sign, sign), _sign(rng, events)),
        (leptons, leptons, np.where(extra, extra_flavour, 0)),
        (
            np.where(prompt_first, PROMPT, NON_PROMPT),
            np.where(pair, PROMPT, NON_PROMPT),
            NON_PROMPT,
        ),
    )


def _extra(rng: np.random.Generator, count: int) -> Floats:
    pt = 3.0 + rng.exponential(7.0, count)
    return _massless(pt, rng.uniform(-2.6, 2.6, count), rng.uniform(-np.pi, np.pi, count))


def reducible(rng: np.random.Generator, events: int) -> Leptons:
    """Z + two non-prompt leptons, and WZ + one: pairs of all flavours, charges at random."""
    mass = np.sqrt(production.breit_wigner(rng, events, 40.0, 140.0))
    pair = _pair(rng, mass, _system(rng, mass))
    z_flavour = np.where(rng.random(events) < 0.5, MUON, ELECTRON)
    extra_flavour = np.where(rng.random(events) < 0.5, MUON, ELECTRON)
    is_wz = rng.random(events) < 0.05
    third = _extra(rng, events)
    # the lepton of a W: pT of a few tens of GeV
    third = np.where(
        is_wz, third * (rng.rayleigh(28.0, events) / np.hypot(third[1], third[2])), third
    )
    plus = np.ones(events, dtype=np.int64)
    return from_vectors(
        (*pair, third, _extra(rng, events)),
        (plus, -plus, _sign(rng, events), _sign(rng, events)),
        (z_flavour, z_flavour, extra_flavour, extra_flavour),
        (PROMPT, PROMPT, np.where(is_wz, PROMPT, NON_PROMPT), NON_PROMPT),
    )
