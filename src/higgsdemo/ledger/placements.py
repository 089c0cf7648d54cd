"""Which task was given to which job of which cluster, kept in the ledger of the run.

An engine that is asked to run a task and answers over a sink, hours later, must be found again by
any process: so what is placed where is written here before a cluster is told (promise P3). A task
has at most one open placement; a result counts wherever it comes from (promise P2).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from higgsdemo.errors import Cause
from higgsdemo.ledger.database import Ledger
from higgsdemo.model import Failure

_TABLES = (
    """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY,  -- in the order they were made; a part of the name
    cluster TEXT NOT NULL,
    name TEXT NOT NULL,
    sample TEXT NOT NULL,
    memory_bytes INTEGER NOT NULL,  -- limit of a pod
    parallelism INTEGER NOT NULL,
    made REAL NOT NULL,
    state TEXT NOT NULL DEFAULT 'planned'
        CHECK (state IN ('planned', 'placed', 'given up')),
    UNIQUE (cluster, name)
)""",
    """
CREATE TABLE IF NOT EXISTS placements (
    job INTEGER NOT NULL REFERENCES jobs (number),
    position INTEGER NOT NULL,  -- index of the job that runs the task
    task TEXT NOT NULL REFERENCES tasks (id),
    open INTEGER NOT NULL DEFAULT 1  -- 0: what this job makes of it is no longer waited for
)""",
    "CREATE INDEX IF NOT EXISTS placements_by_job ON placements (job, position)",
    "CREATE INDEX IF NOT EXISTS placements_by_task ON placements (task, job)",
    "CREATE INDEX IF NOT EXISTS attempts_unnamed ON attempts (number) WHERE place = 'unknown'",
    "CREATE UNIQUE INDEX IF NOT EXISTS placements_open ON placements (task) WHERE open = 1",
)


NameOf = Callable[[str, int], str]
"""Gives a job its name, from its sample and its number."""


class JobState(StrEnum):
    """How far a job is with its cluster."""

    PLANNED = "planned"  # the cluster may know of it, or not
    PLACED = "placed"  # the cluster has it
    GIVEN_UP = "given up"  # its tasks went elsewhere


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be: the ids of the tasks of each index."""

    cluster: str
    sample: str
    indexes: Sequence[Sequence[str]]
    memory_bytes: int
    parallelism: int


@dataclass(frozen=True, slots=True)
class PlacedJob:
    """A job as the ledger has it; `indexes` are the task ids of each index, in order."""

    number: int
    cluster: str
    name: str
    sample: str
    memory_bytes: int
    parallelism: int
    made: float
    state: JobState
    indexes: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Open:
    """A task that waits for a job: its state in the ledger, where it is."""

    task_id: str
    job: int
    position: int
    running: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a placement without a result.

    `failure` is noted unless it is None (the task never began, or the worker told it itself);
    `again`: the task is queued, else it stays failed.
    """

    task_id: str
    failure: Failure | None
    again: bool = True


class Placements:
    """The placements in an open ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        with ledger.change() as db:
            for statement in _TABLES:
                db.execute(statement)

    # -- changes, each one transaction ----------------------------------------------------------

    def place(self, jobs: Iterable[NewJob], name_of: NameOf) -> list[PlacedJob]:
        """Note jobs that are to be made, all or none. Their tasks must have no open placement."""
        placed = []
        with self._ledger.change() as db:
            (last,) = db.execute("SELECT coalesce(max(number), 0) FROM jobs").fetchone()
            for number, job in enumerate(jobs, start=last + 1):
                name = name_of(job.sample, number)
                made = time.time()
                db.execute(
                    "INSERT INTO jobs (number, cluster, name, sample, memory_bytes, parallelism,"
                    " made) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        number,
                        job.cluster,
                        name,
                        job.sample,
                        job.memory_bytes,
                        job.parallelism,
                        made,
                    ),
                )
                db.executemany(
                    "INSERT INTO placements (job, position, task) VALUES (?, ?, ?)",
                    [
                        (number, position, task)
                        for position, tasks in enumerate(job.indexes)
                        for task in tasks
                    ],
                )
                placed.append(
                    PlacedJob(
                        number,
                        job.cluster,
                        name,
                        job.sample,
                        job.memory_bytes,
                        job.parallelism,
                        made,
                        JobState.PLANNED,
                        tuple(tuple(tasks) for tasks in job.indexes),
                    )
                )
        return placed

    def mark(self, number: int, state: JobState) -> None:
        """Note how far a job is."""
        with self._ledger.change() as db:
            db.execute("UPDATE jobs SET state = ? WHERE number = ?", (str(state), number))

    def settle(self, verdicts: Iterable[Verdict]) -> list[Verdict]:
        """End placements without a result. A task that is done or failed meanwhile stays so.

        Returns those that took effect.
        """
        effective = []
        with self._ledger.change() as db:
            for verdict in verdicts:
                db.execute(
                    "UPDATE placements SET open = 0 WHERE task = ? AND open = 1",
                    (verdict.task_id,),
                )
                failure = verdict.failure
                if failure is None:
                    continue
                counts = failure.cause is not Cause.PREEMPTED
                row = db.execute(
                    "SELECT state FROM tasks WHERE id = ?", (verdict.task_id,)
                ).fetchone()
                if row[0] in ("queued", "running"):
                    self._ledger.note_failure(failure, again=verdict.again, counts=counts)
                    effective.append(verdict)
        return effective

    def give_up(self, cluster: str, why: str) -> int:
        """Take all unfinished tasks from a cluster; return how many there were."""
        verdicts = [
            Verdict(
                each.task_id, Failure(each.task_id, Cause.PREEMPTED, why) if each.running else None
            )
            for each in self.open(cluster)
        ]
        self.settle(verdicts)
        with self._ledger.change() as db:
            db.execute(
                "UPDATE jobs SET state = ? WHERE cluster = ?", (str(JobState.GIVEN_UP), cluster)
            )
        return len(verdicts)

    def show_running(self, running: Iterable[tuple[str, str]], waiting: Iterable[str]) -> None:
        """Note which tasks run, (task id, place), and which, called running, wait instead."""
        now = time.time()
        with self._ledger.change() as db:
            for task_id, place in running:
                db.execute(
                    "UPDATE tasks SET state = 'running' WHERE id = ? AND state = 'queued'",
                    (task_id,),
                )
                db.execute(
                    "INSERT INTO attempts (task, place, started) SELECT ?1, ?2, ?3 WHERE NOT EXISTS"
                    " (SELECT 1 FROM attempts WHERE task = ?1 AND ended IS NULL)",
                    (task_id, place, now),
                )
            for task_id in waiting:  # that it ran was inferred, and is taken back
                db.execute(
                    "UPDATE tasks SET state = 'queued' WHERE id = ? AND state = 'running'",
                    (task_id,),
                )
                db.execute("DELETE FROM attempts WHERE task = ? AND ended IS NULL", (task_id,))

    def name_places(self) -> None:
        """Say where attempts were that nobody saw begin: in the last job that had the task."""
        with self._ledger.change() as db:
            db.execute(
                "UPDATE attempts SET place = coalesce((SELECT jobs.cluster || '/' || jobs.name"
                " || '/' || placements.position FROM placements JOIN jobs"
                " ON jobs.number = placements.job WHERE placements.task = attempts.task"
                " ORDER BY placements.job DESC LIMIT 1), place) WHERE place = 'unknown'"
            )

    # -- questions ------------------------------------------------------------------------------

    def jobs(self) -> list[PlacedJob]:
        """Return all jobs, oldest first."""
        tasks: dict[int, dict[int, list[str]]] = {}
        for number, position, task in self._ledger.ask(
            "SELECT job, position, task FROM placements ORDER BY job, position, rowid"
        ):
            tasks.setdefault(number, {}).setdefault(position, []).append(task)
        rows = self._ledger.ask(
            "SELECT number, cluster, name, sample, memory_bytes, parallelism, made, state FROM jobs"
            " ORDER BY number"
        )
        return [
            PlacedJob(
                number,
                cluster,
                name,
                sample,
                memory_bytes,
                parallelism,
                made,
                JobState(state),
                tuple(tuple(each) for _, each in sorted(tasks.get(number, {}).items())),
            )
            for number, cluster, name, sample, memory_bytes, parallelism, made, state in rows
        ]

    def open(self, cluster: str | None = None) -> list[Open]:
        """Return the placements of unfinished tasks that are waited for, in order."""
        rows = self._ledger.ask(
            "SELECT placements.task, placements.job, placements.position, tasks.state, jobs.cluster"
            " FROM placements JOIN tasks ON tasks.id = placements.task"
            " JOIN jobs ON jobs.number = placements.job"
            " WHERE placements.open = 1 AND tasks.state IN ('queued', 'running')"
            " ORDER BY placements.job, placements.position, placements.rowid"
        )
        return [
            Open(row[0], row[1], row[2], row[3] == "running")
            for row in rows
            if cluster in (None, row[4])
        ]

    def free(self) -> list[str]:
        """Return the ids of unfinished tasks that no job has, in the order of the manifest."""
        rows = self._ledger.ask(
            "SELECT id FROM tasks WHERE state IN ('queued', 'running') AND NOT EXISTS"
            " (SELECT 1 FROM placements WHERE task = tasks.id AND open = 1) ORDER BY number"
        )
        return [row[0] for row in rows]

    def unfinished(self) -> int:
        """Return how many tasks have not ended, those that a job has and the others."""
        counts = self._ledger.counts()
        return counts.queued + counts.running

    def kills(self) -> dict[str, int]:
        """Return how often attempts at a task were killed for memory, of those that were."""
        rows = self._ledger.ask(
            "SELECT task, count(*) FROM attempts WHERE outcome = 'resources' GROUP BY task"
        )
        return dict(rows)

    def tries(self) -> dict[str, int]:
        """Return how many failed attempts were counted, of the tasks that have any."""
        return dict(self._ledger.ask("SELECT id, tries FROM tasks WHERE tries > 0"))

    def told(self) -> dict[str, float]:
        """Return when the last failed attempt at an unfinished task ended, s since the epoch."""
        rows = self._ledger.ask(
            "SELECT attempts.task, max(attempts.ended) FROM attempts JOIN tasks"
            " ON tasks.id = attempts.task WHERE attempts.message IS NOT NULL"
            " AND tasks.state IN ('queued', 'running') GROUP BY attempts.task"
        )
        return dict(rows)
