"""The ledger, rule by rule, and the ways in which it cannot be opened."""

import contextlib
import gc
import sqlite3
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from higgsdemo.errors import Cause, RunError
from higgsdemo.ledger import (
    Counts,
    Delivery,
    Ledger,
    Merger,
    closing_check,
)
from higgsdemo.ledger.inspection import Inspector
from higgsdemo.model import Task

from .builders import (
    DATA,
    ZZ,
    check_accounting,
    failure_of,
    make_task,
    make_tasks,
    manifest_of,
    new_ledger,
    result_of,
    states,
)


@pytest.fixture
def tasks() -> tuple[Task, ...]:
    return make_tasks(4)


@pytest.fixture
def ledger(tmp_path: Path, tasks: tuple[Task, ...]) -> Iterator[Ledger]:
    with new_ledger(tmp_path, tasks) as made:
        yield made


def test_new_ledger_has_all_tasks_queued_in_order(ledger: Ledger, tasks: tuple[Task, ...]) -> None:
    assert ledger.counts() == Counts(4, done=0, running=0, queued=4, failed={})
    assert ledger.queued() == [task.id for task in tasks]
    assert ledger.counts(ZZ.name).planned == ledger.counts(DATA.name).planned == 2
    assert ledger.counts("no such sample").planned == 0
    assert ledger.meta("run") == "test"
    assert ledger.meta("manifest") == "digest"
    row = ledger.rows()[0]
    assert (row["label"], row["files"], row["events"]) == (tasks[0].label, 1, 1)


def test_late_result_of_a_failed_task_makes_it_done(
    ledger: Ledger, tasks: tuple[Task, ...]
) -> None:
    ledger.start(tasks[0].id, "here")
    ledger.fail(failure_of(tasks[0], Cause.LOST), again=False)
    assert ledger.failed() == [(tasks[0].id, tasks[0].sample, tasks[0].label)]
    assert ledger.failed(Cause.LOST) == ledger.failed()
    assert ledger.failed(Cause.BUG) == []
    assert ledger.deliver(result_of(tasks[0])) is Delivery.ACCEPTED
    assert ledger.failed() == []
    assert ledger.counts().done == 1


def test_late_failure_of_a_done_task_leaves_it_done(
    ledger: Ledger, tasks: tuple[Task, ...]
) -> None:
    ledger.deliver(result_of(tasks[0]))
    for again in (True, False):
        ledger.fail(failure_of(tasks[0]), again=again)
    assert states(ledger)[tasks[0].id] == "done"
    assert ledger.tries(tasks[0].id) == 0
    assert len(list(ledger.documents())) == 1


def test_second_result_with_another_digest_is_an_alarm_and_no_overwrite(
    ledger: Ledger, tasks: tuple[Task, ...]
) -> None:
    first, second = result_of(tasks[1]), result_of(tasks[1], shift=1)
    ledger.deliver(first)
    assert ledger.deliver(second) is Delivery.ALARM
    assert list(ledger.results()) == [first]
    (alarm,) = ledger.alarms()
    assert tasks[1].id in alarm
    assert first.digest in alarm
    assert second.digest in alarm


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM forms",
        "UPDATE forms SET document = '{}'",
        "UPDATE forms SET document = x'00'",
        """UPDATE forms SET document = '{"cutflow":{},"histograms":{}}'""",  # another one
    ],
)
def test_a_ledger_whose_form_is_damaged(tmp_path: Path, change: str) -> None:
    (task,) = make_tasks(1)
    with new_ledger(tmp_path, [task]) as ledger:
        ledger.deliver(result_of(task))
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        connection.execute(change)
        connection.commit()
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        for ask in (
            lambda: list(ledger.results()),
            lambda: Merger(manifest_of([task])).update(ledger),
            lambda: Inspector(manifest_of([task]), ledger),
            lambda: closing_check(ledger, manifest_of([task])),
        ):
            with pytest.raises(RunError, match="the ledger cannot be read") as caught:
                ask()
            assert caught.value.where == str(tmp_path / "ledger.sqlite")


def test_a_form_is_kept_once(ledger: Ledger, tasks: tuple[Task, ...]) -> None:
    for task in tasks[:4]:
        ledger.deliver(result_of(task))
    assert ledger.ask("SELECT digest FROM forms") == [(result_of(tasks[0]).output.form.digest,)]


def test_failure_of_an_unknown_task_is_an_alarm(ledger: Ledger) -> None:
    # once sqlite3.IntegrityError: FOREIGN KEY constraint failed
    ledger.fail(failure_of(make_task(99)), again=True)
    (alarm,) = ledger.alarms()
    assert make_task(99).id in alarm
    check_accounting(ledger.counts(), 4)


def test_tries_of_an_unknown_task_is_a_key_error(ledger: Ledger) -> None:
    with pytest.raises(KeyError, match="nope"):
        ledger.tries("nope")


def test_attempts_tell_the_story_of_a_task(ledger: Ledger, tasks: tuple[Task, ...]) -> None:
    task = tasks[0]
    ledger.start(task.id, "host a")
    ledger.fail(failure_of(task, Cause.TRANSIENT, "busy"), again=True)
    ledger.start(task.id, "host b")
    ledger.recover()
    ledger.start(task.id, "host c")
    ledger.deliver(result_of(task))
    ledger.deliver(result_of(task))
    story = ledger.attempts(task.id)
    assert [(one["place"], one["outcome"]) for one in story] == [
        ("host a", "transient"),
        ("host b", "interrupted"),
        ("host c", "done"),
        ("unknown", "duplicate"),
    ]
    assert story[0]["message"] == "busy"
    assert all(one["started"] <= one["ended"] for one in story)


def test_preempted_attempts_are_not_counted(ledger: Ledger, tasks: tuple[Task, ...]) -> None:
    ledger.fail(failure_of(tasks[0], Cause.PREEMPTED), again=True, counts=False)
    assert ledger.tries(tasks[0].id) == 0
    ledger.fail(failure_of(tasks[0]), again=True)
    assert ledger.tries(tasks[0].id) == 1


def test_problems_are_grouped_most_frequent_first(ledger: Ledger, tasks: tuple[Task, ...]) -> None:
    for task, message in zip(tasks, ["truncated", "no tree", "no tree", "no tree"], strict=True):
        ledger.start(task.id, "here")
        ledger.fail(failure_of(task, Cause.BAD_INPUT, message), again=False)
    shown = [(one.cause, one.message, one.tasks) for one in ledger.problems()]
    assert shown == [("bad-input", "no tree", 3), ("bad-input", "truncated", 1)]


def test_problems_of_all_attempts_have_the_cause_of_each_attempt(
    ledger: Ledger, tasks: tuple[Task, ...]
) -> None:
    # each was shown with the final cause of its task
    ledger.fail(failure_of(tasks[0], Cause.TRANSIENT, "server busy"), again=True)
    ledger.fail(failure_of(tasks[0], Cause.BAD_INPUT, "truncated"), again=False)
    ledger.fail(failure_of(tasks[1], Cause.TRANSIENT, "server busy"), again=True)
    shown = {(one.cause, one.message, one.tasks) for one in ledger.problems(only_failed=False)}
    assert shown == {("transient", "server busy", 2), ("bad-input", "truncated", 1)}
    assert [one.message for one in ledger.problems()] == ["truncated"]


def test_traceback_of_a_problem_is_that_of_its_example(ledger: Ledger) -> None:
    # the example was the first by label, the traceback the last by alphabet
    tasks = sorted(make_tasks(4), key=lambda task: task.label)
    for task, letter in zip(tasks, "wxyz", strict=True):
        failure = failure_of(task, Cause.BUG)
        ledger.fail(type(failure)(task.id, Cause.BUG, "oops", f"trace {letter}"), again=False)
    (problem,) = ledger.problems()
    assert (problem.example, problem.traceback) == (tasks[0].label, "trace w")


def test_a_change_that_breaks_off_changes_nothing(ledger: Ledger, tasks: tuple[Task, ...]) -> None:
    before = ledger.rows()
    with pytest.raises(sqlite3.IntegrityError):
        ledger.plan([make_task(50), *tasks])
    assert ledger.rows() == before
    assert ledger.deliver(result_of(tasks[0])) is Delivery.ACCEPTED


# -- opening --------------------------------------------------------------------------------------


@pytest.fixture
def no_leak() -> Iterator[None]:
    """Fail on a connection that is left to the garbage collector (Python 3.13 says so)."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(one.message) for one in said] == []


def test_missing_ledger(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="the ledger is missing"):
        Ledger.open(tmp_path / "ledger.sqlite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b"not a database" * 100, b"SQLite format 3\0" + b"x" * 99]
)
def test_damaged_ledger_is_told_and_closed(tmp_path: Path, no_leak: None, content: bytes) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(content)
    with pytest.raises(RunError, match="the ledger cannot be read"):
        Ledger.open(path)


@pytest.mark.parametrize(
    ("schema", "said", "hint"),
    [("99", "newer", "update higgsdemo"), ("1", "older", "run it anew, under another name")],
)
def test_ledger_of_another_version(
    tmp_path: Path, no_leak: None, schema: str, said: str, hint: str
) -> None:
    new_ledger(tmp_path, ()).close()
    path = tmp_path / "ledger.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (schema,))
        connection.commit()
    with pytest.raises(RunError, match=f"{said} than this program") as caught:
        Ledger.open(path)
    assert caught.value.why == f"schema {schema}, this program knows 2"
    assert caught.value.hint == hint


def test_ledger_without_a_schema_number(tmp_path: Path, no_leak: None) -> None:
    new_ledger(tmp_path, ()).close()
    path = tmp_path / "ledger.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM meta WHERE key = 'schema'")
        connection.commit()
    with pytest.raises(RunError, match="the ledger cannot be read"):
        Ledger.open(path)


def test_ledger_that_cannot_be_made(tmp_path: Path, no_leak: None) -> None:
    # once sqlite3.OperationalError: unable to open database file
    with pytest.raises(RunError, match="the ledger cannot be made"):
        Ledger.create(tmp_path / "absent" / "ledger.sqlite", "test", "digest")
