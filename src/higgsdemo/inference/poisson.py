"""Confidence intervals of Poisson means."""

from __future__ import annotations

import functools
import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

ONE_SIGMA = math.erf(1 / math.sqrt(2))  # 0.6827, the central coverage of one standard deviation
_EXACT_UP_TO = 200  # above, the Wilson-Hilferty form below is right to 1e-5 relative


def garwood(
    counts: npt.ArrayLike, coverage: float = ONE_SIGMA
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the central confidence interval of the Poisson mean for each of `counts`.

    F. Garwood, Biometrika 28 (1936) 437: the interval is where P(N >= n) and P(N <= n) are each
    (1 - coverage) / 2; the lower end for n = 0 is 0. It is what the CMS statistics committee
    recommends for plots of few events.

    Parameters
    ----------
    counts
        non-negative integers, any shape
    coverage
        the probability content, 0.6827 by default

    Returns
    -------
    The lower and the upper ends, shaped as `counts`.
    """
    numbers = np.asarray(counts, dtype=np.int64)
    if np.any(numbers < 0):
        raise ValueError("counts cannot be negative")
    pairs = [_interval(int(count), coverage) for count in numbers.ravel()]
    ends = np.asarray(pairs, dtype=np.float64).reshape(-1, 2)
    return ends[:, 0].reshape(numbers.shape), ends[:, 1].reshape(numbers.shape)


@functools.lru_cache(maxsize=4096)
def _interval(count: int, coverage: float) -> tuple[float, float]:
    tail = (1 - coverage) / 2
    if count > _EXACT_UP_TO:
        z = NormalDist().inv_cdf(1 - tail)
        return _wilson_hilferty(count, -z), _wilson_hilferty(count + 1, z)
    lower = 0.0 if count == 0 else _solve(count - 1, 1 - tail)
    return lower, _solve(count, tail)


def _wilson_hilferty(shape: int, z: float) -> float:
    """Return the quantile of a gamma distribution of this shape and unit scale.

    E. B. Wilson and M. M. Hilferty, PNAS 17 (1931) 684: its cube root is nearly normal.
    """
    return shape * (1 - 1 / (9 * shape) + z / (3 * math.sqrt(shape))) ** 3


def _solve(count: int, probability: float) -> float:
    """Return the mean at which P(N <= count) is `probability`, by bisection."""
    low, high = 0.0, count + 20 + 10 * math.sqrt(count + 1)
    while high - low > 1e-12 * (1 + high):
        middle = (low + high) / 2
        if _at_most(count, middle) > probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _at_most(count: int, mean: float) -> float:
    term = total = math.exp(-mean)
    for n in range(1, count + 1):
        term *= mean / n
        total += term
    return total
