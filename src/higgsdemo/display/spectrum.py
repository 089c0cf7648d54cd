"""A spectrum in characters: the stack in colours, the data as points, to an eighth of a row."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from rich.style import Style
from rich.text import Text

from higgsdemo.display.style import GROUP_STYLES, STACK
from higgsdemo.inference import Normalised

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_SPARKS = "▁▂▃▄▅▆▇█"
_LABEL = 5  # columns left of the bars
_DATA = "●"

Array = npt.NDArray[np.float64]


def spectrum_text(normalised: Normalised, width: int, height: int) -> list[Text]:
    """Return the spectrum as lines of at most `width` columns, `height` rows of bars and an axis.

    Neighbouring bins are joined where there is no room for each.
    """
    room = max(1, width - _LABEL - 1)
    bins = normalised.axis.bins
    join = math.ceil(bins / room)
    columns = math.ceil(bins / join)
    wide = max(1, room // columns)
    groups = [group for group in STACK if group in normalised.groups]
    layers = [_joined(normalised.spectrum([group]).contents, join) for group in groups]
    stack = np.cumsum(layers, axis=0) if layers else np.zeros((0, columns))
    data = _joined(normalised.spectrum(["data"]).contents, join)
    top = _round_up(max([*data, *(stack[-1] if layers else [0.0]), 1.0]))
    colours = [GROUP_STYLES[group].colour for group in groups]
    rows: list[Text] = []
    for row in reversed(range(height)):
        mark = top * (row + 1) / height
        label = f"{mark:{_LABEL - 1}.4g} " if row in (height - 1, height // 2 - 1) else " " * _LABEL
        line = Text(label[:_LABEL], style="dim", no_wrap=True)
        line.append("▏", style="dim")
        for column in range(columns):
            reach = stack[:, column] * (height / top) - row
            # A point lies in the row that its bar would end in.
            point = data[column] > 0 and math.ceil(data[column] * height / top) - 1 == row
            line.append_text(_cell(reach, colours, wide, point=point))
        rows.append(line)
    return [*rows, *_axis(normalised, columns * wide, join * columns)]


def legend(normalised: Normalised) -> Text:
    """Return what the colours and points stand for."""
    text = Text(" " * (_LABEL + 1), no_wrap=True)
    if "data" in normalised.groups:
        text.append(_DATA, style="bold")
        text.append(" pseudo-data  " if normalised.demo else " data  ")
    for group in reversed([one for one in STACK if one in normalised.groups]):
        text.append("█", style=GROUP_STYLES[group].colour)
        text.append(f" {GROUP_STYLES[group].plain}  ")
    text.rstrip()
    return text


def sparkline(values: list[float], width: int) -> str:
    """Return a curve in one line; the last value is its last character."""
    if not values:
        return ""
    picked = [values[round(i * (len(values) - 1) / max(1, width - 1))] for i in range(width)]
    if len(values) < width:
        picked = values
    top = max(*picked, 1e-9) if len(picked) > 1 else max(picked[0], 1e-9)
    last = len(_SPARKS) - 1
    return "".join(_SPARKS[min(last, max(0, round(last * value / top)))] for value in picked)


def _cell(reach: Array, colours: list[str], wide: int, *, point: bool) -> Text:
    """Return one row of one bin; `reach` is how far each layer goes above the row's foot."""
    inside = [i for i, height in enumerate(reach) if height > 0.0625]
    if not inside:
        return _mark(" " * wide, Style(), point=point)
    lowest = inside[0]
    if reach[lowest] >= 0.9375:  # one colour fills the row
        return _mark("█" * wide, Style(color=colours[lowest]), point=point)
    part = _EIGHTHS[max(1, round(8 * float(reach[lowest])))]
    above = next((i for i in inside[1:] if reach[i] - reach[lowest] >= 0.5), None)
    style = Style(color=colours[lowest], bgcolor=None if above is None else colours[above])
    return _mark(part * wide, style, point=point)


def _mark(cells: str, style: Style, *, point: bool) -> Text:
    text = Text(cells, style=style)
    if not point:
        return text
    middle = (len(cells) - 1) // 2
    under = style.color if cells[0] == "█" else style.bgcolor
    marked = text[:middle]
    marked.append(_DATA, style=Style(color="black" if under else None, bgcolor=under, bold=True))
    marked.append_text(text[middle + 1 :])
    return marked


def _axis(normalised: Normalised, length: int, bins: int) -> list[Text]:
    axis = normalised.axis
    step = (axis.upper - axis.lower) / axis.bins
    reach = step * bins
    ticks = _ticks(axis.lower, axis.lower + reach, max(2, length // 10))
    line = [*("─" * length)]
    labels = [*(" " * length)]
    for tick in ticks:
        at = int((tick - axis.lower) / reach * length)
        if at > length - 3:
            continue
        line[at] = "┴"
        said = f"{tick:g}"
        begin = max(0, at - len(said) // 2)
        labels[begin : begin + len(said)] = said
    under = "".join(labels).rstrip()
    unit = f" {axis.unit}" if axis.unit else ""
    margin = " " * (_LABEL + 1)
    return [
        Text(" " * _LABEL + "└" + "".join(line), style="dim", no_wrap=True),
        Text(f"{margin}{under}{unit}", style="dim", no_wrap=True),
    ]


def _ticks(lower: float, upper: float, most: int) -> list[float]:
    rough = (upper - lower) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(lower / step)
    return [number * step for number in range(first, math.floor(upper / step) + 1)]


def _joined(contents: Array, join: int) -> Array:
    padded = np.pad(contents, (0, -contents.size % join))
    summed: Array = padded.reshape(-1, join).sum(axis=1)
    return summed


def _round_up(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * f for f in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if power * f >= value)
