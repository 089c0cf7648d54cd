"""The plot: the stacked four-lepton mass in the style of CMS Open Data, with what it stands on.

Figures are made without pyplot and without touching matplotlib's settings, so they can be drawn
anywhere: headless, in a notebook, in a dashboard. The same totals give the same files, byte for
byte, with the same versions of matplotlib and mplhep.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import mplhep
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from higgsdemo.display.captions import completeness_text, fit_text, luminosity_text, wrap
from higgsdemo.display.style import DEMO_MARK, GROUP_STYLES, STACK, axis_label, channel_label
from higgsdemo.errors import RunError, UsageError, nearest
from higgsdemo.inference import Normalised, garwood, normalise
from higgsdemo.inference import fit as fit_signal
from higgsdemo.model import Axis, Totals

Array = npt.NDArray[np.float64]

FORMATS = ("png", "pdf", "svg")

# No dates and no random ids in the files: the same plot is the same bytes.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": "higgsdemo"},
    "pdf": {"Creator": "higgsdemo", "CreationDate": None},
    "svg": {"Creator": "higgsdemo", "Date": None},
}
_SETTINGS = {
    **mplhep.style.CMS,
    "svg.hashsalt": "higgsdemo",
    "font.size": 24,
    "savefig.dpi": 100,
    "figure.dpi": 100,
    "mathtext.fallback": "cm",
    "hatch.linewidth": 0.8,
}
_FOOTER_WIDTH = 110  # characters of a line below the axes
_TEXT_WIDTH = 50  # and inside them, markup included


def plot(
    totals: Totals,
    destination: Path,
    *,
    variable: str = "m4l",
    channel: str | None = None,
    formats: Sequence[str] = FORMATS,
    fit: bool = True,
) -> list[Path]:
    """Draw a spectrum of a run into files and return their paths.

    Parameters
    ----------
    totals
        the sums of the run, complete or not
    destination
        path of the files without the ending; missing folders are made
    variable
        what to draw: histograms keyed "channel/variable"
    channel
        one channel; None is the sum of all
    formats
        of "png", "pdf", "svg"
    fit
        whether to print signal strength and significance (four-lepton masses only)

    Raises
    ------
    UsageError
        for an unknown format, channel or variable.
    RunError
        if a file cannot be written; no partial file is left.
    """
    for wanted in formats:
        if wanted not in FORMATS:
            raise UsageError(
                f"plots cannot be written as {wanted!r}",
                nearest=nearest(wanted, FORMATS) or FORMATS,
            )
    drawn = figure(totals, variable=variable, channel=channel, fit=fit)
    written = []
    title = f"{variable} of run {totals.run_id}" + (f", {DEMO_MARK}" if totals.demo else "")
    for ending in formats:
        path = destination.with_name(f"{destination.name}.{ending}")
        _write(drawn, path, ending, title)
        written.append(path)
    return written


def figure(
    totals: Totals, *, variable: str = "m4l", channel: str | None = None, fit: bool = True
) -> Figure:
    """Return the figure that `plot` writes; same arguments and errors."""
    normalised = normalise(totals, variable)
    if channel is not None:
        normalised = normalised.only(channel)
    simulated = any(group != "data" for group in normalised.groups)
    found = None
    if fit and simulated and variable.partition("_")[0] == "m4l":
        found = fit_signal(normalised)
    footer = [part for line in completeness_text(normalised) for part in wrap(line, _FOOTER_WIDTH)]
    with matplotlib.rc_context(_SETTINGS):
        drawn = Figure(figsize=(10, 10.5))
        FigureCanvasAgg(drawn)
        bottom = 0.1 + 0.021 * len(footer)
        axes = drawn.add_axes((0.125, bottom, 0.84, 0.945 - bottom))
        reach = _draw_simulation(axes, normalised)
        if "data" in normalised.groups:
            reach = np.maximum(reach, _draw_data(axes, normalised))
        _label(axes, normalised, channel)
        lines = [] if found is None else fit_text(found, mathtext=True)
        covered = _say(drawn, axes, lines, channel)
        _make_room(axes, normalised.axis, reach, covered)
        drawn.text(
            0.02, 0.01, "\n".join(footer), fontsize=13, color="#444444", va="bottom"
        )  # fmt: skip
    return drawn


def _draw_simulation(axes: Any, normalised: Normalised) -> Array:
    """Draw the stack and its error; return how high it reaches in each bin."""
    edges = normalised.axis.edges
    bottom = np.zeros(normalised.axis.bins)
    groups = [group for group in STACK if group in normalised.groups]
    for group in groups:
        style = GROUP_STYLES[group]
        contents = normalised.spectrum([group]).contents
        look: dict[str, Any] = {"facecolor": style.colour, "linewidth": 0, "zorder": 2}
        if group == "higgs":
            look = {"facecolor": "none", "edgecolor": style.colour, "linewidth": 2.5, "zorder": 4}
        axes.stairs(
            bottom + contents,
            edges,
            baseline=bottom,
            fill=True,
            label=f"{style.label} ({_events(float(contents.sum()))})",
            **look,
        )
        bottom = bottom + contents
    error = np.sqrt(normalised.spectrum(groups).variance)
    if error.any():
        axes.stairs(
            bottom + error,
            edges,
            baseline=np.maximum(bottom - error, 0),
            fill=True,
            facecolor="none",
            edgecolor="#333333",
            linewidth=0,
            hatch="////",
            zorder=3,
            label="Simulation stat. error",
        )
    return bottom + error


def _events(number: float) -> str:
    return f"{number:.1f}" if number == 0 or number >= 1 else f"{number:.2g}"


def _draw_data(axes: Any, normalised: Normalised) -> Array:
    """Draw the points and return how high they reach. Empty bins get none, as published."""
    counts = normalised.spectrum(["data"]).counts
    lower, upper = garwood(counts)
    edges = normalised.axis.edges
    seen = counts > 0
    name = "Pseudo-data" if normalised.demo else GROUP_STYLES["data"].label
    axes.errorbar(
        ((edges[:-1] + edges[1:]) / 2)[seen],
        counts[seen],
        yerr=[(counts - lower)[seen], (upper - counts)[seen]],
        fmt="o",
        color=GROUP_STYLES["data"].colour,
        markersize=7,
        linewidth=1.6,
        zorder=5,
        label=f"{name} ({counts.sum()})",
    )
    reach: Array = np.where(seen, upper, 0.0)
    return reach


def _label(axes: Any, normalised: Normalised, channel: str | None) -> None:
    axis = normalised.axis
    axes.set_xlim(axis.lower, axis.upper)
    axes.set_xlabel(axis_label(normalised.variable, axis.label, axis.unit, channel))
    axes.set_ylabel(f"Events / {axis.width:.3g} {axis.unit}".rstrip())
    right = luminosity_text(normalised.luminosity.values())
    size = 20 if len(right) < 60 else 14
    if normalised.demo:
        # Not CMS data: the experiment's name would claim what it is not.
        say: dict[str, Any] = {"transform": axes.transAxes, "va": "bottom", "fontsize": size}
        axes.text(0, 1.008, DEMO_MARK, color="#b00020", fontweight="bold", ha="left", **say)
        axes.text(1, 1.008, right, ha="right", **say)
    else:
        mplhep.cms.label("Open Data", data=True, rlabel=right, ax=axes, loc=0, fontsize=size)


def _say(drawn: Figure, axes: Any, lines: list[str], channel: str | None) -> Bbox:
    """Write the legend and below it the lines; return what they cover, in parts of the axes."""
    handles, names = axes.get_legend_handles_labels()
    title = None if channel is None else f"{channel_label(channel)} channel"
    legend = axes.legend(
        handles[::-1],
        names[::-1],
        loc="upper right",
        fontsize=18,
        title=title,
        title_fontsize=20,
        alignment="left",
    )
    covered = _extent(drawn, axes, [legend])
    wrapped = [part for line in lines for part in wrap(line, _TEXT_WIDTH)]
    if not wrapped:
        return covered
    text = axes.text(
        0.97,
        covered.y0 - 0.01,
        "\n".join(wrapped),
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=16,
    )
    return _extent(drawn, axes, [legend, text])


def _extent(drawn: Figure, axes: Any, boxes: list[Any]) -> Bbox:
    drawn.canvas.draw()  # sizes of texts are known once they are drawn
    covered = Bbox.union([box.get_window_extent() for box in boxes])
    return covered.transformed(axes.transAxes.inverted())


def _make_room(axes: Any, axis: Axis, reach: Array, covered: Bbox) -> None:
    """Choose the upper end of the ordinate so that nothing drawn runs into the texts."""
    highest = float(reach.max(initial=0.0))
    right_of = axis.lower + covered.x0 * (axis.upper - axis.lower)
    beside = float(reach[axis.edges[1:] > right_of].max(initial=0.0))
    free = max(covered.y0 - 0.03, 0.15)
    axes.set_ylim(0, max(highest / 0.94, beside / free) or 1.0)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 2.5, 5, 10]))


def _write(drawn: Figure, path: Path, ending: str, title: str) -> None:
    """Write the figure beside its destination, then move it there."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with matplotlib.rc_context(_SETTINGS):
                drawn.savefig(draft, format=ending, metadata={**_METADATA[ending], "Title": title})
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(
            f"the plot {path.name} cannot be written",
            where=str(path.parent),
            why=error.strerror or str(error),
            hint="choose another folder with --output, or make room there",
        ) from error
