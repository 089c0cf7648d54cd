"""Taking what a sink has into the ledger: a page of documents is one transaction.

Where reading goes on, what was refused and why, and which failures are counted are written with
the results themselves, so a collector may be killed at any instruction (promise P3).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from higgsdemo.errors import Cause
from higgsdemo.ledger.database import Delivery, Ledger
from higgsdemo.ledger.inspection import Inspector
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
_SHOWN = 300  # characters of a reason

Again = Callable[[Failure], bool]


@dataclass(frozen=True, slots=True)
class _Text:
    """A result that passed inspection, as JSON text."""

    task_id: str
    sample: str
    digest: str
    events: int
    text: bytes


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
        self._cursor_key = f"cursor of {url}"
        with ledger.change() as db:
            db.execute(_TABLE)
        self._results = {result_name(task, digest) for task, digest in ledger.digests()}
        rows = ledger.ask("SELECT name FROM arrivals")
        self._others = {row[0] for row in rows}

    def beside(self, url: str) -> Intake:
        """Return the intake of another sink of the run: what came over one, both know."""
        other = copy.copy(self)
        other._cursor_key = f"cursor of {url}"
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
        came = Collected(emptied=int(page.emptied))
        results: list[str] = []
        others: dict[str, tuple[str, float, str | None]] = {}  # by name
        with self._ledger.change() as db:
            for name, found in opened:
                if name in others or self.knows(name):
                    continue  # twice on one page: a failure is counted once
                if isinstance(found, str):
                    came.refused[name] = found
                    others[name] = (name, time.time(), found)
                elif isinstance(found, Failure):
                    self._take_failure(found, came)
                    others[name] = (name, time.time(), None)
                elif self._take_result(found, came) is Delivery.ALARM:
                    others[name] = (name, time.time(), None)
                else:
                    results.append(stem(name))
            db.executemany("INSERT OR REPLACE INTO arrivals VALUES (?, ?, ?)", others.values())
            if page.cursor or page.emptied:
                db.execute(
                    "INSERT OR REPLACE INTO meta VALUES (?, ?)", (self._cursor_key, page.cursor)
                )
        self._results.update(results)
        self._others.update(others)
        return came

    def lose(self, tasks: Iterable[str], why: str) -> int:
        """Count tasks that ended without a result as failed, cause `lost`; return how many."""
        count = 0
        with self._ledger.change():
            for task_id in tasks:
                self._ledger.note_failure(Failure(task_id, Cause.LOST, why), again=False)
                count += 1
        return count

    def _open(self, arrival: Arrival) -> _Text | Failure | str:
        """Return what is inside, or why it is refused."""
        if arrival.payload is None:
            return arrival.problem or "it cannot be fetched"
        try:
            parcel = open_parcel(arrival.name, arrival.payload)
            if not parcel.is_result:
                self._inspector.task_of(parcel)
                return failure_of(parcel.document)
            self._inspector.inspect(parcel)
        except ParcelError as error:
            return str(error)[:_SHOWN]
        document = parcel.document
        self._inspector.accept(document)
        # Only what is needed: a page of parsed documents costs a tenth of the speed.
        return _Text(
            document["task"],
            document["sample"],
            document["digest"],
            document["events"],
            parcel.text,
        )

    def _take_result(self, found: _Text, came: Collected) -> Delivery:
        delivery = self._ledger.keep(
            found.task_id, found.sample, found.digest, found.events, lambda: found.text
        )
        came.results += delivery is Delivery.ACCEPTED
        came.duplicates += delivery is Delivery.DUPLICATE
        came.alarms += delivery is Delivery.ALARM
        return delivery

    def _take_failure(self, failure: Failure, came: Collected) -> None:
        counts = failure.cause is not Cause.PREEMPTED
        self._ledger.note_failure(failure, again=self._again(failure), counts=counts)
        came.failures[failure.cause] = came.failures.get(failure.cause, 0) + 1
