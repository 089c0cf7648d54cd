"""`status`: counts that add up, failures grouped by cause."""

from pathlib import Path
from typing import Any

HERE = ("--workflow", "scripted", "--no-plot")


def test_without_runs_it_says_how_to_start_one(higgsdemo: Any) -> None:
    said = higgsdemo("status")
    assert said.status == 0
    assert "higgsdemo run" in said.out


def test_all_runs_are_listed(higgsdemo: Any, scripts: Any) -> None:
    for name in ("one", "two"):
        higgsdemo("run", scripts(a={}), *HERE, "--run", name)
    said = higgsdemo("status")
    assert [word in said.out for word in ("one", "two")] == [True, True]
    assert higgsdemo("status", "--json").json["two"]["done"] == 1


def test_failures_are_grouped_by_cause_with_an_example(higgsdemo: Any, scripts: Any) -> None:
    folder = scripts(
        a={"do": "transient"}, b={"do": "transient"}, c={"do": "transient", "times": 1}, d={}
    )
    higgsdemo("run", folder, *HERE, "--run", "r", "--tries", 2)
    said = higgsdemo("status", "r")
    assert said.status == 1
    assert "4 planned = 2 done + 2 failed (2 transient) + 0 running + 0 queued" in said.out
    assert said.out.count("the server is busy") == 2  # each names its own file
    every = higgsdemo("status", "r", "--attempts", "--json").json
    assert {problem["example"] for problem in every["problems"]} == {
        "a: a.root", "b: b.root", "c: c.root",
    }  # fmt: skip


def test_tracebacks_are_shown_when_asked_for(higgsdemo: Any, scripts: Any) -> None:
    higgsdemo("run", scripts(a={"do": "bug"}), *HERE, "--run", "r")
    assert "Traceback" not in higgsdemo("status", "r").out
    assert "ZeroDivisionError" in higgsdemo("status", "r", "--traceback").out


def test_one_unreadable_run_does_not_hide_the_others(higgsdemo: Any, scripts: Any) -> None:
    for name in ("good", "bad"):
        higgsdemo("run", scripts(a={}), *HERE, "--run", name)
    Path("runs/bad/ledger.sqlite").write_text("no ledger at all")
    said = higgsdemo("status")
    assert said.status == 0
    assert "good" in said.out
    assert "bad: the ledger cannot be read" in said.out
    assert "error" in higgsdemo("status", "--json").json["bad"]


def test_a_run_that_cannot_be_read_is_a_run(higgsdemo: Any, scripts: Any) -> None:
    higgsdemo("run", scripts(a={}), *HERE, "--run", "bad")
    Path("runs/bad/ledger.sqlite").write_text("no ledger at all")
    said = higgsdemo("status")
    assert "bad: the ledger cannot be read" in said.out
    assert "no runs" not in said.out


def test_how_well_it_went_is_kept_and_shown(higgsdemo: Any, scripts: Any) -> None:
    higgsdemo("run", scripts(a={}, b={}), *HERE, "--run", "r", "--metrics-port", "0")
    said = higgsdemo("status", "r")
    assert "10 events of 2 files" in said.out
    assert "CPU efficiency" in said.out
    record = higgsdemo("status", "r", "--json").json["performance"]
    assert (record["tasks"], record["events"]) == (2, 10)
    assert record["event_rate_per_core"] > 0
