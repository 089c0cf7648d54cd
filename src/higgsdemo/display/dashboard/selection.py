"""What a viewer chose to see, and the spectrum of it as columns for the browser to draw.

All numbers are made here, from the same normalised templates as the printed plot: the browser
adds nothing up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from higgsdemo.display.style import GROUP_STYLES, STACK
from higgsdemo.inference import Normalised, garwood, yields
from higgsdemo.inference.normalisation import Spectrum

Array = npt.NDArray[np.float64]
Columns = dict[str, list[Any]]

MOST_MERGED = 60  # bins into one
FLOOR = 1e-3  # events: where the stack begins, for a logarithm of 0 cannot be drawn


@dataclass(frozen=True, slots=True)
class Selection:
    """A spectrum: variable, channel and year (None: all of them), bins merged into one."""

    variable: str = "m4l"
    channel: str | None = None
    year: int | None = None
    merged: int = 1

    @classmethod
    def read(cls, words: Mapping[str, Any]) -> Selection:
        """Read what a browser sent; what makes no sense is as if it had not been said."""
        year, merged = str(words.get("year") or ""), str(words.get("merged") or "")
        return cls(
            variable=str(words.get("variable") or "m4l")[:100],
            channel=str(words.get("channel") or "")[:100] or None,
            year=int(year) if year.isdecimal() and len(year) == 4 else None,
            merged=min(int(merged), MOST_MERGED) if _is_small(merged) else 1,
        )

    def known(self, normalised: Normalised) -> Selection:
        """Return the selection with what this run does not have left open."""
        return Selection(
            normalised.variable,
            self.channel if self.channel in normalised.channels else None,
            self.year if self.year in normalised.years else None,
            self.merged,
        )

    @property
    def channels(self) -> list[str] | None:
        """The channels to add up; None is all."""
        return None if self.channel is None else [self.channel]

    @property
    def years(self) -> list[int | None] | None:
        """The years to add up; None is all."""
        return None if self.year is None else [self.year]


def _is_small(number: str) -> bool:
    return number.isdecimal() and 0 < len(number) < 4 and int(number) > 0


@dataclass(frozen=True)
class Drawn:
    """A selection of a run as the browser gets it.

    `sources` are the columns of the figure by name; `frame` is what surrounds them; `legend` has
    a row for each group, with its yields.
    """

    sources: dict[str, Columns]
    frame: dict[str, Any]
    legend: list[dict[str, Any]]


def draw(normalised: Normalised, chosen: Selection) -> Drawn:
    """Return the columns of a selection; `chosen` is known to the run."""
    edges = merged_edges(normalised.axis.edges, chosen.merged)
    left, right = edges[:-1].tolist(), edges[1:].tolist()
    bottom = np.zeros(len(left))
    sources: dict[str, Columns] = {}
    hover: Columns = {"left": left, "right": right}
    groups = [group for group in STACK if group in normalised.groups]
    for group in groups:
        contents = _merged(normalised, [group], chosen).contents
        top = bottom + contents
        sources[f"stack-{group}"] = {
            "left": left,
            "right": right,
            "bottom": np.maximum(bottom, FLOOR).tolist(),
            "top": np.maximum(top, FLOOR).tolist(),
        }
        hover[group] = contents.tolist()
        bottom = top
    simulation = _merged(normalised, groups, chosen)
    error = np.sqrt(simulation.variance)
    sources["error"] = {
        "left": left,
        "right": right,
        "bottom": np.maximum(bottom - error, FLOOR).tolist(),
        "top": np.maximum(bottom + error, FLOOR).tolist(),
    }
    counts = _merged(normalised, ["data"], chosen).counts
    lower, upper = garwood(counts)
    seen = counts > 0  # empty bins get no point, as published
    sources["data"] = {
        "x": ((edges[:-1] + edges[1:]) / 2)[seen].tolist(),
        "y": counts[seen].tolist(),
        "low": np.maximum(lower, FLOOR)[seen].tolist(),
        "high": upper[seen].tolist(),
    }
    reach = float(np.maximum(bottom + error, np.where(seen, upper, 0.0)).max(initial=0.0))
    hover |= {
        "total": simulation.contents.tolist(),
        "error": error.tolist(),
        "data": counts.tolist(),
        "top": [max(1e3 * reach, 10.0)] * len(left),
    }
    sources["hover"] = hover
    return Drawn(sources, _frame(normalised, chosen, reach), _legend(normalised, chosen, groups))


def merged_edges(edges: Array, merged: int) -> Array:
    """Return the edges with so many bins made one; the last may be of fewer."""
    kept: Array = edges[:-1:merged]
    return np.append(kept, edges[-1])


def _merged(normalised: Normalised, groups: list[Any], chosen: Selection) -> Spectrum:
    spectrum = normalised.spectrum(groups, chosen.channels, chosen.years)
    if chosen.merged == 1:
        return spectrum
    starts = np.arange(0, normalised.axis.bins, chosen.merged)
    return Spectrum(
        np.add.reduceat(spectrum.contents, starts),
        np.add.reduceat(spectrum.variance, starts),
        np.add.reduceat(spectrum.counts, starts),
    )


def _frame(normalised: Normalised, chosen: Selection, reach: float) -> dict[str, Any]:
    axis = normalised.axis
    window = yields(normalised).window if axis.label == "m4l" else None
    width = axis.width * min(chosen.merged, axis.bins)
    linear = max(1.12 * reach, 1.0)
    return {
        "variable": normalised.variable,
        "channel": chosen.channel,
        "year": chosen.year,
        "merged": chosen.merged,
        "width": axis.width,
        "x": [axis.lower, axis.upper],
        "y_linear": linear,
        "y_log": max(3 * reach, 3.0),
        "x_label": f"{_NAMES.get(axis.label, axis.label)} ({axis.unit})",
        "y_label": f"Events / {width:.3g} {axis.unit}",
        "window": window,
    }


_NAMES = {"m4l": "four-lepton mass", "mZ1": "mass of the first Z", "mZ2": "mass of the second Z"}


def _legend(normalised: Normalised, chosen: Selection, groups: list[Any]) -> list[dict[str, Any]]:
    found = yields(normalised)
    has_window = found.bins is not None and normalised.axis.label == "m4l"
    rows: list[tuple[str, list[Any]]] = []
    if "data" in normalised.groups:
        rows.append(("data", ["data"]))
    rows += [(group, [group]) for group in reversed(groups)]
    if len(groups) > 1:
        rows.append(("expected", groups))
    legend = []
    for name, members in rows:
        whole = found.count(members, chosen.channels, chosen.years)
        inside = None
        if has_window:
            inside = found.count(members, chosen.channels, chosen.years, window=True)
        legend.append(
            {
                "group": name,
                "label": group_label(name, demo=normalised.demo),
                "colour": GROUP_STYLES[members[0]].colour if len(members) == 1 else None,
                "whole": whole.to_json(),
                "window": None if inside is None else inside.to_json(),
            }
        )
    return legend


_LABELS = {
    "higgs": "H → ZZ* → 4ℓ",
    "zz": "ZZ, Zγ* → 4ℓ",
    "ttbar": "tt\u0305",
    "dy": "Z/γ* + jets",
    "other": "Other",
    "expected": "All simulation",
}


def group_label(group: str, *, demo: bool) -> str:
    """Return the name of a group in plain text."""
    if group == "data":
        return "Pseudo-data" if demo else "Data"
    return _LABELS.get(group, group)
