"""Four-vectors against libm and exact arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from higgsdemo.workflows.h4l import fourvectors
from higgsdemo.workflows.h4l.fourvectors import ETA_LIMIT, invariant_mass, momenta, sines


def test_sines_agree_with_libm_over_the_whole_range():
    phi = np.linspace(-np.pi, np.pi, 200_001)
    eta = np.linspace(-ETA_LIMIT, ETA_LIMIT, 200_001)
    out = np.empty((4, phi.size))
    sines(phi, eta, out)
    assert np.abs(out[0] - np.sin(phi)).max() < 2e-15
    assert np.abs(out[1] - np.cos(phi)).max() < 2e-15
    np.testing.assert_allclose(out[2], np.sinh(eta), rtol=2e-15, atol=0)
    np.testing.assert_allclose(out[3], np.cosh(eta), rtol=2e-15, atol=0)


@given(st.floats(-1000, 1000, width=32))
def test_any_angle_is_wrapped(phi: float):
    out = np.empty((4, 1))
    sines(np.array([phi]), np.zeros(1), out)
    assert out[0, 0] == pytest.approx(math.sin(phi), abs=1e-12)
    assert out[1, 0] == pytest.approx(math.cos(phi), abs=1e-12)


def test_the_bits_are_those_of_correctly_rounded_arithmetic():
    """One value, step by step with exact fractions rounded once an operation (IEEE 754)."""

    def rounded(exact: Fraction) -> Fraction:
        return Fraction(float(exact))

    phi = Fraction(1.25)
    x = rounded(phi / 4)
    y = -rounded(x * x)
    series = [Fraction(1.0 / math.factorial(2 * k + 1)) for k in range(9)]
    s = rounded(y * series[8])
    for term in series[7:0:-1]:
        s = rounded(rounded(s + term) * y)
    s = rounded(rounded(s + 1) * x)
    y = -rounded(s * s)
    c = Fraction(math.sqrt(float(rounded(y + 1))))  # sqrt is rounded correctly by IEEE 754
    half_c = rounded(2 * y + 1)
    half_s = 2 * rounded(s * c)
    out = np.empty((4, 1))
    sines(np.array([1.25]), np.zeros(1), out)
    assert Fraction(out[0, 0]) == 2 * rounded(half_s * half_c)
    assert Fraction(out[1, 0]) == rounded(1 - 2 * rounded(half_s * half_s))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(1)
    columns = [
        rng.uniform(low, high, (4, 250)).astype(np.float32)
        for low, high in ((5, 100), (-2.4, 2.4), (-3.1, 3.1), (-0.1, 0.2))
    ]
    whole = momenta(*columns)
    monkeypatch.setattr(fourvectors, "_BLOCK", 7)
    for one, other in zip(whole, momenta(*columns), strict=True):
        assert one.shape == (4, 250)
        assert np.array_equal(one, other)


def test_momenta_of_a_known_lepton():
    px, py, pz, energy = (
        part.item() for part in momenta(*(np.array([x]) for x in (50.0, 1.2, -2.0, 0.105658)))
    )
    assert (px, py) == pytest.approx((50 * math.cos(2), -50 * math.sin(2)), rel=1e-15)
    assert pz == pytest.approx(50 * math.sinh(1.2), rel=1e-15)
    assert energy == pytest.approx(math.hypot(50 * math.cosh(1.2), 0.105658), rel=1e-15)


def test_a_negative_mass_lowers_the_energy_as_in_root():
    light, none, heavy = momenta(
        *(np.array([x] * 3) for x in (1.0, 0.0, 0.0)), np.array([-0.5, 0.0, 0.5])
    )[3]
    assert light == pytest.approx(math.sqrt(0.75))
    assert none == 1.0
    assert heavy == pytest.approx(math.sqrt(1.25))
    assert momenta(*(np.array([x]) for x in (1.0, 0.0, 0.0, -2.0)))[3] == 0.0


def test_invariant_mass_and_its_sign():
    parts = (np.array([3.0, 3.0]), np.zeros(2), np.zeros(2), np.array([5.0, 0.0]))
    assert invariant_mass(*parts).tolist() == [4.0, -3.0]
