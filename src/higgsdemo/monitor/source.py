"""Where a monitor hears from: a ledger that somebody fills, or one that is played again."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from higgsdemo.errors import RunError
from higgsdemo.ledger import Ledger, Manifest, Problem, RunDirectory, Tally, left_out, news
from higgsdemo.ledger.handover import Taken

MOST_PROBLEMS = 50  # kinds of failures shown; a run of many thousand tasks may have as many
MOST_ALARMS = 100
MOST_REFUSALS = 20

Take = Callable[[float, Tally], None]  # when a result was received (s), what it gives


@dataclass(frozen=True)
class State:
    """What is known besides results: what runs and what failed; the rest is done or queued."""

    running: Mapping[str, int] = field(default_factory=dict)  # by sample
    failed: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # by sample and cause
    places: Mapping[str, int] = field(default_factory=dict)  # running, by where
    problems: tuple[Problem, ...] = ()
    alarms: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()  # sample and file of bad files
    started: float | None = None  # when the first attempt began, s since 1970
    last_end: float | None = None  # when the newest attempt ended
    refusals: news.Refusals = field(default_factory=news.Refusals)


class Source(Protocol):
    """Tells what is new of one run."""

    def read(self, take: Take) -> State | None:
        """Hand each new result to `take`, in the order it came; return the state of the rest.

        None if nothing has changed since the last call.
        """
        ...

    def waiting(self) -> int:
        """Return how many results the next `read` will hand over, about."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...


class LedgerSource:
    """Reads a ledger that another process may be writing, in a folder we need not write to."""

    def __init__(self, run: RunDirectory, manifest: Manifest) -> None:
        self._run = run
        self._manifest = manifest
        self._ledger = run.look()
        self._version: int | None = None
        self._seen = 0  # sequence number of the last result
        self._alarm = 0  # number of the last alarm
        self._state = State()

    def read(self, take: Take) -> State | None:
        """See `Source`. All of it is of one moment. Raises RunError if it cannot be read."""
        try:
            return self._read(take)
        except sqlite3.DatabaseError as error:  # e.g. its disk is gone
            where = str(self._ledger.path)
            raise RunError("the ledger cannot be read", where=where, why=str(error)) from error

    def _read(self, take: Take) -> State | None:
        self._reopen_if_outdated()
        version = news.version(self._ledger)
        if version == self._version:
            return None
        with self._ledger.reading():
            self._take_new(take)
            self._state = self._look(self._ledger)
        self._version = version
        return self._state

    def _take_new(self, take: Take) -> None:
        """Hand over what this process has just put in; what it has not is read."""
        last = news.last_arrival(self._ledger)
        for taken in self._run.handover.after(self._seen, last):
            self._hand(take, taken)
        for taken in news.arrivals(self._ledger, self._seen, last):
            self._hand(take, taken)

    def _hand(self, take: Take, taken: Taken) -> None:
        take(taken.received, taken.tally)
        self._seen = taken.sequence

    def waiting(self) -> int:
        """See `Source`."""
        return max(0, news.last_arrival(self._ledger) - self._seen)

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

    def _look(self, ledger: Ledger) -> State:
        before = self._state
        running: dict[str, int] = {}
        failed: dict[str, dict[str, int]] = {}
        for one in news.not_done(ledger):
            if one.cause is None:
                running[one.sample] = one.tasks
            else:
                failed.setdefault(one.sample, {})[one.cause] = one.tasks
        problems, skipped = before.problems, before.skipped
        if failed != before.failed:
            problems = tuple(ledger.problems(most=MOST_PROBLEMS))
            skipped = tuple(left_out(self._manifest, ledger))
        return State(
            running=running,
            failed=failed,
            places=by_place(news.places(ledger)) if running else {},
            problems=problems,
            alarms=self._alarms(ledger, before.alarms),
            skipped=skipped,
            started=news.first_start(ledger) if before.started is None else before.started,
            last_end=news.last_end(ledger),
            refusals=news.refusals(ledger, MOST_REFUSALS),
        )

    def _alarms(self, ledger: Ledger, known: tuple[str, ...]) -> tuple[str, ...]:
        came = news.alarms_after(ledger, self._alarm, MOST_ALARMS - len(known))
        if came:
            self._alarm = came[-1][0]
        return known + tuple(text for _, text in came)

    def _reopen_if_outdated(self) -> None:
        if self._ledger.outdated:
            fresh = self._run.look()
            with contextlib.closing(self._ledger):
                self._ledger = fresh
            self._version = None


def by_place(attempts: Mapping[str, int]) -> dict[str, int]:
    """Sum places of attempts ("local process 12", "cluster/job/3") by cluster or host."""
    summed: dict[str, int] = {}
    for place, count in attempts.items():
        name = place.partition(" process ")[0].partition("/")[0]
        summed[name] = summed.get(name, 0) + count
    return summed
