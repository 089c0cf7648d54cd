"""The closing check: silent when all adds up, and only then."""

import contextlib
import dataclasses
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from higgsdemo.errors import Cause
from higgsdemo.ledger import Ledger, Manifest, closing_check
from higgsdemo.model import Task

from .builders import failure_of, make_task, make_tasks, manifest_of, new_ledger, result_of

TASKS = make_tasks(4)
MANIFEST = manifest_of(TASKS)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with new_ledger(tmp_path, TASKS) as made:
        yield made


@pytest.fixture
def closed(ledger: Ledger) -> Ledger:
    """A ledger that closes: three tasks done, one failed."""
    for task in TASKS[:3]:
        ledger.start(task.id, "here")
        ledger.deliver(result_of(task))
    ledger.fail(failure_of(TASKS[3], Cause.BAD_INPUT), again=False)
    assert closing_check(ledger, MANIFEST) == []
    return ledger


def tamper(ledger: Ledger, statement: str, *values: object) -> None:
    """Change the file behind the ledger's back."""
    with contextlib.closing(sqlite3.connect(ledger.path)) as connection:
        assert connection.execute(statement, values).rowcount > 0
        connection.commit()


def check(ledger: Ledger, manifest: Manifest = MANIFEST) -> str:
    return "; ".join(closing_check(ledger, manifest))


def test_run_that_waits_does_not_close(ledger: Ledger) -> None:
    assert check(ledger) == "0 tasks are running and 4 are queued"


def test_run_that_runs_does_not_close(closed: Ledger) -> None:
    closed.requeue_failed()
    closed.start(TASKS[3].id, "here")
    assert check(closed) == "1 tasks are running and 0 are queued"


def test_duplicates_and_late_failures_do_not_matter(closed: Ledger) -> None:
    closed.deliver(result_of(TASKS[0]))
    closed.fail(failure_of(TASKS[1], Cause.LOST), again=True)
    assert closing_check(closed, MANIFEST) == []


def test_alarm_does_not_close(closed: Ledger) -> None:
    closed.deliver(result_of(TASKS[1], shift=1))
    assert "another digest" in check(closed)


def test_fewer_events_than_planned(ledger: Ledger) -> None:
    for task in TASKS:
        ledger.deliver(result_of(task, events=1))
    said = closing_check(ledger, MANIFEST)
    assert said == [f"{task.label}: 1 events read, {task.events} planned" for task in TASKS[1:]]


def test_entry_ranges_are_checked_one_by_one(tmp_path: Path) -> None:
    ranges = [
        dataclasses.replace(make_task(9), start=start, stop=start + 5, events=5) for start in (0, 5)
    ]
    with new_ledger(tmp_path, ranges) as ledger:
        ledger.deliver(result_of(ranges[0], events=4))
        ledger.deliver(result_of(ranges[1], events=6))  # the sum is right
        assert check(ledger, manifest_of(ranges)) == (
            "ZZTo4mu: ZZTo4mu/9.root[0:5]: 4 events read, 5 planned; "
            "ZZTo4mu: ZZTo4mu/9.root[5:10]: 6 events read, 5 planned"
        )


def test_fewer_files_than_planned(ledger: Ledger) -> None:
    for task in TASKS:
        ledger.deliver(dataclasses.replace(result_of(task), files=int(task is not TASKS[2])))
    assert check(ledger) == f"{TASKS[2].label}: 0 files read, 1 planned"


def test_unknown_number_of_events_is_no_reproach(tmp_path: Path) -> None:
    task = make_task(0, events=None)
    with new_ledger(tmp_path, [task]) as ledger:
        ledger.deliver(result_of(task, events=5))
        assert closing_check(ledger, manifest_of([task])) == []


def test_done_without_result(closed: Ledger) -> None:
    tamper(closed, "DELETE FROM results WHERE task = ?", TASKS[0].id)
    assert "1 tasks are done without a result, 0 have a result" in check(closed)


def test_result_without_done(closed: Ledger) -> None:
    tamper(closed, "UPDATE tasks SET state = 'failed', cause = 'bug' WHERE id = ?", TASKS[0].id)
    assert "0 tasks are done without a result, 1 have a result" in check(closed)


def test_events_of_the_rows_and_of_the_documents_differ(closed: Ledger) -> None:
    tamper(closed, "UPDATE results SET events = events + 1 WHERE task = ?", TASKS[0].id)
    assert check(closed) == "6 events in the merged result, 7 in the delivered ones"


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        (TASKS[1:], "0 tasks are only in the manifest, 1 only in the ledger"),
        ((*TASKS, make_task(9)), "1 tasks are only in the manifest, 0 only in the ledger"),
        ((*TASKS[1:], make_task(9)), "1 tasks are only in the manifest, 1 only in the ledger"),
    ],
    ids=["fewer", "more", "another"],
)
def test_manifest_of_another_run(closed: Ledger, tasks: tuple[Task, ...], said: str) -> None:
    # with as many tasks, it was a KeyError
    assert said in check(closed, manifest_of(tasks))


def test_no_tasks_at_all_close(tmp_path: Path) -> None:
    with new_ledger(tmp_path, ()) as ledger:
        assert closing_check(ledger, manifest_of(())) == []


def test_results_of_two_versions_do_not_close(ledger: Ledger) -> None:
    for task, version in zip(TASKS, ("1", "1", "2", "1"), strict=True):
        ledger.start(task.id, "here")
        ledger.deliver(dataclasses.replace(result_of(task), version=version))
    (wrong,) = closing_check(ledger, MANIFEST)
    assert wrong.startswith("results of several workflows are mixed")


def test_a_manifest_that_was_exchanged_does_not_close(closed: Ledger) -> None:
    (wrong,) = closing_check(closed, dataclasses.replace(MANIFEST, digest="another"))
    assert wrong == "the manifest is not the one the ledger was made for"
