import numpy as np
import pytest

from higgsdemo.simulation import production as p


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_accept_draws_the_density_and_the_right_count(rng):
    (drawn,) = p.accept(
        rng, 40_000, lambda n: ((x := rng.random(n),), x), efficiency=0.5
    )  # density 2x on (0, 1)
    assert drawn.size == 40_000
    assert drawn.mean() == pytest.approx(2 / 3, abs=0.005)
    (none,) = p.accept(rng, 0, lambda n: ((x := rng.random(n),), x), efficiency=0.5)
    assert none.size == 0


def test_the_higgs_decays_to_one_z_near_its_mass_and_one_far_below(rng):
    m1, m2 = p.higgs_pair_masses(rng, 50_000)
    assert np.all(m1 >= m2)
    assert np.all(m1 + m2 < p.HIGGS_MASS)
    assert np.median(m1) == pytest.approx(90.5, abs=1.5)
    # dGamma/dm2 peaks where phase space and propagator balance, near 30 GeV
    histogram, edges = np.histogram(m2, np.arange(0, 61, 4))
    assert 24 <= edges[histogram.argmax()] <= 32


def test_higgs_masses_follow_the_formula_and_not_the_proposals(rng):
    """Numerical integration of the differential width, independent of the sampler."""
    m1, m2 = p.higgs_pair_masses(rng, 100_000)
    a, b = np.meshgrid(np.arange(10.25, 124, 0.5), np.arange(1.05, 62, 0.1), indexing="ij")
    x, y = (a / p.HIGGS_MASS) ** 2, (b / p.HIGGS_MASS) ** 2
    phase = np.where((b < a) & (a + b < p.HIGGS_MASS), (1 - x - y) ** 2 - 4 * x * y, 0.0)

    def line(m):
        return m / ((m**2 - p.Z_MASS**2) ** 2 + (p.Z_MASS * p.Z_WIDTH) ** 2)

    width = line(a) * line(b) * np.sqrt(np.maximum(phase, 0)) * (phase + 12 * x * y)
    for low, high in ((1, 20), (20, 30), (30, 40), (40, 62)):
        expected = width[(low < b) & (b < high)].sum() / width.sum()
        assert ((low < m2) & (m2 < high)).mean() == pytest.approx(expected, abs=0.012)
    assert (m1 < 80).mean() == pytest.approx(width[a < 80].sum() / width.sum(), abs=0.012)


def test_the_continuum_steps_up_where_two_real_z_fit(rng):
    m4l, m1, m2, y = p.continuum(rng, 60_000)
    assert np.all(m4l > m1 + m2)
    assert min(m1.min(), m2.min()) >= p.PAIR_MASS_CUT
    assert np.all(np.abs(y) <= np.log(p.SQRT_S / m4l))
    selected = (np.maximum(m1, m2) > 40) & (np.minimum(m1, m2) > 12)
    below, above = (
        np.count_nonzero(selected & (low < m4l) & (m4l < low + 20)) for low in (150, 190)
    )
    assert above > 2.5 * below


def test_the_matrix_element_is_symmetric_and_has_a_z_peak():
    s, low, z = np.array([250.0**2]), np.array([20.0**2]), np.array([p.Z_MASS**2])
    assert p.continuum_density(s, low, z) == pytest.approx(p.continuum_density(s, z, low))
    assert p.continuum_density(s, z, z) > 100 * p.continuum_density(s, low, low)


def test_bosons_go_forward_when_they_are_light(rng):
    n = 20_000
    heavy = p.continuum_polar_angle(rng, np.full(n, 183.0), np.full(n, 91.0), np.full(n, 91.0))
    light = p.continuum_polar_angle(rng, np.full(n, 500.0), np.full(n, 10.0), np.full(n, 10.0))
    assert np.abs(light).mean() > np.abs(heavy).mean() + 0.2
    assert np.all(np.abs(light) <= 1)


def test_single_resonant_is_a_z_and_conserves_energy(rng):
    m4l, photon, x1, x2 = p.single_resonant(rng, 20_000)
    assert np.median(m4l) == pytest.approx(p.Z_MASS, abs=0.1)
    assert photon.min() >= p.PAIR_MASS_CUT
    share = (photon / m4l) ** 2
    assert np.all((x1 < 1) & (x2 < 1) & (x1 + x2 >= 1 - share))
    assert np.all((1 - x1) * (1 - x2) >= share - 1e-12)


def test_pt_scale_is_the_median(rng):
    assert np.median(p.transverse_momentum(rng, 17.0, 50_000)) == pytest.approx(17.0, rel=0.03)
    assert p.pt_scale_quarks(p.Z_MASS) == pytest.approx(8.0)


def test_rapidities_are_central_and_symmetric(rng):
    for y in (p.rapidity_quarks(rng, 50_000), p.rapidity_gluons(rng, np.full(50_000, 125.0))):
        assert abs(y.mean()) < 0.03
        assert 0.8 < y.std() < 2.3
