import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from higgsdemo.display.plot import figure, plot
from higgsdemo.errors import RunError, UsageError
from higgsdemo.inference import normalise
from higgsdemo.model import Axis, Histogram, Totals
from tests.inference.builders import run, sample, totals_of

SIGNATURES = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


def words(drawn: Figure) -> str:
    (axes,) = drawn.axes
    legend = axes.get_legend()
    texts = [*drawn.texts, *axes.texts, *legend.get_texts(), legend.get_title()]
    return "\n".join(text.get_text() for text in texts).replace("\N{NO-BREAK SPACE}", " ")


def test_files(whole: Totals, tmp_path: Path) -> None:
    written = plot(whole, tmp_path / "new" / "m4l.v1")
    assert [path.name for path in written] == ["m4l.v1.png", "m4l.v1.pdf", "m4l.v1.svg"]
    for path in written:
        assert path.read_bytes().startswith(SIGNATURES[path.suffix[1:]])
    assert sorted((tmp_path / "new").iterdir()) == sorted(written)


def test_same_totals_same_bytes(whole: Totals, tmp_path: Path) -> None:
    for one, other in zip(plot(whole, tmp_path / "a"), plot(whole, tmp_path / "b"), strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_full_run_says_what_it_shows(whole: Totals) -> None:
    text = words(figure(whole))
    assert "Data (102)" in text
    assert "(9.7)" in text
    assert "(80.1)" in text
    assert "(0.07)" in text
    assert "(3.8)" in text
    assert "signal strength" in text
    assert r"3.0$\sigma$" in text
    assert "all 18 files" in text
    assert "SIMULATED" not in text


def test_stack_and_points_are_the_numbers(whole: Totals) -> None:
    (axes,) = figure(whole).axes
    normalised = normalise(whole)
    stairs = [one for one in axes.patches if type(one).__name__ == "StepPatch"]
    total = normalised.spectrum(["dy", "ttbar", "zz", "higgs"]).contents
    assert any(np.allclose(one.get_data().values, total) for one in stairs)
    heights = axes.containers[0].lines[0].get_ydata()
    counts = normalised.spectrum(["data"]).counts
    assert heights.tolist() == counts[counts > 0].tolist()


@pytest.mark.parametrize("which", ["whole", "partial", "demo", "only_data"])
def test_nothing_overlaps(which: str, request: pytest.FixtureRequest) -> None:
    """Points and stack stay below the texts, the footer below the axis, all inside the figure."""
    drawn = figure(request.getfixturevalue(which))
    drawn.canvas.draw()
    (axes,) = drawn.axes
    inside = [text for text in axes.texts if text.get_position()[1] < 1]
    boxes = [one.get_window_extent() for one in (*inside, axes.get_legend())]
    for bar in axes.containers[0].lines[2][0].get_paths():
        (x, low), (_, high) = axes.transData.transform(bar.vertices)
        for box in boxes:
            assert not (box.x0 < x < box.x1 and low < box.y1 and high > box.y0)
    frame = drawn.bbox
    (footer,) = drawn.texts
    label = axes.xaxis.label.get_window_extent()
    assert footer.get_window_extent().y1 < label.y0
    for text in (footer, axes.yaxis.label, *inside):
        box = text.get_window_extent()
        assert frame.x0 <= box.x0
        assert box.x1 <= frame.x1
        assert frame.y0 <= box.y0
        assert box.y1 <= frame.y1


def test_demo_data_are_marked_and_not_called_cms(demo: Totals, tmp_path: Path) -> None:
    text = words(figure(demo))
    assert "SIMULATED DEMO DATA" in text
    assert "CMS" not in text
    assert "Pseudo-data (82)" in text
    (path,) = plot(demo, tmp_path / "demo", formats=["svg"])
    assert "SIMULATED DEMO DATA" in path.read_text().split("</metadata>")[0]


def test_real_data_carry_the_name_of_cms_open_data(whole: Totals) -> None:
    text = words(figure(whole))
    assert "CMS" in text
    assert "Open Data" in text


def test_run_in_progress_says_so(partial: Totals) -> None:
    text = words(figure(partial))
    assert "43 % of files" in text
    assert "5 files skipped" in text
    assert "+2 more" in text


def test_one_channel(whole: Totals) -> None:
    drawn = figure(whole, channel="4e")
    assert "Data (16)" in words(drawn)
    assert "$4e$ channel" in words(drawn)
    assert drawn.axes[0].get_xlabel() == "$m_{4e}$ [GeV]"


def test_only_data(only_data: Totals) -> None:
    text = words(figure(only_data))
    assert "Data (102)" in text
    assert "signal" not in text
    assert "error" not in text


def test_fit_can_be_left_out(whole: Totals) -> None:
    assert "signal strength" not in words(figure(whole, fit=False))


def test_other_variables_have_no_fit() -> None:
    one = totals_of(sample("d", "data"), {}, luminosity_pb=1.0)
    axis = Axis(10, 40.0, 120.0, "mZ1", "GeV")
    data = replace(one, histograms={"4mu/mZ1": Histogram.of(axis, [91.0, 92.0])})
    zz = replace(
        totals_of(sample("z", "zz", cross_section_pb=1.0), {}, generated=2.0),
        histograms=data.histograms,
    )
    drawn = figure(run(data, zz), variable="mZ1")
    assert "signal strength" not in words(drawn)
    assert drawn.axes[0].get_xlabel() == "$m_{Z_{1}}$ [GeV]"
    assert drawn.axes[0].get_ylabel() == "Events / 8 GeV"


def test_before_the_first_result(whole: Totals) -> None:
    empty = {
        name: replace(
            one, histograms={}, files=0, tasks=0, events=0, generated_events=0.0,
            luminosity_pb=0.0 if one.sample.is_data else None,
        )
        for name, one in whole.samples.items()
    }  # fmt: skip
    text = words(figure(Totals("empty", empty))).replace("\n", " ")
    assert "0 % of files" in text
    assert "signal strength not computed: no data luminosity is in yet" in text
    assert "nan" not in text


def test_settings_do_not_leak(whole: Totals) -> None:
    before = dict(matplotlib.rcParams)
    figure(whole)
    assert dict(matplotlib.rcParams) == before


def test_unknown_format_and_channel(whole: Totals, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="pgn") as refusal:
        plot(whole, tmp_path / "x", formats=["pgn"])
    assert refusal.value.nearest == ("png",)
    with pytest.raises(UsageError, match="4m"):
        plot(whole, tmp_path / "x", channel="4m")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_a_clear_error(whole: Totals, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(RunError, match=r"m4l\.png cannot be written") as refusal:
        plot(whole, blocked / "m4l", formats=["png"])
    assert refusal.value.where == str(blocked)
    assert refusal.value.why


def test_a_failed_write_keeps_the_old_file_and_leaves_no_draft(
    whole: Totals, tmp_path: Path
) -> None:
    (tmp_path / "m4l.png").mkdir()  # cannot be replaced by a file
    with pytest.raises(RunError):
        plot(whole, tmp_path / "m4l", formats=["png"])
    assert [path.name for path in tmp_path.iterdir()] == ["m4l.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_a_clear_error(whole: Totals, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(RunError, match="cannot be written"):
            plot(whole, tmp_path / "m4l", formats=["png"])
    finally:
        tmp_path.chmod(0o700)


def test_no_window_system_is_needed_or_touched() -> None:
    program = (
        "import sys, higgsdemo.display.plot as plot, matplotlib;"
        "assert plot.figure;"
        "from higgsdemo.model import Totals;"
        "plot.figure(Totals('none', {}));"
        "assert 'tkinter' not in sys.modules and 'PyQt6' not in sys.modules"
    )
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, timeout=60)
