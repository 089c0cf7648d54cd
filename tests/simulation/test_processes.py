import numpy as np
import pytest

from higgsdemo.simulation import processes
from higgsdemo.simulation.leptons import ELECTRON, FROM_TAU, MUON, PROMPT


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def four_lepton_mass(leptons):
    px, py, pz, energy = (
        np.bincount(leptons.event, weights=each, minlength=leptons.events)
        for each in (
            leptons.pt * np.cos(leptons.phi),
            leptons.pt * np.sin(leptons.phi),
            leptons.pt * np.sinh(leptons.eta),
            leptons.pt * np.cosh(leptons.eta),
        )
    )
    return np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0))


def test_higgs_mass_and_final_states(rng):
    made = processes.higgs(rng, 40_000)
    count = np.bincount(made.event, minlength=made.events)
    prompt = np.bincount(made.event, weights=made.origin == PROMPT, minlength=made.events) == 4
    muons = np.bincount(made.event, weights=made.flavour == MUON, minlength=made.events)
    # branching fractions: 3.27 : 3.27 : 3.27 : 5.93 : 5.93 : 5.93
    whole = 3 * (3.27 + 5.93)
    assert (prompt & (muons == 4)).mean() == pytest.approx(3.27 / whole, abs=0.006)
    assert (prompt & (muons == 2)).mean() == pytest.approx(5.93 / whole, abs=0.008)
    assert count.max() == 4
    mass = four_lepton_mass(made)[prompt]
    assert np.median(mass) == pytest.approx(125.0, abs=0.01)
    assert np.all(mass < 125.001)  # radiation only lowers it


def test_taus_lose_energy_and_two_thirds_of_them(rng):
    made = processes.higgs(rng, 40_000)
    from_tau = made.origin == FROM_TAU
    taus = 40_000 * (4 * 3.27 + 4 * 5.93) / (3 * (3.27 + 5.93))
    assert from_tau.sum() / taus == pytest.approx(0.1782 + 0.1739, abs=0.01)
    assert made.pt[from_tau].mean() < 0.6 * made.pt[~from_tau].mean()


def test_tau_fraction_has_the_mean_of_its_spectrum(rng):
    # integral of x (5/3 - 3 x^2 + 4/3 x^3) = 5/6 - 3/4 + 4/15
    assert processes.tau_fraction(rng, 100_000).mean() == pytest.approx(0.35, abs=0.005)


@pytest.mark.parametrize(("state", "muons"), [("4mu", 4), ("4e", 0), ("2mu2e", 2)])
def test_zz_states_charges_and_generator_cut(rng, state, muons):
    made = processes.zz(rng, 5_000, state)
    assert np.all(np.bincount(made.event) == 4)
    count = np.bincount(made.event, weights=made.flavour == MUON, minlength=5_000)
    assert np.all(count == muons)
    assert np.all(np.bincount(made.event, weights=made.charge) == 0)
    assert set(np.unique(made.flavour)) <= {ELECTRON, MUON}


def test_pairs_of_4e_are_above_the_generator_cut(rng):
    made = processes.zz(rng, 5_000, "4e")  # electrons do not radiate here
    plus, minus = (made[made.charge == sign] for sign in (1, -1))
    for first in (0, 1):
        for second in (0, 1):
            one, other = (
                part[np.argsort(part.event, kind="stable")[slot::2]]
                for part, slot in ((plus, first), (minus, second))
            )
            squared = (
                2 * one.pt * other.pt * (np.cosh(one.eta - other.eta) - np.cos(one.phi - other.phi))
            )
            assert squared.min() > 4.0**2 * 0.999


def test_zz_has_the_z_peak_and_the_pair_production_step(rng):
    mass = four_lepton_mass(processes.zz(rng, 30_000, "4e"))
    peak = ((mass > 88) & (mass < 94)).mean()
    assert 0.25 < peak < 0.5
    # pairs of low mass, which no selection takes, dilute the step
    assert ((mass > 185) & (mass < 205)).mean() > 1.2 * ((mass > 155) & (mass < 175)).mean()


def test_no_events(rng):
    for made in (processes.higgs(rng, 0), processes.zz(rng, 0, "4mu")):
        assert made.events == 0
        assert made.pt.size == 0
