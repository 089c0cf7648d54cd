"""A monitor in a thread of its own, for commands that have other things to do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from higgsdemo.errors import HiggsdemoError
from higgsdemo.ledger import RunDirectory
from higgsdemo.monitor.monitor import Monitor
from higgsdemo.monitor.view import View


class Background:
    """Keeps the latest view of a run while it is open (a context manager).

    `show` gets each view, in the thread, and says whether to go on.
    """

    def __init__(
        self,
        run: RunDirectory,
        every_s: float = 1.0,
        show: Callable[[View], bool] = lambda _view: True,
    ) -> None:
        self._run = run
        self._show = show
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="monitor", daemon=True)
        self._latest: View | None = None
        self.error: HiggsdemoError | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it has ended by itself; return whether it has."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def __call__(self) -> View | None:
        """Return the latest view; None before the first."""
        return self._latest

    def _work(self) -> None:
        try:
            with Monitor(self._run) as monitor:
                while True:
                    self._latest = monitor.refresh()
                    if not self._show(self._latest) or self._stop.wait(self._every_s):
                        return
        except HiggsdemoError as error:
            self.error = error
