"""The figures, empty, as BokehJS embeds them; the page fills their sources by name.

There is no JavaScript in them (no `CustomJS`): the page's policy forbids code made from text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bokeh.embed import json_item
from bokeh.models import (
    BoxAnnotation,
    ColumnDataSource,
    DatetimeTickFormatter,
    HoverTool,
    NumeralTickFormatter,
    Range1d,
)
from bokeh.plotting import figure

from higgsdemo.display.dashboard.selection import FLOOR, group_label
from higgsdemo.display.style import GROUP_STYLES, STACK
from higgsdemo.model import Group


@dataclass(frozen=True, slots=True)
class Look:
    """How figures look: on a dark page, with a logarithmic ordinate, for a stage."""

    dark: bool = False
    log: bool = False
    stage: bool = False

    @property
    def ink(self) -> str:
        """The colour of text and of the data points."""
        return "#f2f4f8" if self.dark else "#16191f"

    @property
    def faint(self) -> str:
        """The colour of lines that lie behind."""
        return "#39404d" if self.dark else "#dfe3ea"

    @property
    def text_px(self) -> int:
        """The size of texts."""
        return 24 if self.stage else 14


EXPECTED, OBSERVED = "#5790fc", "#e42536"
SPEED = {False: "#1f6f5c", True: "#7fd6bf"}


def spectrum(groups: tuple[Group, ...], look: Look, *, demo: bool) -> dict[str, Any]:
    """Return the stacked spectrum of these groups."""
    drawn = _figure(
        look,
        name="spectrum",
        x_range=Range1d(70, 181, name="x"),
        y_range=Range1d(FLOOR * 10 if look.log else 0, 10, name="y"),
        y_axis_type="log" if look.log else "linear",
        tools="pan,xbox_zoom,wheel_zoom,reset",
        active_drag="xbox_zoom",
    )
    drawn.xaxis.name, drawn.yaxis.name = "x-axis", "y-axis"
    drawn.add_layout(
        BoxAnnotation(
            name="window",
            left=0,
            right=0,
            fill_color=OBSERVED,
            fill_alpha=0.14 if look.dark else 0.09,
            line_color=None,
            level="underlay",
        )
    )
    sides = {"left": "left", "right": "right", "bottom": "bottom", "top": "top"}
    stacked = [group for group in STACK if group in groups]
    for group in stacked:
        colour = GROUP_STYLES[group].colour
        source = ColumnDataSource({side: [] for side in sides}, name=f"source-stack-{group}")
        drawn.quad(
            **sides, source=source, fill_color=colour, line_color=colour, line_width=0.5
        )  # fmt: skip
    drawn.quad(
        **sides,
        source=ColumnDataSource({side: [] for side in sides}, name="source-error"),
        fill_color=None,
        line_color=None,
        hatch_pattern="right_diagonal_line",
        hatch_color=look.ink,
        hatch_alpha=0.55,
        hatch_scale=7,
        hatch_weight=0.8,
    )
    data = ColumnDataSource({name: [] for name in ("x", "y", "low", "high")}, name="source-data")
    thick = 3.2 if look.stage else 1.8
    drawn.segment("x", "low", "x", "high", source=data, line_color=look.ink, line_width=thick)
    drawn.scatter("x", "y", source=data, size=13 if look.stage else 8, color=look.ink)
    columns = ["left", "right", "top", *stacked, "total", "error", "data"]
    cells = drawn.quad(
        left="left",
        right="right",
        bottom=FLOOR,
        top="top",
        source=ColumnDataSource({name: [] for name in columns}, name="source-hover"),
        fill_alpha=0,
        line_alpha=0,
        hover_fill_color=look.ink,
        hover_fill_alpha=0.07,
        hover_line_alpha=0,
    )
    told = [("bin", "@left{0.##} to @right{0.##} GeV")]
    if "data" in groups:
        told.append((group_label("data", demo=demo), "@data"))
    told += [(group_label(group, demo=demo), f"@{group}{{0.00}}") for group in stacked[::-1]]
    if len(stacked) > 1:
        told.append(("All simulation", "@total{0.00} ± @error{0.00}"))
    drawn.add_tools(HoverTool(renderers=[cells], tooltips=told, point_policy="follow_mouse"))
    return dict(json_item(drawn))


def significance(look: Look) -> dict[str, Any]:
    """Return expected and observed significance against time."""
    drawn = _clock(look, "significance")
    source = ColumnDataSource(
        {n: [] for n in ("at", "expected", "observed")}, name="source-history"
    )
    width = 5 if look.stage else 2.5
    drawn.line(
        "at", "expected", source=source, color=EXPECTED, line_width=width, line_dash="dashed"
    )
    drawn.line("at", "observed", source=source, color=OBSERVED, line_width=width)
    drawn.scatter("at", "observed", source=source, color=OBSERVED, size=5)
    told = [
        ("time", "@at{%T}"),
        ("expected", "@expected{0.00} σ"),
        ("observed", "@observed{0.00} σ"),
    ]
    drawn.add_tools(HoverTool(tooltips=told, formatters={"@at": "datetime"}, mode="vline"))
    drawn.yaxis.axis_label = "significance (σ)"
    return dict(json_item(drawn))


def speed(look: Look) -> dict[str, Any]:
    """Return events per second against time."""
    drawn = _clock(look, "speed")
    source = ColumnDataSource({"at": [], "events": []}, name="source-speed")
    colour = SPEED[look.dark]
    drawn.varea("at", 0, "events", source=source, color=colour, fill_alpha=0.2)
    drawn.line("at", "events", source=source, color=colour, line_width=5 if look.stage else 2.5)
    drawn.yaxis.axis_label = "events/s"
    drawn.yaxis.formatter = NumeralTickFormatter(format="0,0")  # its "m" is no million
    return dict(json_item(drawn))


def _clock(look: Look, name: str) -> Any:
    """Return a figure of something against time, from 0 on."""
    drawn = _figure(look, name=name, x_axis_type="datetime", tools="")
    drawn.y_range.start = 0
    units = ("seconds", "minsec", "minutes", "hourmin", "hours")
    drawn.xaxis.formatter = DatetimeTickFormatter(
        **dict.fromkeys(units, "%H:%M:%S"),
        **dict.fromkeys(("microseconds", "milliseconds"), "%H:%M:%S.%3N"),
        days="%d %b",
        months="%d %b",
        years="%d %b %Y",
    )
    drawn.xaxis.ticker.desired_num_ticks = 4
    return drawn


def _figure(look: Look, **more: Any) -> Any:
    drawn = figure(
        sizing_mode="stretch_both",
        min_height=100,
        toolbar_location=None,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        output_backend="canvas",
        **more,
    )
    drawn.min_border = 6
    for axis in (drawn.xaxis, drawn.yaxis):
        axis.axis_line_color = axis.major_tick_line_color = look.ink
        axis.minor_tick_line_color = None
        axis.major_label_text_color = axis.axis_label_text_color = look.ink
        axis.major_label_text_font_size = f"{look.text_px}px"
        axis.axis_label_text_font_size = f"{look.text_px + 2}px"
        axis.axis_label_text_font_style = "normal"
        for part in ("major_label_text_font", "axis_label_text_font"):
            setattr(axis, part, "system-ui, sans-serif")
    drawn.grid.grid_line_color = look.faint
    drawn.xgrid.grid_line_color = None
    return drawn
