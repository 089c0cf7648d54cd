import math

import numpy as np
import pytest

from higgsdemo.inference.poisson import ONE_SIGMA, garwood


def at_most(n: int, mean: float) -> float:
    return sum(math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(n + 1))


def test_ends_leave_half_of_the_rest_on_either_side() -> None:
    tail = (1 - ONE_SIGMA) / 2
    for n in (1, 2, 3, 7, 20, 100, 200):
        lower, upper = garwood([n])
        assert 1 - at_most(n - 1, lower[0]) == pytest.approx(tail, rel=1e-8)
        assert at_most(n, upper[0]) == pytest.approx(tail, rel=1e-8)


def test_published_values() -> None:
    # Errors of 0, 1 and 2 events as in every CMS plot of few events.
    lower, upper = garwood([0, 1, 2])
    assert lower == pytest.approx([0, 0.173, 0.708], abs=5e-4)
    assert upper == pytest.approx([1.841, 3.300, 4.638], abs=5e-4)


def test_large_counts_join_the_exact_ones_smoothly() -> None:
    lower, upper = garwood(np.arange(195, 207))
    assert np.diff(np.diff(lower)) == pytest.approx(np.zeros(10), abs=2e-3)
    assert np.diff(np.diff(upper)) == pytest.approx(np.zeros(10), abs=2e-3)
    lower, upper = garwood([10**6])
    assert (upper[0] - lower[0]) / 2 == pytest.approx(1000, rel=1e-3)


def test_shape_is_kept_and_negative_counts_are_refused() -> None:
    lower, upper = garwood([[1, 2], [3, 4]])
    assert lower.shape == upper.shape == (2, 2)
    with pytest.raises(ValueError, match="negative"):
        garwood([-1])
