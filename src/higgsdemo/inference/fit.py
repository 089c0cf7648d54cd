"""Signal strength and significance: a binned profile likelihood over all channels and years.

Every (channel, year) is a category with its own templates; in each bin

    nu = mu * s + theta_channel * b,    d ~ Poisson(nu + delta),    delta ~ Normal(0, V)

with mu the signal strength, theta the normalisation of the background (free, one per channel),
and V the variance of the simulation in that bin, mu^2 V_s + theta^2 V_b. See
docs/physics/statistics.md for why, and for the sources.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from iminuit import Minuit

from higgsdemo.inference.completeness import Category
from higgsdemo.inference.normalisation import Normalised

Array = npt.NDArray[np.float64]

_TINY = 1e-30  # keeps 0/0 and log(0) out where nothing is expected and nothing is seen


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A category that takes no part in the fit, and why."""

    channel: str
    year: int | None
    reason: str


@dataclass(frozen=True)
class Fit:
    """What the fit says. Whatever could not be computed is None, and `reason` says why.

    `signal_strength` is the best fit of mu >= 0, relative to the cross section (times scale
    factor) of the signal samples; its errors are where -2 ln(likelihood ratio) grows by 1, and
    the lower one stops at mu = 0. The significances are local, in standard deviations:
    sqrt(q0), observed and for the Asimov data of mu = 1. `background` is theta per channel.
    """

    signal_strength: float | None = None
    error_up: float | None = None
    error_down: float | None = None
    observed_significance: float | None = None
    expected_significance: float | None = None
    background: Mapping[str, float] = field(default_factory=dict)
    categories: tuple[Category, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    reason: str | None = None

    @property
    def observed_p_value(self) -> float | None:
        """The local p-value of the background alone: 1 - Phi(observed significance)."""
        if self.observed_significance is None:
            return None
        return math.erfc(self.observed_significance / math.sqrt(2)) / 2

    def to_json(self) -> dict[str, object]:
        """Return the fit as a JSON-ready document."""
        return {
            "signal_strength": self.signal_strength,
            "error_up": self.error_up,
            "error_down": self.error_down,
            "observed_significance": self.observed_significance,
            "expected_significance": self.expected_significance,
            "observed_p_value": self.observed_p_value,
            "background_normalisation": dict(self.background),
            "categories": [list(category) for category in self.categories],
            "left_out": [
                {"channel": one.channel, "year": one.year, "reason": one.reason}
                for one in self.left_out
            ],
            "not_computed": self.reason,
        }


def fit(normalised: Normalised, *, errors: bool = True) -> Fit:
    """Fit the signal strength and compute the local significance of the excess.

    q0 = -2 ln[L(0, theta_0) / L(mu, theta)] for mu > 0, else 0; significance = sqrt(q0)
    (G. Cowan, K. Cranmer, E. Gross, O. Vitells, Eur. Phys. J. C 71 (2011) 1554,
    arXiv:1007.1727, equations 12 and 53); the expected one is that of the Asimov data, mu = 1.

    Only categories whose simulation is in, every sample of it, take part: a background that has
    not been simulated yet would pass for a signal. Without `errors` those of the signal strength
    are not computed, which takes half of the time.
    """
    used: list[Category] = []
    left_out: list[LeftOut] = []
    for category in normalised.categories:
        reason = _why_not(normalised, category)
        if reason is None:
            used.append(category)
        else:
            left_out.append(LeftOut(*category, reason))
    if not used:
        return Fit(left_out=tuple(left_out), reason=_common_reason(left_out))
    model = _Model(normalised, used)
    found = Fit(categories=tuple(used), left_out=tuple(left_out))
    if not model.signal.sum() > 0:
        return replace(found, reason="no simulated signal event passes the selection yet")
    expected = _discovery(model, model.asimov())
    if expected is None:
        return replace(found, reason="the fit of the Asimov data does not converge")
    found = replace(found, expected_significance=math.sqrt(expected.q0))
    if not model.data.sum() > 0:
        return replace(found, reason="no data event is in yet")
    observed = _discovery(model, model.data)
    if observed is None:
        return replace(found, reason="the fit of the data does not converge")
    up, down = _errors(observed) if errors else (None, None)
    return replace(
        found,
        signal_strength=observed.strength,
        error_up=up,
        error_down=down,
        observed_significance=math.sqrt(observed.q0),
        background=dict(zip(model.channels, observed.thetas, strict=True)),
        reason=None
        if up is not None or not errors
        else "the errors of the signal strength do not converge",
    )


def _why_not(normalised: Normalised, category: Category) -> str | None:
    """Return why a category cannot take part; None if it can."""
    channel, year = category
    simulated = [group for group in normalised.groups if group != "data"]
    planned = {
        one.group for one in normalised.templates if (one.channel, one.year) == category
    }  # fmt: skip
    if planned.isdisjoint(simulated):
        return "the run has no simulated sample here"
    luminosity = normalised.luminosity.get(category)
    if luminosity is None:
        return "the run has no data here"
    if luminosity.unknown:
        return f"the luminosity of {', '.join(luminosity.unknown)} is unknown"
    if not luminosity.pb.done > 0:
        return "no data luminosity is in yet"
    missing = [
        one for one in normalised.excluded if one.year == year and channel in one.channels
    ]  # fmt: skip
    if missing:
        more = f" (and {len(missing) - 1} more samples)" if len(missing) > 1 else ""
        return f"{missing[0].sample}: {missing[0].reason}{more}"
    backgrounds = [group for group in simulated if group != "higgs"]
    if not normalised.spectrum(backgrounds, [channel], [year]).counts.any():
        return "no simulated background event passes the selection yet"
    return None


def _common_reason(left_out: list[LeftOut]) -> str:
    reasons = list(dict.fromkeys(one.reason for one in left_out))
    if not reasons:
        return "the run has no samples"
    more = f" (and {len(reasons) - 1} other reasons)" if len(reasons) > 1 else ""
    return reasons[0] + more


class _Model:
    """The templates of the categories in use; arrays of shape (categories, bins)."""

    def __init__(self, normalised: Normalised, used: list[Category]) -> None:
        backgrounds = [one for one in normalised.groups if one not in ("data", "higgs")]
        parts = [
            [normalised.spectrum(groups, [channel], [year]) for channel, year in used]
            for groups in (["higgs"], backgrounds, ["data"])
        ]
        signal, background, data = parts
        self.channels = tuple(dict.fromkeys(channel for channel, _ in used))
        self.channel = np.array([self.channels.index(channel) for channel, _ in used])
        self.signal = np.array([one.contents for one in signal])
        self.signal_variance = np.array([one.variance for one in signal])
        self.background = np.array([one.contents for one in background])
        variance = np.array([one.variance for one in background])
        # No simulated event in a bin does not mean that none can come: the bin may hold about
        # one more event of the category's typical weight, sum(w^2) / sum(w).
        typical = variance.sum(axis=1) / np.maximum(self.background.sum(axis=1), _TINY)
        counts = np.array([one.counts for one in background])
        self.background_variance = np.where(counts > 0, variance, typical[:, None] ** 2)
        self.data = np.array([one.contents for one in data])

    def asimov(self) -> Array:
        """Return the data that mu = 1 and theta = 1 expect, without fluctuation."""
        expected: Array = self.signal + self.background
        return expected

    def nll(self, parameters: Array, data: Array) -> float:
        """Minus the logarithm of the likelihood, profiled over delta in each bin.

        With x = nu + delta >= 0 it is x - d ln x + (x - nu)^2 / 2V, least at the positive root
        of x^2 + (V - nu) x - d V = 0: J. S. Conway, arXiv:1103.0354, section 5, with
        x = beta nu and V = (sigma nu)^2, a form that also holds for nu = 0. The Poisson term
        is counted from x = d, so that large counts lose no digits.
        """
        strength = parameters[0]
        theta = parameters[1:][self.channel][:, None]
        nu = strength * self.signal + theta * self.background
        variance = strength**2 * self.signal_variance + theta**2 * self.background_variance
        variance = np.maximum(variance, _TINY)
        gap = variance - nu
        root = np.sqrt(gap * gap + 4 * data * variance)
        # Two forms of one root: each is free of cancellation where it is used.
        x = np.where(gap > 0, 2 * data * variance / np.maximum(root + gap, _TINY), (root - gap) / 2)
        x = np.maximum(x, _TINY)
        poisson = x - data + data * np.log(np.where(data > 0, data, x) / x)
        return float(np.sum(poisson + (x - nu) ** 2 / (2 * variance)))


@dataclass(frozen=True, slots=True)
class _Discovery:
    minuit: Minuit
    strength: float
    thetas: tuple[float, ...]
    q0: float


def _discovery(model: _Model, data: Array) -> _Discovery | None:
    """Fit with mu free and with mu = 0; None if one of them does not converge."""
    null = _minimise(model, data, strength=0.0)
    best = _minimise(model, data)
    if null is None or best is None:
        return None
    q0 = 2 * (float(null.fval or 0.0) - float(best.fval or 0.0))
    values = [float(value) for value in best.values]
    return _Discovery(best, values[0], tuple(values[1:]), max(q0, 0.0))


def _minimise(model: _Model, data: Array, strength: float | None = None) -> Minuit | None:
    """Fit all that is free; `strength` fixes mu. None if no start leads to a minimum."""
    names = ["mu", *(f"theta_{channel}" for channel in model.channels)]
    start = np.ones(len(names))
    minuit = Minuit(lambda values: model.nll(values, data), start, name=names)
    minuit.errordef = Minuit.LIKELIHOOD
    minuit.tol = 0.01  # ten times finer than usual: it costs nothing here
    minuit.print_level = -1  # what goes wrong is told by `reason`, not on stderr
    for name in names:
        minuit.limits[name] = (0, None)
    for place, channel in enumerate(model.channels):
        mine = model.channel == place
        if not data[mine].sum() > 0:
            # The best theta of a channel without events is 0 whatever mu is; telling Minuit so
            # spares it a minimum on the edge.
            minuit.values[f"theta_{channel}"] = 0.0
            minuit.fixed[f"theta_{channel}"] = True
    if strength is not None:
        minuit.values["mu"] = strength
        minuit.fixed["mu"] = True
    if minuit.nfit == 0:
        return minuit
    minuit.migrad()
    if not minuit.valid:
        minuit.simplex().migrad()
    return minuit if minuit.valid else None


def _errors(found: _Discovery) -> tuple[float | None, float | None]:
    """Upper and lower error of mu; the lower one ends at mu = 0. None where Minos fails."""
    try:
        found.minuit.minos("mu")
    except RuntimeError:
        return None, None
    error = found.minuit.merrors["mu"]
    up = float(error.upper) if error.upper_valid else None
    if error.lower_valid:
        return up, -float(error.lower)
    return up, found.strength if error.at_lower_limit else None
