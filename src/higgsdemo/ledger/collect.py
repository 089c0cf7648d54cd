"""Filling the ledger from a sink: each result once, in any order, whatever is killed when.

The ledger is the record. One process reads the sink (it holds the run, `RunDirectory.driving`);
any number of others look at the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from higgsdemo.errors import Cause
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
    """Follows one sink of a run.

    `versions`: see `Inspector`. `again` says of a failure whether its task is queued again. With
    `trim` the sink may forget what the ledger has. With `start_over` it is read from its
    beginning, and what was refused is looked at again.
    """

    def __init__(
        self,
        ledger: Ledger,
        manifest: Manifest,
        sink: Sink,
        *,
        versions: Mapping[str, str] | None = None,
        again: Again = only_preempted,
        trim: bool = False,
        start_over: bool = False,
    ) -> None:
        self._ledger = ledger
        self._run_id = manifest.run_id
        self._sink = sink
        self._trim = trim
        self._intake = Intake(ledger, Inspector(manifest, ledger, versions), sink.url, again)
        if start_over:
            self._intake.start_over()
        self.total = Collected()

    def look(self) -> Collected:
        """Take all that is new in the sink; return what it was. Raises what the sink raises.

        What was taken before the sink failed is kept, and is in `total`.
        """
        new = Collected()
        pages = self._sink.pages(self._run_id, self._intake.cursor, self._intake.knows)
        for page in pages:
            came = self._intake.take(page)
            new.add(came)
            self.total.add(came)
            if self._trim and page.cursor:
                self._sink.trim(self._run_id, page.cursor)  # only now is it in the ledger
        return new

    def lose(self, ended: Iterable[str] | None = None) -> int:
        """Count tasks that ended, but have no result, as lost (see `Cause.LOST`).

        `ended` are the ids of tasks that the engine calls done; None means that no worker is left
        and nothing more will come. Look once more before. Returns how many were lost.
        """
        open_tasks = self._ledger.unfinished()
        tasks = sorted(open_tasks if ended is None else open_tasks & set(ended))
        why = f"the worker ended and there is no result in {self._sink.url}"
        if self.total.emptied:
            why += ", which came back without what it held"
        return self._intake.lose(tasks, why)


def collect(ledger: Ledger, manifest: Manifest, sink: Sink) -> Collected:
    """Fill the ledger with what the sink has of this run; return what came."""
    return Collector(ledger, manifest, sink).look()
