"""`watch` in a notebook: what a cell is given, and what is said outside of one.

Kernels and real cells: tests/test_notebooks.py.
"""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import higgsdemo
from higgsdemo.errors import RunError, UsageError
from higgsdemo.sinks import open_sink
from tests.ledger.builders import make_tasks, result_of
from tests.monitor.builders import new_run

TASKS = make_tasks(4)


class Cell:
    """What IPython gives for a display that can be updated."""

    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []

    def display(self, bundle: dict[str, str], *, raw: bool, display_id: bool) -> "Cell":
        assert raw
        assert display_id
        self.shown.append(bundle)
        return self

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        self.shown.append(bundle)


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    cell = Cell()
    monkeypatch.setattr("IPython.get_ipython", mock.MagicMock())
    monkeypatch.setattr("IPython.display.display", cell.display)
    return cell


def test_the_cell_follows_the_run_to_its_end(cell: Cell, tmp_path: Path) -> None:
    run = new_run(tmp_path, TASKS)
    live = higgsdemo.watch("r", runs=tmp_path, every_s=0.01)
    with run.ledger() as ledger:
        for task in TASKS:
            ledger.deliver(result_of(task))
    view = live.wait(100)
    assert view.complete
    last = cell.shown[-1]
    assert "4 planned = 4 done" in last["text/plain"]
    assert '<img alt="the spectrum' in last["text/html"]
    assert "data:image/png;base64,iVBOR" in last["text/html"]


def test_results_are_collected_from_a_sink(cell: Cell, tmp_path: Path) -> None:
    new_run(tmp_path / "runs", TASKS, "<script>".strip("<>"))
    (tmp_path / "sink").mkdir()
    url = f"file://{tmp_path}/sink"
    with open_sink(url) as sink:
        for task in TASKS:
            sink.deliver(result_of(task), "script")
    live = higgsdemo.watch(url, runs=tmp_path / "runs", every_s=0.01)
    assert live.wait(100).complete
    assert (tmp_path / "runs" / "script" / "performance.json").is_file()
    live.stop()


def test_what_others_wrote_is_text_in_the_cell(cell: Cell, tmp_path: Path) -> None:
    run = new_run(tmp_path / "runs", TASKS, "r")
    (tmp_path / "sink" / "r").mkdir(parents=True)
    with open_sink(f"file://{tmp_path}/sink") as sink:
        hostile = dataclasses.replace(result_of(TASKS[0]), version="<script>alert(1)</script>")
        sink.deliver(hostile, "r")  # refused, and the reason has its words
        for task in TASKS:
            sink.deliver(result_of(task), "r")
    live = higgsdemo.watch(f"file://{tmp_path}/sink", "r", runs=run.path.parent, every_s=0.01)
    assert live.wait(100).complete
    assert any("<script>alert" in shown["text/plain"] for shown in cell.shown)
    assert not any("<script" in shown["text/html"] for shown in cell.shown)


def test_what_ends_the_watching_is_raised(cell: Cell, tmp_path: Path) -> None:
    run = new_run(tmp_path, TASKS)
    (run.path / "ledger.sqlite").write_text("no ledger")
    live = higgsdemo.watch("r", runs=tmp_path, every_s=0.01)
    with pytest.raises(RunError, match="cannot be read"):
        live.wait(100)


def test_an_unknown_run_gets_the_nearest_names(cell: Cell, tmp_path: Path) -> None:
    new_run(tmp_path, TASKS, "h4l-2026")
    with pytest.raises(UsageError) as told:
        higgsdemo.watch("h4l-2062", runs=tmp_path)
    assert told.value.nearest == ("h4l-2026",)


def test_outside_a_notebook_the_command_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="in a notebook") as told:
        higgsdemo.watch("r", runs=tmp_path)
    assert "higgsdemo watch" in (told.value.hint or "")


def test_without_ipython_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", None)
    with pytest.raises(UsageError, match="no IPython") as told:
        higgsdemo.watch("r")
    assert "higgsdemo[notebook]" in (told.value.hint or "")


def test_importing_the_package_imports_no_drawing() -> None:
    code = "import sys; from higgsdemo import watch; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    names: Any = {name.partition(".")[0] for name in loaded.stdout.split()}
    assert not names & {"IPython", "matplotlib", "numpy", "rich"}
