"""The spectrum in characters: what is drawn is what is there."""

from dataclasses import replace

import numpy as np
import pytest

from higgsdemo.display.spectrum import legend, sparkline, spectrum_text
from higgsdemo.inference import Normalised, normalise
from higgsdemo.model import Axis, Totals
from tests.inference.builders import sample, totals_of

AXIS = Axis(8, 0.0, 80.0, "x", "GeV")


def spectrum(data: list[int], zz: list[int], higgs: list[int], *, axis: Axis = AXIS) -> Normalised:
    """A spectrum with weights of 1."""
    parts = (
        totals_of(sample("data", "data"), {"4mu": data}, axis=axis, luminosity_pb=1.0),
        totals_of(sample("zz", "zz", cross_section_pb=1.0), {"4mu": zz}, axis=axis, generated=1.0),
        totals_of(
            sample("h", "higgs", cross_section_pb=1.0), {"4mu": higgs}, axis=axis, generated=1.0
        ),
    )
    return normalise(Totals("r", {one.sample.name: one for one in parts}), "m4l")


def test_heights_are_those_of_the_stack_and_points_stand_at_the_data() -> None:
    drawn = spectrum_text(
        spectrum([0, 0, 4, 0, 0, 8, 0, 0], [8, 4, 2, 0, 0, 1, 0, 0], [0, 4, 0, 0, 0, 7, 0, 0]),
        width=14,
        height=4,
    )
    assert [line.plain for line in drawn] == [
        "   8 ▏██   ●  ",
        "     ▏██   █  ",
        "   4 ▏██●  █  ",
        "     ▏███  ▄  ",
        "     └┴────┴──",
        "      0   50 GeV",
    ]


@pytest.mark.parametrize("width", [14, 30, 80, 200])
@pytest.mark.parametrize("bins", [1, 8, 37, 300])
def test_it_fits_whatever_the_width(width: int, bins: int) -> None:
    axis = Axis(bins, 70.0, 181.0, "m4l", "GeV")
    counts = [number % 5 for number in range(bins)]
    lines = spectrum_text(spectrum(counts, counts, counts, axis=axis), width, 6)
    assert len(lines) == 8
    assert max(line.cell_len for line in lines[:-1]) <= width


def test_an_empty_spectrum_is_an_empty_frame() -> None:
    lines = spectrum_text(spectrum([0] * 8, [0] * 8, [0] * 8), 30, 5)
    assert not set("".join(line.plain for line in lines[:5])) & set("▁▂▃▄▅▆▇█●")


def test_data_alone_and_unknown_numbers_do_not_break_it() -> None:
    full = spectrum([1] * 8, [1] * 8, [1] * 8)
    only = replace(full, templates=tuple(one for one in full.templates if one.group == "data"))
    assert "●" in "".join(line.plain for line in spectrum_text(only, 30, 5))
    assert legend(only).plain.strip() == "● data"
    assert legend(full).plain.split() == ["●", "data", "█", "Higgs", "█", "ZZ"]


def test_joined_bins_keep_their_sum() -> None:
    fine = Axis(16, 0.0, 80.0, "x", "GeV")
    narrow = spectrum_text(spectrum([0] * 16, [1] * 16, [0] * 16, axis=fine), 14, 4)
    assert narrow[0].plain.startswith("   2 ▏████████")


def test_sparklines() -> None:
    assert sparkline([], 5) == ""
    assert sparkline([0, 1, 2], 10) == "▁▅█"
    curve = sparkline([float(x) for x in np.linspace(0, 3, 100)], 8)
    assert (len(curve), curve[0], curve[-1]) == (8, "▁", "█")
    assert sparkline([0.0, 0.0], 4) == "▁▁"
