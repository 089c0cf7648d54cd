"""Filling the ledger from sinks beside whatever else a command does: one thread, one reader.

However many processes look at a run, its sinks have one reader: whoever holds the run (`driving`).
The others look on, and one of them takes over when that process ends.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from higgsdemo import workflows
from higgsdemo.errors import HiggsdemoError, RunError, TransientError
from higgsdemo.ledger import Collector, Ledger, Manifest, RunDirectory
from higgsdemo.sinks import Page, Sink

OpenSinks = Callable[[], Sequence[Sink]]

AGAIN_S = 2.0  # until the next try to hold the run, or to reach the sink
_DECIDED_S = 1.0  # so that who looks on says so at once; not longer, a disk may be slow
_PATIENCE_S = 10.0  # for the page that is being taken in when we end; what it had is kept


@dataclass(frozen=True, slots=True)
class Standing:
    """How the collecting is: `state` is "beginning", "looking", "collecting" or "waiting".

    `text` says so for people; `silent` has why sinks are not read, by URL. What the sinks held is
    in the ledger, and so in every view.
    """

    state: str = "beginning"
    text: str = "beginning to collect"
    silent: Mapping[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """What people should know; nothing if all is well."""
        said = [] if self.state in ("beginning", "collecting") else [self.text]
        return said + [f"going on without {url}: {why}" for url, why in self.silent.items()]


class Gathering:
    """Collects a run's results from sinks until it is left (a context manager).

    It ends by itself when all tasks have ended, and `check` raises what is wrong with a sink
    besides silence. One that is `patient` does neither: it waits, and goes on. `changed` is called
    in its thread with each `Standing` that is news.
    """

    def __init__(
        self,
        run: RunDirectory,
        open_sinks: OpenSinks,
        *,
        patient: bool = False,
        changed: Callable[[Standing], None] = lambda _: None,
    ) -> None:
        self._run = run
        self._open_sinks = open_sinks
        self._patient = patient
        self._changed = changed
        self._stop = threading.Event()
        self._decided = threading.Event()  # whether we collect, or look on
        self._thread = threading.Thread(target=self._work, name="collector", daemon=True)
        self._error: Exception | None = None
        self.standing = Standing()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread.start()
        self._decided.wait(_DECIDED_S)

    def stop(self) -> None:
        """End, after the page of results that is being taken in; the run is held until then."""
        self._stop.set()
        self._thread.join(_PATIENCE_S)

    @property
    def failed(self) -> bool:
        """Whether something stopped the collecting."""
        return self._error is not None

    def check(self) -> None:
        """Raise what stopped the collecting, if anything did."""
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            manifest = self._run.manifest()
            versions = known_versions(manifest)
            while not self._stop.is_set() and not self._follow(manifest, versions):
                self._stop.wait(AGAIN_S)
        except Exception as error:  # noqa: BLE001 - raised by `check`, a bug too
            self._error = error
            self._say("waiting", f"collecting has ended: {type(error).__name__}: {error}")

    def _follow(self, manifest: Manifest, versions: Mapping[str, str]) -> bool:
        """Collect while we hold the run; return whether there is nothing more to collect."""
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(self._run.driving())
            except RunError as error:  # another process collects
                self._say("looking", f"{error.what}: looking on")
                return not self._patient and self._has_ended()
            finally:
                self._decided.set()
            try:
                sinks = [held.enter_context(sink) for sink in self._open_sinks()]
                ledger = held.enter_context(self._run.ledger())
                stoppable = [_Stoppable(sink, self._stop) for sink in sinks]
                collector = Collector(ledger, manifest, *stoppable, versions=versions)
                return self._collect(collector, ledger)
            except HiggsdemoError as error:
                if not self._patient:
                    raise
                self._say("waiting", error.brief)
                return False

    def _collect(self, collector: Collector, ledger: Ledger) -> bool:
        said = f"collecting from {' and '.join(collector.urls)}"
        while not self._stop.is_set():
            try:
                collector.look(everywhere=False)
            except TransientError as error:  # `look` itself waited, with pauses that grow
                self._say("waiting", f"waiting for the sink: {error.brief}", collector)
            else:
                silent = ", ".join(collector.silent)
                self._say("collecting", said + (f", without {silent}" if silent else ""), collector)
                if not self._patient and ledger.counts().ended:
                    return True
            self._stop.wait(collector.poll_s)
        return True

    def _has_ended(self) -> bool:
        with self._run.look() as ledger:
            return ledger.counts().ended

    def _say(self, state: str, text: str, collector: Collector | None = None) -> None:
        """Tell how it is, if that is news."""
        silent = {} if collector is None else collector.silent
        said = Standing(
            state, text, {url: error.why or error.what for url, error in silent.items()}
        )
        if said != self.standing:
            self.standing = said
            self._changed(said)


def known_versions(manifest: Manifest) -> dict[str, str]:
    """Return the versions of the run's workflows as installed here, where they are."""
    versions = {}
    for name in {task.workflow for task in manifest.tasks}:
        try:
            versions[name] = workflows.load(name).version
        except HiggsdemoError:  # run by workers that have it; then the first result decides
            continue
    return versions


class _Stoppable:
    """A sink whose pages end when we are to stop."""

    def __init__(self, sink: Any, stop: threading.Event) -> None:
        self._sink = sink
        self._stop = stop

    def pages(self, *words: Any) -> Iterator[Page]:
        """See `Sink.pages`."""
        for page in self._sink.pages(*words):
            yield page
            if self._stop.is_set():
                return

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sink, name)
