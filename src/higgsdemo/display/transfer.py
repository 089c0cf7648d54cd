"""Progress of a transfer: a live bar in a terminal, plain lines in a pipe."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console

from higgsdemo.display.bar import Bar
from higgsdemo.display.progress import duration
from higgsdemo.display.tables import size
from higgsdemo.transfer import State

WINDOW_S = 20.0  # the rate is that of the last seconds


class TransferProgress(Bar):
    """Shows a `State` on `console`: share, rate, time left."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(console, "starting", clock)
        self._seen: list[tuple[float, int]] = []

    def watch(self, state: State) -> None:
        """Show the state."""
        now = self.clock()
        self._seen.append((now, state.bytes_moved))
        while len(self._seen) > 2 and now - self._seen[0][0] > WINDOW_S:
            self._seen.pop(0)
        share = (state.bytes_here + state.bytes_moved) / state.bytes if state.bytes else 1.0
        self.show(share, lambda: self.line(state))

    def line(self, state: State) -> str:
        """Describe the state in one line."""
        came = state.bytes_here + state.bytes_moved
        said = [
            f"{state.files_done} of {state.files} files",
            f"{size(came)} of {size(state.bytes)}",
        ]
        if state.files_failed:
            said.insert(1, f"{state.files_failed} failed")
        (began, before), (now, moved) = self._seen[0], self._seen[-1]
        rate = (moved - before) / (now - began) if now > began else 0.0
        if rate > 0:
            said.append(f"{size(rate)}/s")
            left = (state.bytes - came) / rate
            said += [f"about {duration(left)} left"] if left > 0 else []
        return ", ".join(said)
