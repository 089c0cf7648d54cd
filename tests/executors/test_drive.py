"""Driving a run: failures by cause, on the real local engine and ledger."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from higgsdemo.errors import Cause
from higgsdemo.executors import Event, LocalExecutor, Outcome, Policy, Started, drive
from higgsdemo.ledger import Counts, Ledger
from higgsdemo.model import Failure, Task

Script = Callable[..., Task]


class Watcher:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.counts: list[Counts] = []

    def on_event(self, event: Event) -> None:
        self.events.append(event)

    def on_counts(self, counts: Counts) -> None:
        self.counts.append(counts)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.create(tmp_path / "ledger.sqlite", "test", "digest") as made:
        yield made


def driven(ledger: Ledger, tasks: list[Task], workers: int = 2, **policy: object) -> Outcome:
    if not ledger.counts().planned:
        ledger.plan(tasks)
    rules = dataclasses.replace(Policy(backoff_s=0.01), **policy)  # type: ignore[arg-type]
    watcher = Watcher()
    outcome = drive(ledger, {t.id: t for t in tasks}, LocalExecutor(workers), rules, watcher)
    for counts in watcher.counts:  # promise P1, whenever anyone looked
        assert counts.planned == counts.done + counts.running + counts.queued + sum(
            counts.failed.values()
        )
    assert outcome.counts.running == 0
    return outcome


def test_all_tasks_are_done(ledger: Ledger, script: Script) -> None:
    outcome = driven(ledger, [script(str(i), events=i) for i in range(10)])
    assert outcome.counts.done == 10
    assert outcome.stopped_by is None
    assert ledger.delivered_events() == sum(range(10))


def test_a_transient_failure_is_tried_again(ledger: Ledger, script: Script) -> None:
    task = script("flaky", do="transient", times=2)
    outcome = driven(ledger, [task])
    assert outcome.counts.done == 1
    assert [row["outcome"] for row in ledger.attempts(task.id)] == ["transient"] * 2 + ["done"]


def test_a_killed_worker_costs_an_attempt(ledger: Ledger, script: Script) -> None:
    tasks = [script("dies", do="die", times=1), *(script(str(i)) for i in range(5))]
    assert driven(ledger, tasks).counts.done == 6


def test_what_always_fails_stops_after_its_tries_and_is_counted(
    ledger: Ledger, script: Script
) -> None:
    tasks = [script("never", do="transient"), script("fine")]
    outcome = driven(ledger, tasks, tries=2)
    assert outcome.counts.failed == {"transient": 1}
    assert outcome.counts.done == 1
    (problem,) = ledger.problems()
    assert (problem.cause, problem.tasks) == ("transient", 1)
    assert "the server is busy" in problem.message
    assert len(ledger.attempts(tasks[0].id)) == 2


def test_a_bad_file_stops_the_run_and_nothing_more_is_started(
    ledger: Ledger, script: Script
) -> None:
    tasks = [script("bad", do="bad"), *(script(str(i), sleep=0.05) for i in range(20))]
    outcome = driven(ledger, tasks, workers=1)
    assert outcome.stopped_by is not None
    assert outcome.stopped_by.cause is Cause.BAD_INPUT
    assert outcome.counts.failed == {"bad-input": 1}
    assert outcome.counts.queued == 20
    assert len(ledger.attempts(tasks[0].id)) == 1  # never retried blindly


def test_bad_files_are_left_out_when_that_is_asked_for(ledger: Ledger, script: Script) -> None:
    tasks = [script("bad", do="bad"), *(script(str(i)) for i in range(5))]
    outcome = driven(ledger, tasks, skip_bad_files=True)
    assert outcome.stopped_by is None
    assert (outcome.counts.done, outcome.counts.failed) == (5, {"bad-input": 1})
    assert [label for _, _, label in ledger.failed(Cause.BAD_INPUT)] == ["s: bad"]


def test_a_bug_stops_the_run_at_once_with_its_traceback(ledger: Ledger, script: Script) -> None:
    tasks = [script("slow", sleep=60), script("bug", do="bug"), script("never started")]
    outcome = driven(ledger, tasks)
    assert outcome.stopped_by is not None
    assert outcome.stopped_by.cause is Cause.BUG
    assert "ZeroDivisionError" in (outcome.stopped_by.traceback or "")
    assert outcome.counts.queued == 2
    assert ledger.attempts(tasks[0].id)[0]["outcome"] == "interrupted"


def test_being_locked_out_stops_the_run_at_once(ledger: Ledger, script: Script) -> None:
    tasks = [script("slow", sleep=60), script("out", do="locked out"), script("never started")]
    outcome = driven(ledger, tasks, skip_bad_files=True)
    assert outcome.stopped_by is not None
    assert outcome.stopped_by.cause is Cause.CREDENTIALS
    assert "the token has expired" in outcome.stopped_by.message
    assert outcome.stopped_by.traceback is None
    assert outcome.counts.failed == {"credentials": 1}
    assert outcome.counts.queued == 2
    assert len(ledger.attempts(tasks[1].id)) == 1  # it would not fare better


def test_a_task_killed_for_memory_gets_more(ledger: Ledger, script: Script) -> None:
    task = script("hog", do="hog", hog=300_000_000)
    outcome = driven(ledger, [task], memory_bytes=200_000_000, memory_cap_bytes=800_000_000)
    assert outcome.counts.done == 1
    assert [row["outcome"] for row in ledger.attempts(task.id)] == ["resources", "done"]


def test_a_run_goes_on_where_it_was(ledger: Ledger, script: Script) -> None:
    tasks = [script("bad", do="bad", times=1), *(script(str(i)) for i in range(5))]
    first = driven(ledger, tasks, workers=1)
    assert first.counts.done < 6
    ledger.requeue_failed()
    second = driven(ledger, tasks)
    assert second.counts.done == 6
    assert len(ledger.attempts(tasks[0].id)) == 2


def test_policy_memory_doubles_up_to_its_cap() -> None:
    policy = Policy(memory_bytes=100, memory_cap_bytes=350)
    assert [policy.memory(kills) for kills in range(4)] == [100, 200, 350, 350]
    assert Policy(memory_bytes=0, memory_cap_bytes=10).memory(3) == 0


def test_policy_preempted_is_never_the_tasks_fault() -> None:
    policy = Policy(tries=1)
    assert policy.again(Failure("t", Cause.PREEMPTED, ""), tries=100)
    assert policy.again(Failure("t", Cause.LOST, ""), tries=0)
    assert not policy.again(Failure("t", Cause.LOST, ""), tries=1)
    assert not policy.again(Failure("t", Cause.BAD_INPUT, ""), tries=0)


def test_policy_delay_grows_with_jitter_to_its_cap() -> None:
    policy = Policy(backoff_s=1, backoff_cap_s=5)
    assert 0.5 <= policy.delay(1) <= 1
    assert 2 <= policy.delay(3) <= 4
    assert 2.5 <= policy.delay(50) <= 5


def test_started_names_the_place() -> None:
    assert Started("t", "local process 1").place == "local process 1"
