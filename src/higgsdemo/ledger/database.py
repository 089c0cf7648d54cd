"""The ledger: every task of a run, each attempt at it, and its one result, in SQLite.

Each task is in exactly one state, so planned = done + failed + running + queued holds at any
time (promise P1). Every change is one transaction: a process killed at any instruction leaves
a ledger that is true (promise P3). A result is kept once; a second one with the same digest
changes nothing, with another digest it is an alarm (promise P2).
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from higgsdemo.errors import Cause, RunError
from higgsdemo.ledger.connection import Still, connect, connect_to_look
from higgsdemo.ledger.handover import Handover
from higgsdemo.ledger.keeping import Delivery, Ended, Incoming, Kept, alarm, end_attempts, keep
from higgsdemo.ledger.packing import unpack
from higgsdemo.model import Failure, Form, Result, Task

LEDGER_SCHEMA = 2

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE tasks (
    number INTEGER PRIMARY KEY,  -- place in the manifest
    id TEXT NOT NULL UNIQUE,
    sample TEXT NOT NULL,
    label TEXT NOT NULL,
    files INTEGER NOT NULL,
    events INTEGER,              -- planned, where known
    size_bytes INTEGER,
    luminosity_pb REAL,
    generated_events REAL,
    state TEXT NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'running', 'done', 'failed')),
    cause TEXT CHECK ((cause IS NOT NULL) = (state = 'failed')),
    tries INTEGER NOT NULL DEFAULT 0  -- failed attempts that count against the task
);
CREATE INDEX tasks_by_state ON tasks (state, cause, sample);
CREATE TABLE attempts (
    number INTEGER PRIMARY KEY,
    task TEXT NOT NULL REFERENCES tasks (id),
    place TEXT NOT NULL,         -- where it ran: engine, host, process
    started REAL NOT NULL,
    ended REAL,
    outcome TEXT,                -- done, duplicate, a cause, or interrupted
    message TEXT,
    traceback TEXT
);
CREATE INDEX attempts_by_task ON attempts (task);
CREATE INDEX attempts_open ON attempts (task) WHERE ended IS NULL;
CREATE TABLE results (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    task TEXT NOT NULL UNIQUE REFERENCES tasks (id),
    digest TEXT NOT NULL,
    events INTEGER NOT NULL,
    form TEXT NOT NULL,          -- what the numbers in it are numbers of
    received REAL NOT NULL,
    document BLOB NOT NULL       -- the result as JSON, packed and deflated
);
CREATE TABLE forms (
    digest TEXT PRIMARY KEY,
    document TEXT NOT NULL       -- what the numbers of results are numbers of, as JSON
) WITHOUT ROWID;
CREATE TABLE alarms (
    number INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    task TEXT,
    message TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class Counts:
    """How many tasks are in which state; they add up to `planned`."""

    planned: int
    done: int
    running: int
    queued: int
    failed: Mapping[str, int]  # by cause

    @property
    def ended(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return self.running == 0 and self.queued == 0


@dataclass(frozen=True)
class Problem:
    """Failures that look alike: same cause, same message, with one example."""

    cause: str
    message: str
    tasks: int
    example: str
    traceback: str | None


class Ledger:
    """An open ledger. Use it from one thread; close it, or use it as a context manager.

    `handover`, if there is one, gets the results that are collected into it.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, still: Still | None = None
    ) -> None:
        self._db = connection
        self.path = path
        self._still = still
        self._forms: dict[str, Form] = {}  # by digest, as far as somebody has asked
        self.handover: Handover | None = None

    @classmethod
    def create(cls, path: Path, run_id: str, manifest_digest: str) -> Self:
        """Make a new ledger."""
        try:
            ledger = cls(connect(path), path)
        except sqlite3.OperationalError as error:
            raise RunError("the ledger cannot be made", where=str(path), why=str(error)) from error
        try:
            with ledger.change():
                for statement in _TABLES.split(";\n"):
                    ledger._db.execute(statement)
                facts = {"schema": LEDGER_SCHEMA, "run": run_id, "manifest": manifest_digest}
                ledger._db.executemany("INSERT INTO meta VALUES (?, ?)", list(facts.items()))
        except BaseException:
            ledger.close()
            raise
        return ledger

    @classmethod
    def open(cls, path: Path, *, to_look: bool = False) -> Self:
        """Open a ledger; RunError if it is missing, damaged or of another schema.

        `to_look` changes nothing, and needs no more than to read the file.
        """
        if not path.is_file():
            raise RunError("the ledger is missing", where=str(path))
        try:
            ledger = cls(*_connected(path, to_look=to_look))
            try:
                schema = int(ledger.meta("schema"))
            except BaseException:
                ledger.close()
                raise
        except (sqlite3.DatabaseError, KeyError, ValueError) as error:
            raise RunError("the ledger cannot be read", where=str(path), why=str(error)) from error
        if schema != LEDGER_SCHEMA:
            ledger.close()
            newer = schema > LEDGER_SCHEMA
            raise RunError(
                f"the ledger is {'newer' if newer else 'older'} than this program",
                where=str(path),
                why=f"schema {schema}, this program knows {LEDGER_SCHEMA}",
                hint="update higgsdemo" if newer else "run it anew, under another name",
            )
        return ledger

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()
        if self._still is not None:
            self._still.discard()

    @property
    def outdated(self) -> bool:
        """Whether the file has changed and this does not follow it (opened only to look)."""
        return self._still is not None and self._still.outdated

    def meta(self, key: str) -> str:
        """Return a fact about the run: schema, run, manifest."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        return str(row[0])

    # -- changes, each one transaction --------------------------------------------------------

    def plan(self, tasks: Iterable[Task]) -> None:
        """Enter the tasks, all queued."""
        rows = [
            (
                number,
                task.id,
                task.sample,
                task.label,
                len(task.files),
                task.events,
                task.size_bytes,
                task.luminosity_pb,
                task.generated_events,
            )
            for number, task in enumerate(tasks)
        ]
        with self.change():
            self._db.executemany(
                "INSERT INTO tasks (number, id, sample, label, files, events, size_bytes,"
                " luminosity_pb, generated_events) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def start(self, task_id: str, place: str) -> None:
        """Note that a queued task starts to run at `place`."""
        with self.change():
            self._db.execute(
                "UPDATE tasks SET state = 'running' WHERE id = ? AND state = 'queued'", (task_id,)
            )
            self._db.execute(
                "INSERT INTO attempts (task, place, started) VALUES (?, ?, ?)",
                (task_id, place, time.time()),
            )

    def deliver(self, result: Result) -> Delivery:
        """Take a result, whatever the task's state; the second of a task changes nothing."""
        output = result.output
        incoming = Incoming(
            result.task_id,
            result.sample,
            result.digest,
            output.events,
            output.form,
            json.dumps(result.pack()).encode(),
        )
        with self.change():
            (kept,) = self.keep([incoming], time.time())
        return kept.delivery

    def fail(self, failure: Failure, *, again: bool, counts: bool = True) -> bool:
        """Note a failed attempt: queue the task `again`, or leave it failed with its cause.

        `counts` is false for attempts that are not the task's fault (preempted). A task that is
        done stays done; return whether the task was touched.
        """
        with self.change():
            if not self._knows(failure.task_id):
                alarm(
                    self._db, None, f"a failure of task {failure.task_id}, which is not of this run"
                )
                return False
            return self.note_failure(failure, again=again, counts=counts)

    def recover(self) -> int:
        """Queue again what was running when its driver ended; return how many there were."""
        with self.change():
            found = self._db.execute("UPDATE tasks SET state = 'queued' WHERE state = 'running'")
            self._db.execute(
                "UPDATE attempts SET ended = ?, outcome = 'interrupted' WHERE ended IS NULL",
                (time.time(),),
            )
            return found.rowcount

    def requeue_failed(self) -> int:
        """Queue the failed tasks again with all their tries; return how many there were."""
        with self.change():
            return self._db.execute(
                "UPDATE tasks SET state = 'queued', cause = NULL, tries = 0 WHERE state = 'failed'"
            ).rowcount

    # -- questions ------------------------------------------------------------------------------

    def counts(self, sample: str | None = None) -> Counts:
        """Count the tasks by state, of one sample or of all."""
        rows = self._db.execute(
            "SELECT state, cause, count(*) FROM tasks WHERE ?1 IS NULL OR sample = ?1"
            " GROUP BY state, cause ORDER BY state, cause",
            (sample,),
        ).fetchall()
        plain = {state: count for state, cause, count in rows if cause is None}
        return Counts(
            planned=sum(row[2] for row in rows),
            done=plain.get("done", 0),
            running=plain.get("running", 0),
            queued=plain.get("queued", 0),
            failed={cause: count for _, cause, count in rows if cause is not None},
        )

    def queued(self) -> list[str]:
        """Return the ids of the queued tasks, in the order of the manifest."""
        rows = self._db.execute("SELECT id FROM tasks WHERE state = 'queued' ORDER BY number")
        return [row[0] for row in rows]

    def state(self, task_id: str) -> str:
        """Return the state of a task."""
        row = self._db.execute("SELECT state FROM tasks WHERE id = ?", (task_id,)).fetchone()
        return str(row[0])

    def tries(self, task_id: str) -> int:
        """Return how many failed attempts count against the task."""
        row = self._db.execute("SELECT tries FROM tasks WHERE id = ?", (task_id,)).fetchone()
        if row is None:
            raise KeyError(task_id)
        return int(row[0])

    def failed(self, cause: Cause | None = None) -> list[tuple[str, str, str]]:
        """Return (task id, sample, label) of the failed tasks, of one cause or of all."""
        rows = self._db.execute(
            "SELECT id, sample, label FROM tasks"
            " WHERE state = 'failed' AND (?1 IS NULL OR cause = ?1) ORDER BY number",
            (None if cause is None else str(cause),),
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def problems(self, only_failed: bool = True, most: int = -1) -> list[Problem]:
        """Group the failures by cause and message, most frequent first; at most so many groups.

        `only_failed` looks at the last failure of each failed task; otherwise at every failed
        attempt, retried ones included.
        """
        which = (
            "attempts.number = (SELECT max(number) FROM attempts AS later"
            " WHERE later.task = tasks.id AND later.message IS NOT NULL)"
            " AND tasks.state = 'failed'"
            if only_failed
            else "attempts.message IS NOT NULL"
        )
        rows = self._db.execute(
            # SQLite takes the traceback from the row of min(): that of the example.
            "SELECT attempts.outcome, attempts.message,"
            " count(DISTINCT tasks.id), min(tasks.label), attempts.traceback"
            f" FROM tasks JOIN attempts ON attempts.task = tasks.id WHERE {which}"
            " GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT ?",
            (most,),
        )
        return [Problem(row[0], row[1] or "", row[2], row[3], row[4]) for row in rows]

    def rows(self) -> list[dict[str, Any]]:
        """Return the tasks as dictionaries, in the order of the manifest."""
        cursor = self._db.execute("SELECT * FROM tasks ORDER BY number")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def attempts(self, task_id: str) -> list[dict[str, Any]]:
        """Return the attempts at a task as dictionaries, oldest first."""
        cursor = self._db.execute(
            "SELECT * FROM attempts WHERE task = ? ORDER BY number", (task_id,)
        )
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def documents(self) -> Iterator[dict[str, Any]]:
        """Yield the packed documents of the results, in the order they came."""
        with self.readable():
            for (document,) in self.each("SELECT document FROM results ORDER BY sequence"):
                yield unpack(document)

    def results(self) -> Iterator[Result]:
        """Yield the results, in the order they came."""
        for document in self.documents():
            with self.readable():
                yield Result.unpack(document, self.form(document["form"]))

    def form(self, digest: str) -> Form:
        """Return a form that results name."""
        if digest not in self._forms:
            with self.readable():
                ((text,),) = self.ask("SELECT document FROM forms WHERE digest = ?", digest)
                form = Form.from_text(str(text).encode())
                if form.digest != digest:
                    raise ValueError(f"form {digest} is another one")
                self._forms[digest] = form
        return self._forms[digest]

    def digests(self) -> list[tuple[str, str]]:
        """Return (task id, digest) of the results."""
        return [(row[0], row[1]) for row in self.ask("SELECT task, digest FROM results")]

    def examples(self) -> list[dict[str, Any]]:
        """Return the first packed document of each sample and form."""
        rows = self.ask(
            "SELECT document FROM results WHERE sequence IN (SELECT min(sequence) FROM results"
            " JOIN tasks ON tasks.id = results.task GROUP BY sample, form)"
        )
        with self.readable():
            return [unpack(row[0]) for row in rows]

    def unfinished(self) -> set[str]:
        """Return the ids of the tasks that are queued or running."""
        return {r[0] for r in self.ask("SELECT id FROM tasks WHERE state IN ('queued', 'running')")}

    def delivered_events(self) -> int:
        """Return the events of all results, as noted when they were delivered."""
        row = self._db.execute("SELECT coalesce(sum(events), 0) FROM results").fetchone()
        return int(row[0])

    def alarms(self) -> list[str]:
        """Return what should never happen and did."""
        rows = self._db.execute("SELECT task, message FROM alarms ORDER BY number")
        return [f"task {task}: {message}" if task else message for task, message in rows]

    # -- for the rest of this room --------------------------------------------------------------

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction. A full disk or a locked file is told as such."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self._roll_back()
            raise RunError(
                "the ledger cannot be written",
                where=str(self.path),
                why=str(error),
                hint="what was done is kept: free some space, then higgsdemo resume",
            ) from error
        except BaseException:
            self._roll_back()
            raise

    def keep(self, results: Sequence[Incoming], received: float) -> list[Kept]:
        """As `deliver`, of different tasks, within a transaction of the caller."""
        return keep(self._db, results, received)

    def note_failure(self, failure: Failure, *, again: bool, counts: bool = True) -> bool:
        """As `fail`, within a transaction of the caller, of a task that is known."""
        found = self._db.execute(
            "UPDATE tasks SET state = ?, cause = ?, tries = tries + ?"
            " WHERE id = ? AND state != 'done'",
            (
                "queued" if again else "failed",
                None if again else str(failure.cause),
                int(counts),
                failure.task_id,
            ),
        )
        ended = Ended(failure.task_id, str(failure.cause), failure.message, failure.traceback)
        end_attempts(self._db, [ended], time.time())
        return found.rowcount > 0

    def ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a question."""
        return self._db.execute(statement, values).fetchall()

    def each(self, statement: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a question as they are read."""
        yield from self._db.execute(statement, values)

    @contextmanager
    def readable(self) -> Iterator[None]:
        """Whatever is wrong with what is in the file is a RunError that names it."""
        try:
            yield
        except (sqlite3.DatabaseError, LookupError, TypeError, ValueError) as error:
            raise RunError(
                "the ledger cannot be read", where=str(self.path), why=str(error)
            ) from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Several questions about one moment, whatever others write meanwhile."""
        self._db.execute("BEGIN")
        try:
            yield self._db
        finally:
            self._db.execute("COMMIT")

    # -- inside ---------------------------------------------------------------------------------

    def _roll_back(self) -> None:
        if self._db.in_transaction:  # on a full disk SQLite has already done it
            self._db.execute("ROLLBACK")

    def _knows(self, task_id: str) -> bool:
        found = self._db.execute("SELECT 1 FROM tasks WHERE id = ?", (task_id,))
        return found.fetchone() is not None


def _connected(path: Path, *, to_look: bool) -> tuple[sqlite3.Connection, Path, Still | None]:
    if not to_look:
        return connect(path), path, None
    connection, still = connect_to_look(path)
    return connection, path, still
