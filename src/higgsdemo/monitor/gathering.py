"""Filling the ledger from sinks beside whatever else a command does: one thread, one reader."""

from __future__ import annotations

import contextlib
import threading
from types import TracebackType
from typing import Self

from higgsdemo import workflows
from higgsdemo.errors import HiggsdemoError, RunError, TransientError
from higgsdemo.ledger import Collected, Collector, Manifest, RunDirectory
from higgsdemo.sinks import open_sinks

_PATIENCE_S = 10.0  # for the look that is under way when we end; what it had is kept


class Gathering:
    """Collects a run's results from sinks until it is left (a context manager).

    If another process drives the run, it collects: then this only says so (`notes`).
    """

    def __init__(self, run: RunDirectory, urls: list[str], *, trim: bool = False) -> None:
        self._run = run
        self._urls = urls
        self._trim = trim
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._held = contextlib.ExitStack()
        self._waiting: str | None = None
        self._silent: dict[str, str] = {}
        self.total = Collected()
        self.error: Exception | None = None

    def __enter__(self) -> Self:
        try:
            self._held.enter_context(self._run.driving())
        except RunError as error:
            self._waiting = f"{error.what}: looking on"
            return self
        self._thread = threading.Thread(target=self._work, name="collector", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_PATIENCE_S)
        self._held.close()

    @property
    def notes(self) -> list[str]:
        """What people should know: sinks that do not answer, documents that were refused."""
        said = [] if self._waiting is None else [self._waiting]
        said += [f"going on without {url}: {why}" for url, why in self._silent.items()]
        if self.total.refused:
            name, why = next(iter(self.total.refused.items()))
            said.append(f"{len(self.total.refused)} documents refused, e.g. {name}: {why}")
        if self.total.emptied:
            said.append("the sink came back without what it held: what was not collected is lost")
        return said

    def check(self) -> None:
        """Raise what stopped the collecting, if anything did."""
        if self.error is not None:
            raise self.error

    def _work(self) -> None:
        try:
            with contextlib.ExitStack() as stack:
                sinks = [stack.enter_context(sink) for sink in open_sinks(self._urls)]
                ledger = stack.enter_context(self._run.ledger())
                manifest = self._run.manifest()
                collector = Collector(
                    ledger, manifest, *sinks, versions=known_versions(manifest), trim=self._trim
                )
                self.total = collector.total
                while not self._stop.is_set() and not ledger.counts().ended:
                    self._look(collector)
                    self._stop.wait(collector.poll_s)
        except Exception as error:  # noqa: BLE001 - raised by `check`, a bug too
            self.error = error
        finally:
            self._held.close()  # others may drive the run now

    def _look(self, collector: Collector) -> None:
        try:
            collector.look(everywhere=False)
            self._waiting = None
        except TransientError as error:  # `look` itself waited, with pauses that grow
            self._waiting = f"waiting for the sink: {error.why or error.what}"
        self._silent = {url: error.why or error.what for url, error in collector.silent.items()}


def known_versions(manifest: Manifest) -> dict[str, str]:
    """Return the versions of the run's workflows as installed here, where they are."""
    versions = {}
    for name in {task.workflow for task in manifest.tasks}:
        try:
            versions[name] = workflows.load(name).version
        except HiggsdemoError:  # run by workers that have it; then the first result decides
            continue
    return versions
