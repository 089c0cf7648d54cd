"""Event yields with statistical errors, in the whole range and around 125 GeV."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from higgsdemo.errors import UsageError
from higgsdemo.inference.normalisation import Normalised, Remark, Spectrum
from higgsdemo.model import Axis, Group

SIGNAL_WINDOW = (121.0, 130.0)  # GeV; three whole bins of the published spectrum
YIELDS_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Yield:
    """Events, the statistical error (square root of the sum of squared weights), raw counts."""

    events: float
    error: float
    counts: int

    def to_json(self) -> dict[str, float | int]:
        """Return the yield as a JSON-ready document."""
        return {"events": self.events, "error": self.error, "counts": self.counts}


@dataclass(frozen=True)
class Yields:
    """The yields of a run.

    `window` is the part of the wanted window that whole bins cover, `bins` is the slice of
    those bins; None if there is no such bin (in another variable, say).
    """

    normalised: Normalised
    window: tuple[float, float] | None
    bins: slice | None

    @property
    def whole(self) -> tuple[float, float]:
        """The range of the axis."""
        return self.normalised.axis.lower, self.normalised.axis.upper

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels, in the usual order."""
        return self.normalised.channels

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups that the run plans."""
        return self.normalised.groups

    @property
    def backgrounds(self) -> tuple[Group, ...]:
        """The simulated groups other than the signal."""
        return tuple(group for group in self.groups if group not in ("data", "higgs"))

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """What is not in the simulated yields, or in the luminosity behind them."""
        return self.normalised.excluded + self.normalised.without_luminosity

    def count(
        self,
        groups: Collection[str],
        channels: Collection[str] | None = None,
        years: Collection[int | None] | None = None,
        *,
        window: bool = False,
    ) -> Yield:
        """Return the yield of groups, channels and years (None: all), whole or in the window.

        Raises ValueError if `window` is asked for and there is none.
        """
        if window and self.bins is None:
            raise ValueError("these yields have no window")
        bins = self.bins if window and self.bins is not None else slice(None)
        return _yield(self.normalised.spectrum(groups, channels, years), bins)

    def to_json(self) -> dict[str, Any]:
        """Return everything as a JSON-ready document: sums, and contents per bin.

        `entries` has one item for each group, channel and year; `totals` one for each group and
        channel, and for "background" (all simulated groups but the signal) and "all" channels.
        """
        normalised = self.normalised
        return {
            "schema": YIELDS_SCHEMA,
            "run": normalised.run_id,
            "simulated_demo_data": normalised.demo,
            "variable": normalised.variable,
            "unit": normalised.axis.unit,
            "edges": normalised.axis.edges.tolist(),
            "range": list(self.whole),
            "window": list(self.window) if self.window else None,
            "entries": [
                {
                    "group": one.group,
                    "channel": one.channel,
                    "year": one.year,
                    **self._both([one.group], [one.channel], [one.year]),
                    "contents": one.contents.tolist(),
                    "errors": np.sqrt(one.variance).tolist(),
                    "counts": one.counts.tolist(),
                }
                for one in normalised.templates
            ],
            "totals": [
                {"group": name, "channel": where, **self._both(groups, channels, None)}
                for name, groups in (
                    *((group, [group]) for group in self.groups),
                    ("background", list(self.backgrounds)),
                )
                for where, channels in (
                    *((channel, [channel]) for channel in self.channels),
                    ("all", None),
                )
            ],
            "not_in_simulation": [_remark(one) for one in normalised.excluded],
            "data_of_unknown_luminosity": [_remark(one) for one in normalised.without_luminosity],
            "completeness": normalised.completeness.to_json(),
        }

    def _both(
        self,
        groups: Collection[str],
        channels: Collection[str] | None,
        years: Collection[int | None] | None,
    ) -> dict[str, Any]:
        inside = None
        if self.bins is not None:
            inside = self.count(groups, channels, years, window=True).to_json()
        return {
            "whole": self.count(groups, channels, years).to_json(),
            "in_window": inside,
        }


def yields(normalised: Normalised, window: tuple[float, float] = SIGNAL_WINDOW) -> Yields:
    """Return the yields of a run, in the whole range and in a window.

    Parameters
    ----------
    normalised
        the spectrum
    window
        lower and upper end in the unit of the axis; only bins wholly inside count

    Raises
    ------
    UsageError
        if the window is empty.
    """
    lower, upper = window
    if not lower < upper:
        raise UsageError(
            f"the window {lower:g}-{upper:g} is empty", hint="give the lower end first"
        )
    bins = _whole_bins(normalised.axis, lower, upper)
    if bins is None:
        return Yields(normalised, None, None)
    edges: npt.NDArray[np.float64] = normalised.axis.edges
    return Yields(normalised, (float(edges[bins.start]), float(edges[bins.stop])), bins)


def _whole_bins(axis: Axis, lower: float, upper: float) -> slice | None:
    edges = axis.edges
    slack = 1e-9 * axis.width
    inside = np.flatnonzero((edges[:-1] >= lower - slack) & (edges[1:] <= upper + slack))
    if inside.size == 0:
        return None
    return slice(int(inside[0]), int(inside[-1]) + 1)


def _yield(spectrum: Spectrum, bins: slice) -> Yield:
    return Yield(
        events=float(spectrum.contents[bins].sum()),
        error=math.sqrt(float(spectrum.variance[bins].sum())),
        counts=int(spectrum.counts[bins].sum()),
    )


def _remark(remark: Remark) -> dict[str, Any]:
    return {
        "sample": remark.sample,
        "group": remark.group,
        "year": remark.year,
        "channels": list(remark.channels),
        "reason": remark.reason,
    }
