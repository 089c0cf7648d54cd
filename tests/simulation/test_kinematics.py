import numpy as np
import pytest

from higgsdemo.simulation import kinematics as k

RNG = np.random.default_rng(1)


def mass(vector):
    return np.sqrt(vector[0] ** 2 - (vector[1:] ** 2).sum(axis=0))


def test_a_two_body_decay_conserves_energy_and_momentum_in_any_frame():
    n = 1000
    system = k.produced(
        RNG.uniform(50, 500, n),
        RNG.exponential(30, n),
        RNG.uniform(-3, 3, n),
        RNG.uniform(-3, 3, n),
    )
    one, other = k.two_body(mass(system), 20.0, 4.0, k.isotropic(RNG, n))
    one, other = k.boost(one, system), k.boost(other, system)
    np.testing.assert_allclose(one + other, system, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(mass(one), 20.0, rtol=1e-6)
    np.testing.assert_allclose(mass(other), 4.0, rtol=1e-4)


def test_produced_gives_back_pt_phi_and_rapidity():
    system = k.produced(np.array([91.0]), np.array([30.0]), np.array([-1.5]), np.array([2.0]))
    pt, _, phi = k.pt_eta_phi(system)
    rapidity = 0.5 * np.log((system[0] + system[3]) / (system[0] - system[3]))
    assert (pt[0], phi[0], rapidity[0]) == pytest.approx((30.0, 2.0, -1.5))
    assert mass(system)[0] == pytest.approx(91.0)


def test_isotropic_has_no_preferred_axis():
    drawn = k.isotropic(np.random.default_rng(2), 100_000)
    np.testing.assert_allclose((drawn**2).sum(axis=0), 1.0)
    np.testing.assert_allclose(drawn.mean(axis=1), 0.0, atol=0.01)
    np.testing.assert_allclose((drawn**2).mean(axis=1), 1 / 3, atol=0.01)


def test_kallen_vanishes_at_threshold():
    assert float(k.kallen(100.0, 36.0, 16.0)) == pytest.approx(0.0)


def test_pair_mass_squared():
    one, other = k.two_body(np.array([10.0]), 0.0, 0.0, k.isotropic(RNG, 1))
    assert k.pair_mass_squared(one, other)[0] == pytest.approx(100.0)
