"""Following a run: one thread takes results out of the sink, one keeps the view up to date.

Both work on the ledger alone, so the process may be killed at any moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from higgsdemo.errors import HiggsdemoError
from higgsdemo.ledger import RunDirectory
from higgsdemo.monitor import Monitor, View
from higgsdemo.monitor.gathering import AGAIN_S, Gathering, OpenSinks, Standing

EVERY_S = 0.2  # from one look to the next, at least
LONGEST_S = 0.4  # looks are a quarter of the work at most, but there are two a second
REST_S = 0.1  # after a look that took long: others want the processor too


class Follower:
    """Follows a run in the background until it is stopped.

    `open_sinks` opens what results come through; without it the ledger alone is read. `on_view`
    and `on_standing` are called from the threads.
    """

    def __init__(
        self,
        run: RunDirectory,
        open_sinks: OpenSinks | None,
        *,
        monitor: Callable[[], Monitor],
        on_view: Callable[[View], None],
        on_standing: Callable[[Standing], None],
    ) -> None:
        self._monitor = monitor
        self._on_view = on_view
        self._on_standing = on_standing
        self._stop = threading.Event()
        self._watching = threading.Thread(target=self._watch, name="monitor", daemon=True)
        self._gathering = (
            None
            if open_sinks is None
            else Gathering(run, open_sinks, patient=True, changed=on_standing)
        )

    def start(self) -> None:
        """Begin."""
        if self._gathering is None:
            self._on_standing(Standing("looking", "reading the ledger"))
        else:
            self._gathering.start()
        self._watching.start()

    def stop(self) -> None:
        """End, after the page of results that is being taken in."""
        self._stop.set()
        if self._gathering is not None:
            self._gathering.stop()
        self._watching.join(timeout=5)

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                with self._monitor() as monitor:
                    while not self._stop.is_set():
                        began = time.perf_counter()
                        self._on_view(monitor.look())
                        took = time.perf_counter() - began
                        if (fitted := monitor.fit()) is not None:
                            self._on_view(fitted)
                            continue  # it took long enough
                        every = min(max(EVERY_S, 4 * took), LONGEST_S)
                        self._stop.wait(max(every - took, REST_S))
            except HiggsdemoError as error:  # e.g. the ledger was moved away, or its disk is gone
                self._on_standing(Standing("waiting", error.brief))
                self._stop.wait(AGAIN_S)
