"""Engines that tell late, twice or nonsense: driving neither ends early nor hangs.

The local engine cannot; engines over a network will. A scripted engine speaks the protocol.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from higgsdemo.errors import Cause
from higgsdemo.executors import Event, Outcome, Policy, Started, drive
from higgsdemo.ledger import Counts, Ledger
from higgsdemo.model import Failure, Output, Result, Task, TaskFile

A, B = (Task(sample="s", files=(TaskFile(name, name),)) for name in "ab")


class Engine:
    """Tells what its script says, one list of events a look."""

    name = "scripted"
    capacity = 5

    def __init__(self, *script: list[Event] | OSError) -> None:
        self.script = list(script)
        self.submitted: list[Task] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, task: Task, memory_bytes: int) -> None:
        self.submitted.append(task)

    def events(self, timeout: float) -> list[Event]:
        assert self.script, "driving does not end"
        told = self.script.pop(0)
        if isinstance(told, OSError):
            raise told
        return told


class Nobody:
    def on_event(self, event: Event) -> None: ...

    def on_counts(self, counts: Counts) -> None: ...


def result(task: Task) -> Result:
    return Result(task.id, "s", "w", "1", 1, Output(1, {}, {}))


def failure(task: Task, cause: Cause) -> Failure:
    return Failure(task.id, cause, "so it was told", "trace" if cause is Cause.BUG else None)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.create(tmp_path / "ledger.sqlite", "run", "digest") as made:
        made.plan([A, B])
        yield made


def driven(ledger: Ledger, engine: Any, **policy: Any) -> Outcome:
    rules = Policy(backoff_s=0, **policy)
    return drive(ledger, {A.id: A, B.id: B}, engine, rules, Nobody())


def test_a_late_result_and_that_of_the_retry_do_not_end_the_drive(ledger: Ledger) -> None:
    engine = Engine(
        [Started(A.id, "x"), Started(B.id, "x")],
        [failure(A, Cause.LOST), result(A)],
        [result(A)],
        [],
        [result(B)],
    )
    assert driven(ledger, engine).counts.done == 2
    assert engine.script == []


def test_a_result_after_the_last_try_does_not_hang(ledger: Ledger) -> None:
    engine = Engine([failure(A, Cause.LOST)], [result(A)], [result(B)])
    assert driven(ledger, engine, tries=1).counts.done == 2


def test_a_late_failure_of_a_done_task_stops_nothing(ledger: Ledger) -> None:
    outcome = driven(ledger, Engine([result(A), failure(A, Cause.BAD_INPUT)], [result(B)]))
    assert outcome.stopped_by is None
    assert outcome.counts.done == 2


def test_a_bug_after_a_bad_file_is_told(ledger: Ledger) -> None:
    outcome = driven(ledger, Engine([failure(A, Cause.BAD_INPUT)], [failure(B, Cause.BUG)]))
    assert outcome.stopped_by is not None
    assert outcome.stopped_by.cause is Cause.BUG


def test_a_failure_of_another_run_is_an_alarm(ledger: Ledger) -> None:
    stranger = Failure("feedfeedfeedfeed", Cause.LOST, "of another run")
    assert driven(ledger, Engine([stranger], [result(A), result(B)])).counts.done == 2
    assert "feedfeedfeedfeed" in ledger.alarms()[0]


def test_an_engine_that_breaks_leaves_nothing_running(ledger: Ledger) -> None:
    with pytest.raises(OSError, match="no more"):
        driven(ledger, Engine([Started(A.id, "x")], OSError("no more processes")))
    assert (ledger.counts().running, ledger.counts().queued) == (0, 2)
