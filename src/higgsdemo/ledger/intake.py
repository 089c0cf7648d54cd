"""Taking what a sink has into the ledger: a page of documents is one transaction.

Where reading goes on, what was refused and why, and which failures are counted are written with
the results themselves, so a collector may be killed at any instruction (promise P3).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from higgsdemo.errors import Cause
from higgsdemo.ledger.database import Ledger
from higgsdemo.ledger.handover import Taken
from higgsdemo.ledger.inspection import Inspector
from higgsdemo.ledger.keeping import Delivery, Incoming
from higgsdemo.ledger.tally import Tally
from higgsdemo.model import Failure
from higgsdemo.sinks import Arrival, Page, ParcelError, failure_of, result_name, stem
from higgsdemo.sinks import unpack as open_parcel

_TABLE = """
CREATE TABLE IF NOT EXISTS arrivals (
    name TEXT PRIMARY KEY,  -- of a document in a sink
    at REAL NOT NULL,
    refused TEXT            -- why it is not part of the run; NULL: a failure or an alarm
) WITHOUT ROWID
"""
# Whoever looks on asks for these again and again, and most arrivals may be failures.
_INDEX = """
CREATE INDEX IF NOT EXISTS arrivals_refused ON arrivals (at) WHERE refused IS NOT NULL
"""
_SHOWN = 300  # characters of a reason

Again = Callable[[Failure], bool]


class _Result(NamedTuple):
    """A result that passed inspection."""

    incoming: Incoming
    tally: Tally


@dataclass
class Collected:
    """What came of collecting.

    `refused` has the names of documents that are not part of the run, and why; they stay in the
    sink. `emptied`: how often the sink was found without what it had held.
    """

    results: int = 0
    duplicates: int = 0
    alarms: int = 0
    failures: dict[str, int] = field(default_factory=dict)  # by cause
    refused: dict[str, str] = field(default_factory=dict)
    emptied: int = 0

    def add(self, other: Collected) -> None:
        """Add what came later."""
        self.results += other.results
        self.duplicates += other.duplicates
        self.alarms += other.alarms
        for cause, count in other.failures.items():
            self.failures[cause] = self.failures.get(cause, 0) + count
        self.refused |= other.refused
        self.emptied += other.emptied

    @property
    def anything(self) -> bool:
        """Whether there was anything new."""
        return self != Collected()


class Intake:
    """Takes pages of one sink into a ledger. `again` says whether a failed task is tried again."""

    def __init__(self, ledger: Ledger, inspector: Inspector, url: str, again: Again) -> None:
        self._ledger = ledger
        self._inspector = inspector
        self._again = again
        self._cursor_key, self._emptied_key = f"cursor of {url}", f"emptied of {url}"
        with ledger.change() as db:
            db.execute(_TABLE)
            db.execute(_INDEX)
        self._results = {result_name(task, digest) for task, digest in ledger.digests()}
        rows = ledger.ask("SELECT name FROM arrivals")
        self._others = {row[0] for row in rows}

    def beside(self, url: str) -> Intake:
        """Return the intake of another sink of the run: what came over one, both know."""
        other = copy.copy(self)
        other._cursor_key, other._emptied_key = f"cursor of {url}", f"emptied of {url}"
        return other

    @property
    def cursor(self) -> str:
        """Where reading goes on."""
        try:
            return self._ledger.meta(self._cursor_key)
        except KeyError:
            return ""

    def knows(self, name: str) -> bool:
        """Whether the document of this name needs no second look."""
        return name in self._others or stem(name) in self._results

    def start_over(self) -> None:
        """Forget the cursor, and what was refused: the program may know better now."""
        with self._ledger.change() as db:
            db.execute("DELETE FROM meta WHERE key = ?", (self._cursor_key,))
            db.execute("DELETE FROM arrivals WHERE refused IS NOT NULL")
        self._others.clear()
        self._others.update(row[0] for row in self._ledger.ask("SELECT name FROM arrivals"))

    def take(self, page: Page) -> Collected:
        """Take a page in, wholly or not at all; return what came of it."""
        # All that needs no ledger first: others may write to it meanwhile.
        opened = [(arrival.name, self._open(arrival)) for arrival in page.arrivals]
        taking = _Taking(self._ledger, self._again, Collected(emptied=int(page.emptied)))
        with self._ledger.change() as db:
            for name, found in opened:
                if not self.knows(name):
                    taking.take(name, found)
            taking.keep()
            db.executemany(
                "INSERT OR REPLACE INTO arrivals VALUES (?, ?, ?)",
                [(name, time.time(), refused) for name, refused in taking.others.items()],
            )
            if page.cursor or page.emptied:
                db.execute(
                    "INSERT OR REPLACE INTO meta VALUES (?, ?)", (self._cursor_key, page.cursor)
                )
            if page.emptied:
                db.execute(
                    "INSERT INTO meta VALUES (?, 1)"
                    " ON CONFLICT (key) DO UPDATE SET value = value + 1",
                    (self._emptied_key,),
                )
        self._results.update(taking.results)
        self._others.update(taking.others)
        if self._ledger.handover is not None:
            self._ledger.handover.put(taking.taken)
        return taking.came

    def lose(self, tasks: Iterable[str], why: str) -> int:
        """Count tasks that ended without a result as failed, cause `lost`; return how many."""
        count = 0
        with self._ledger.change():
            for task_id in tasks:
                self._ledger.note_failure(Failure(task_id, Cause.LOST, why), again=False)
                count += 1
        return count

    def _open(self, arrival: Arrival) -> _Result | Failure | str:
        """Return what is inside, or why it is refused."""
        if arrival.payload is None:
            return arrival.problem or "it cannot be fetched"
        try:
            parcel = open_parcel(arrival.name, arrival.payload)
            if not parcel.is_result:
                self._inspector.task_of(parcel)
                return failure_of(parcel.document)
            tally = self._inspector.inspect(parcel)
        except ParcelError as error:
            return str(error)[:_SHOWN]
        except RecursionError:
            return "it is nested too deeply"
        # Only what is needed: a page of parsed documents costs a tenth of the speed.
        sample, digest = parcel.document["sample"], parcel.document["digest"]
        incoming = Incoming(tally.task, sample, digest, tally.events, tally.form, parcel.text)
        return _Result(incoming, tally)


class _Taking:
    """A page that is being taken in, within a transaction."""

    def __init__(self, ledger: Ledger, again: Again, came: Collected) -> None:
        self._ledger = ledger
        self._again = again
        self._waiting: dict[str, tuple[str, _Result]] = {}  # by task: together is faster
        self.came = came
        self.results: list[str] = []  # names of those that are in the ledger now, or were before
        self.others: dict[str, str | None] = {}  # names of the rest, and why it was refused
        self.taken: list[Taken] = []

    def take(self, name: str, found: _Result | Failure | str) -> None:
        task = found.tally.task if isinstance(found, _Result) else None
        if isinstance(found, Failure) or task in self._waiting:
            self.keep()  # one after the other, as they came
        if name in self.others:
            return  # twice on a page: a failure is counted once
        if isinstance(found, _Result):
            self._waiting[found.tally.task] = (name, found)
        elif isinstance(found, Failure):
            self._take_failure(found)
            self.others[name] = None
        else:
            self.came.refused[name] = self.others[name] = found

    def keep(self) -> None:
        """Put the results that wait into the ledger."""
        waiting, self._waiting = [*self._waiting.values()], {}
        received = time.time()
        kept = self._ledger.keep([one.incoming for _, one in waiting], received)
        for (name, one), (delivery, sequence) in zip(waiting, kept, strict=True):
            self.came.results += delivery is Delivery.ACCEPTED
            self.came.duplicates += delivery is Delivery.DUPLICATE
            self.came.alarms += delivery is Delivery.ALARM
            if delivery is Delivery.ALARM:
                self.others[name] = None
            else:
                self.results.append(stem(name))
            if delivery is Delivery.ACCEPTED:
                self.taken.append(Taken(sequence, received, one.tally))

    def _take_failure(self, failure: Failure) -> None:
        counts = failure.cause is not Cause.PREEMPTED
        self._ledger.note_failure(failure, again=self._again(failure), counts=counts)
        self.came.failures[failure.cause] = self.came.failures.get(failure.cause, 0) + 1
