"""Filling the ledger from sinks: each result once, in any order, whatever is killed when.

The ledger is the record. One process reads them (it holds the run, `RunDirectory.driving`);
any number of others look at the ledger.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from higgsdemo.errors import Cause, HiggsdemoError, TransientError
from higgsdemo.ledger.database import Ledger
from higgsdemo.ledger.inspection import Inspector
from higgsdemo.ledger.intake import Again, Collected, Intake
from higgsdemo.ledger.manifest import Manifest
from higgsdemo.model import Failure
from higgsdemo.sinks import Sink


def only_preempted(failure: Failure) -> bool:
    """Queue again what was taken away; anything else waits for `higgsdemo resume`."""
    return failure.cause is Cause.PREEMPTED


class Collector:
    """Follows the sinks of a run: `sink`, and those `beside` it that are given the same results.

    `versions`: see `Inspector`. `again` says of a failure whether its task is queued again. With
    `trim` the sinks may forget what the ledger has. With `start_over` they are read from their
    beginning, and what was refused is looked at again.

    `silent` has, by URL, why a bus could not be read at the last look: beside a record that is no
    failure.
    """

    def __init__(
        self,
        ledger: Ledger,
        manifest: Manifest,
        sink: Sink,
        *beside: Sink,
        versions: Mapping[str, str] | None = None,
        again: Again = only_preempted,
        trim: bool = False,
        start_over: bool = False,
    ) -> None:
        self._ledger = ledger
        self._run_id = manifest.run_id
        self._trim = trim
        self._intake = Intake(ledger, Inspector(manifest, ledger, versions), sink.url, again)
        intakes = [self._intake, *(self._intake.beside(other.url) for other in beside)]
        if start_over:
            for intake in intakes:
                intake.start_over()
        self._sinks = tuple(zip((sink, *beside), intakes, strict=True))
        self._due: dict[str, float] = {}  # when a tail reads each next, s
        self.poll_s = min(one.poll_s for one, _ in self._sinks)
        self.urls = tuple(one.url for one, _ in self._sinks)
        self.has_record = any(one.is_record for one, _ in self._sinks)
        self.silent: dict[str, TransientError] = {}
        self.total = Collected()

    def look(self, *, everywhere: bool = True) -> Collected:
        """Take all that is new in the sinks; return what it was.

        Raises what a sink raises, once the others are read. What was taken before is kept, and is
        in `total`. A tail says not `everywhere`: then a slow sink (a listing of a bucket) is read
        only every `poll_s` of its own, however often others are.
        """
        new = Collected()
        failed: list[tuple[Sink, HiggsdemoError]] = []
        for sink, intake in self._sinks:
            now = time.monotonic()
            if not everywhere and now < self._due.get(sink.url, now):
                continue
            self._due[sink.url] = now + sink.poll_s
            try:
                self._read(sink, intake, new)
            except HiggsdemoError as error:
                failed.append((sink, error))
        self.silent = {
            sink.url: error for sink, error in failed if isinstance(error, TransientError)
        }
        for sink, failure in failed:
            if sink.is_record or not self.has_record or sink.url not in self.silent:
                raise failure
        return new

    def _read(self, sink: Sink, intake: Intake, new: Collected) -> None:
        for page in sink.pages(self._run_id, intake.cursor, intake.knows):
            came = intake.take(page)
            new.add(came)
            self.total.add(came)
            if self._trim and page.cursor:
                sink.trim(self._run_id, page.cursor)  # only now is it in the ledger

    def lose(self, ended: Iterable[str] | None = None) -> int:
        """Count tasks that ended, but have no result, as lost (see `Cause.LOST`).

        `ended` are the ids of tasks that the engine calls done; None means that no worker is left
        and nothing more will come. Look once more before. Returns how many were lost.
        """
        open_tasks = self._ledger.unfinished()
        tasks = sorted(open_tasks if ended is None else open_tasks & set(ended))
        why = f"the worker ended and there is no result in {' or '.join(self.urls)}"
        if self.total.emptied:
            why += ", which came back without what it held"
        return self._intake.lose(tasks, why)


def collect(ledger: Ledger, manifest: Manifest, sink: Sink) -> Collected:
    """Fill the ledger with what the sink has of this run; return what came."""
    return Collector(ledger, manifest, sink).look()
