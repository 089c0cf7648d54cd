"""Following a run: one thread takes results out of the sink, one keeps the view up to date.

Both work on the ledger alone, so the process may be killed at any moment. However many browsers
look on, the sink has one reader and the ledger one: whoever holds the run (`driving`) collects,
other dashboards read the ledger, and one of them takes over when that process ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from higgsdemo.display.dashboard.sections import plain
from higgsdemo.errors import HiggsdemoError, RunError, TransientError
from higgsdemo.ledger import Collected, Collector, Manifest, RunDirectory
from higgsdemo.monitor import Monitor, View
from higgsdemo.sinks import Page, Sink

OpenSinks = Callable[[], Sequence[Sink]]

EVERY_S = 0.2  # from one look to the next, at least
REST_S = 0.1  # after a look that took long: others want the processor too
AGAIN_S = 2.0  # until the next try to hold the run, or to reach the sink


@dataclass(frozen=True, slots=True)
class Following:
    """How the run is followed: `state` is "looking", "collecting" or "waiting"."""

    state: str
    text: str
    refused: int = 0
    emptied: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as a section of the page."""
        return {**dataclasses.asdict(self), "text": plain(self.text)}


class Follower:
    """Follows a run in the background until it is stopped.

    `open_sinks` opens what results come through; without it the ledger alone is read. `on_view`
    and `on_following` are called from the threads.
    """

    def __init__(
        self,
        run: RunDirectory,
        manifest: Manifest,
        open_sinks: OpenSinks | None,
        *,
        versions: Mapping[str, str],
        monitor: Callable[[], Monitor],
        on_view: Callable[[View], None],
        on_following: Callable[[Following], None],
    ) -> None:
        self._run = run
        self._manifest = manifest
        self._versions = versions
        self._monitor = monitor
        self._on_view = on_view
        self._on_following = on_following
        self._stop = threading.Event()
        self._said = ""
        self._threads = [threading.Thread(target=self._watch, name="monitor", daemon=True)]
        if open_sinks is not None:
            collect = threading.Thread(
                target=self._collect, args=[open_sinks], name="collector", daemon=True
            )
            self._threads.append(collect)

    def start(self) -> None:
        """Begin."""
        if len(self._threads) == 1:
            self._say("looking", "reading the ledger")
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, after the page of results that is being taken in."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=5)

    # -- the view -------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                with self._monitor() as monitor:
                    while not self._stop.is_set():
                        began = time.perf_counter()
                        self._on_view(monitor.refresh())
                        took = time.perf_counter() - began
                        self._stop.wait(max(EVERY_S - took, REST_S))
            except HiggsdemoError as error:  # e.g. the ledger was moved away, or its disk is gone
                self._say("waiting", _short(error))
                self._stop.wait(AGAIN_S)

    # -- the sinks ------------------------------------------------------------------------------

    def _collect(self, open_sinks: OpenSinks) -> None:
        while not self._stop.is_set():
            with contextlib.ExitStack() as held:
                try:
                    held.enter_context(self._run.driving())
                except RunError as error:  # another process does
                    self._say("looking", f"{error.what}: reading the ledger")
                else:
                    self._collect_or_wait(open_sinks)
            self._stop.wait(AGAIN_S)

    def _collect_or_wait(self, open_sinks: OpenSinks) -> None:
        try:
            self._collect_as_holder(open_sinks)
        except HiggsdemoError as error:
            self._say("waiting", _short(error))

    def _collect_as_holder(self, open_sinks: OpenSinks) -> None:
        with contextlib.ExitStack() as stack:
            sinks = [stack.enter_context(sink) for sink in open_sinks()]
            ledger = stack.enter_context(self._run.ledger())
            collector = Collector(
                ledger,
                self._manifest,
                *(_Stoppable(sink, self._stop) for sink in sinks),
                versions=self._versions,
            )
            said = f"collecting from {' and '.join(collector.urls)}"
            while not self._stop.is_set():
                try:
                    collector.look(everywhere=False)
                except TransientError as error:
                    self._say("waiting", _short(error), collector.total)
                else:
                    silent = ", ".join(collector.silent)
                    more = f", without {silent}" if silent else ""
                    self._say("collecting", said + more, collector.total)
                self._stop.wait(collector.poll_s)

    def _say(self, state: str, text: str, total: Collected | None = None) -> None:
        """Tell how we follow, if that is news."""
        said = Following(
            state,
            text,
            refused=0 if total is None else len(total.refused),
            emptied=0 if total is None else total.emptied,
        )
        if repr(said) != self._said:
            self._said = repr(said)
            self._on_following(said)


def _short(error: HiggsdemoError) -> str:
    return ": ".join(filter(None, (error.what, error.where, error.why)))


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
