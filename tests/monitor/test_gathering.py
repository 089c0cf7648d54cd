"""Collecting beside whatever else a command does."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.errors import CredentialsError
from higgsdemo.monitor.gathering import Gathering
from higgsdemo.sinks import open_sink, open_sinks
from tests.ledger.builders import result_of
from tests.monitor.builders import new_run

WAIT_S = 60


def until(look: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not look():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_a_bug_in_the_thread_is_raised_and_not_waited_for(tmp_path: Path) -> None:
    def broken() -> Any:
        raise ZeroDivisionError("a bug")

    run = new_run(tmp_path)
    with Gathering(run, broken) as one:
        until(lambda: one.failed, "the bug")
        with pytest.raises(ZeroDivisionError, match="a bug"):
            one.check()
        assert "a bug" in one.standing.notes[0]
    assert not run.driven


def test_what_a_sink_refuses_is_raised_or_waited_for(tmp_path: Path) -> None:
    def refused() -> Any:
        raise CredentialsError("no", why="wrong password")

    run = new_run(tmp_path)
    with Gathering(run, refused) as one:
        until(lambda: one.failed, "the refusal")
        with pytest.raises(CredentialsError):
            one.check()
    with Gathering(run, refused, patient=True) as one:
        until(lambda: "wrong password" in one.standing.text, "the refusal")
        one.check()


def test_one_collects_and_another_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("higgsdemo.monitor.gathering.AGAIN_S", 0.05)
    run = new_run(tmp_path)
    url = (tmp_path / "sink").as_uri()
    (tmp_path / "sink").mkdir()
    tasks = run.manifest().tasks

    def done() -> int:
        with run.look() as ledger:
            return ledger.counts().done

    def deliver(some: Any) -> None:
        with open_sink(url) as sink:
            for task in some:
                sink.deliver(result_of(task), run.id)

    with Gathering(run, lambda: open_sinks([url])) as first:
        until(lambda: first.standing.state == "collecting", "the first")
        with Gathering(run, lambda: open_sinks([url])) as second:
            until(lambda: second.standing.state == "looking", "the second")
            assert "being driven by process" in second.standing.notes[0]
            deliver(tasks[:1])
            until(lambda: done() == 1, "the first result")
            first.stop()
            until(lambda: second.standing.state == "collecting", "its taking over")
            assert second.standing.notes == []
            deliver(tasks[1:])
            until(lambda: done() == len(tasks), "all results")
            until(lambda: not run.driven, "its end, now that all is in")
