"""Forecast against fact: from the ledger, without the pauses."""

import json
import time
from pathlib import Path

import pytest

from higgsdemo.errors import Cause
from higgsdemo.ledger import create_run
from higgsdemo.plan import Fact, measure, record_fact
from tests.ledger.builders import SAMPLES, failure_of, make_tasks, result_of


def test_what_a_run_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tasks overlap, then a pause, then a task that fails once and is done later."""
    tasks = make_tasks(3)
    record = {"forecast": {"seconds": 4.0}}
    run = create_run(tmp_path, "r", record=record, samples=SAMPLES, tasks=tasks)
    now = [0.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    with run.ledger() as ledger:

        def at(moment: float) -> None:
            now[0] = 1000 + moment

        at(0)
        ledger.start(tasks[0].id, "a")
        at(1)
        ledger.start(tasks[1].id, "b")
        at(3)
        ledger.deliver(result_of(tasks[0]))
        at(4)
        ledger.deliver(result_of(tasks[1]))
        at(100)
        ledger.start(tasks[2].id, "a")
        at(102)
        ledger.fail(failure_of(tasks[2], Cause.TRANSIENT), again=True)
        assert measure(ledger) == Fact(2, 200, 6.0, 3)
        at(110)
        ledger.start(tasks[2].id, "a")
        at(112)
        ledger.deliver(result_of(tasks[2]))
    document = record_fact(run)
    assert document["fact"] == {"tasks": 3, "size_bytes": 300, "seconds": 8.0, "attempts": 4}
    assert document["fact_over_forecast"] == 2.0
    assert json.loads((run.path / "forecast.json").read_text()) == document
    assert [path.name for path in run.path.glob(".*")] == []


def test_a_run_without_a_forecast_and_without_results(tmp_path: Path) -> None:
    run = create_run(tmp_path, "r", record={}, samples=SAMPLES, tasks=make_tasks(2))
    document = record_fact(run)
    assert document["forecast"] is None
    assert document["fact_over_forecast"] is None
    assert document["fact"]["seconds"] == 0.0
