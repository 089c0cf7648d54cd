"""Results into the tables, many at once: a page of them is a handful of statements."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from higgsdemo.ledger.packing import deflate
from higgsdemo.model import Form

# Of so many tasks at once as there are; a list of parameters would have an end.
_THESE = "IN (SELECT value FROM json_each(?))"


class Delivery(StrEnum):
    """What became of a delivered result."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    ALARM = "alarm"


class Incoming(NamedTuple):
    """A result as it is delivered; `text` is its document as JSON, that names its form."""

    task_id: str
    sample: str
    digest: str
    events: int
    form: Form
    text: bytes


class Kept(NamedTuple):
    """What became of a result, and its place among the results if it was accepted."""

    delivery: Delivery
    sequence: int = 0


class Ended(NamedTuple):
    """An attempt that ended."""

    task_id: str
    outcome: str
    message: str | None = None
    traceback: str | None = None


def keep(db: sqlite3.Connection, results: Sequence[Incoming], received: float) -> list[Kept]:
    """Keep results of different tasks, within a transaction of the caller; say what each was.

    A result is kept once: a second one with the same digest changes nothing, with another digest
    it is an alarm, as is one of a task that the run does not have.
    """
    ids = _listed(results)
    planned = dict(db.execute(f"SELECT id, sample FROM tasks WHERE id {_THESE}", ids))
    before = dict(db.execute(f"SELECT task, digest FROM results WHERE task {_THESE}", ids))
    new = [
        one
        for one in results
        if one.task_id not in before and planned.get(one.task_id) == one.sample
    ]
    db.execute(f"UPDATE tasks SET state = 'done', cause = NULL WHERE id {_THESE}", _listed(new))
    db.executemany(
        "INSERT OR IGNORE INTO forms (digest, document) VALUES (?, ?)",
        [(form.digest, form.text.decode()) for form in {one.form for one in new}],
    )
    db.executemany(
        "INSERT INTO results (task, digest, events, form, received, document)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [
            (one.task_id, one.digest, one.events, one.form.digest, received, deflate(one.text))
            for one in new
        ],
    )
    last = db.execute("SELECT last_insert_rowid()").fetchone()[0]
    accepted = {one.task_id: last - len(new) + number for number, one in enumerate(new, start=1)}
    ended: list[Ended] = []
    said: list[Kept] = []
    for one in results:
        if one.task_id in accepted:
            ended.append(Ended(one.task_id, "done"))
            said.append(Kept(Delivery.ACCEPTED, accepted[one.task_id]))
        elif one.task_id in before:
            ended.append(Ended(one.task_id, "duplicate"))
            said.append(Kept(_second(db, one, before[one.task_id])))
        else:
            alarm(db, None, f"a result of task {one.task_id}, which is not of this run")
            said.append(Kept(Delivery.ALARM))
    end_attempts(db, ended, received)
    return said


def end_attempts(db: sqlite3.Connection, ended: Sequence[Ended], now: float) -> None:
    """Note the end of the oldest open attempt at each task, or of one never seen to start.

    The tasks are different ones.
    """
    open_ones = dict(
        db.execute(
            "SELECT task, min(number) FROM attempts"
            f" WHERE task {_THESE} AND ended IS NULL GROUP BY task",
            _listed(ended),
        )
    )
    db.executemany(
        "UPDATE attempts SET ended = ?, outcome = ?, message = ?, traceback = ? WHERE number = ?",
        [
            (now, one.outcome, one.message, one.traceback, open_ones[one.task_id])
            for one in ended
            if one.task_id in open_ones
        ],
    )
    db.executemany(
        "INSERT INTO attempts (task, place, started, ended, outcome, message, traceback)"
        " VALUES (?, 'unknown', ?, ?, ?, ?, ?)",
        [
            (one.task_id, now, now, one.outcome, one.message, one.traceback)
            for one in ended
            if one.task_id not in open_ones
        ],
    )


def alarm(db: sqlite3.Connection, task_id: str | None, message: str) -> None:
    """Note what should never happen and did."""
    db.execute(
        "INSERT INTO alarms (at, task, message) VALUES (?, ?, ?)", (time.time(), task_id, message)
    )


def _listed(some: Iterable[Incoming | Ended]) -> tuple[str]:
    return (json.dumps([one.task_id for one in some]),)


def _second(db: sqlite3.Connection, found: Incoming, kept: str) -> Delivery:
    if found.digest == kept:
        return Delivery.DUPLICATE
    alarm(
        db,
        found.task_id,
        f"a second result of the task has another digest: {found.digest}, kept is {kept}",
    )
    return Delivery.ALARM
