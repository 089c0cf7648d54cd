import dataclasses
from pathlib import Path

from higgsdemo.display.dashboard import sections
from higgsdemo.errors import Cause
from higgsdemo.ledger import Problem
from higgsdemo.model import Failure
from higgsdemo.monitor import Monitor, View
from tests.display.dashboard.builders import deliver, make_run


def half(tmp_path: Path) -> View:
    run = make_run(tmp_path)
    deliver(run, "DoubleMu", "Higgs", "ZZ4mu")
    tasks = [task for task in run.manifest().tasks if task.sample == "ZZ4e"]
    with run.ledger() as ledger:
        for task in tasks[:2]:
            ledger.start(task.id, "cluster/job/1")
        ledger.fail(Failure(tasks[0].id, Cause.BAD_INPUT, "cut\x1b[2Joff", None), again=False)
    with Monitor(run) as monitor:
        monitor.refresh()
        return monitor.refresh()


def test_plain_text_keeps_lines_and_says_what_it_cut() -> None:
    assert sections.plain("a\tb\nc\x1b\x00\u202e") == "a\tb\nc\ufffd\ufffd\ufffd"
    assert sections.plain("x" * 10, 4) == "xxxx\n… and 6 more characters"


def test_captions_are_readable() -> None:
    caption = "luminosity 2.3 of 11.6 fb$^{-1}$ (8\N{NO-BREAK SPACE}TeV), a\\$b"
    assert sections.readable(caption) == "luminosity 2.3 of 11.6 fb⁻¹ (8 TeV), a$b"


def test_the_overview_adds_up(tmp_path: Path) -> None:
    seen = sections.overview(half(tmp_path))
    states = (seen["done"], seen["failed"], seen["running"], seen["queued"])
    assert states == (12, 1, 1, 10)
    assert seen["planned"] == sum(states)
    assert (seen["state"], seen["causes"]) == ("running", {"bad-input": 1})
    assert seen["luminosity"] == [{"sqrt_s_tev": 8.0, "done_pb": 8000.0, "planned_pb": 8000.0}]


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    seen = sections.completeness(half(tmp_path))
    data, simulated = seen["missing"]
    assert data.startswith("Nothing is in of DoubleElectron")
    assert "ZZ4e, ZZ2mu2e" in simulated
    by_name = {one["name"]: one for one in seen["samples"]}
    assert by_name["DoubleElectron"]["luminosity_pb"] == [0.0, 8000.0]
    assert by_name["Higgs"]["generated"] == [4000.0, 4000.0]
    assert "\ufffd" not in "".join(seen["lines"])


def test_failures_and_where_it_runs(tmp_path: Path) -> None:
    view = half(tmp_path)
    (group,) = sections.problems(view)["groups"]
    assert (group["cause"], group["message"]) == ("bad-input", "cut\ufffd[2Joff")
    shown = sections.problem(view, group["name"])
    assert shown is not None
    assert shown["message"] == group["message"]
    assert sections.problem(view, "0" * 16) is None


def test_a_click_opens_the_failures_it_was_made_on(tmp_path: Path) -> None:
    """Also when others, more frequent, have come before them meanwhile."""
    view = half(tmp_path)
    (group,) = sections.problems(view)["groups"]
    more = Problem("bug", "another one", 99, "x", None)
    later = dataclasses.replace(view, problems=(more, *view.problems))
    shown = sections.problem(later, group["name"])
    assert shown is not None
    assert shown["cause"] == "bad-input"
    assert len({one["name"] for one in sections.problems(later)["groups"]}) == 2


def test_where_it_runs(tmp_path: Path) -> None:
    view = half(tmp_path)
    assert sections.throughput(view)["places"] == [["cluster", 1]]
