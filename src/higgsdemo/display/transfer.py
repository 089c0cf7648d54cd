"""Progress of a transfer: a live bar in a terminal, plain lines in a pipe."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from higgsdemo.display.progress import PLAIN_EVERY_S, duration
from higgsdemo.display.tables import size
from higgsdemo.transfer import State

WINDOW_S = 20.0  # the rate is that of the last seconds


class TransferProgress:
    """Shows a `State` on `console`: share, rate, time left."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._seen: list[tuple[float, int]] = []
        self._plain_at = clock()
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                BarColumn(bar_width=30),
                TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                console=console,
                transient=True,
            )
            self._task = self._bar.add_task("starting", total=1.0)

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    def watch(self, state: State) -> None:
        """Show the state."""
        now = self._clock()
        self._seen.append((now, state.bytes_moved))
        while len(self._seen) > 2 and now - self._seen[0][0] > WINDOW_S:
            self._seen.pop(0)
        if self._bar:
            share = (state.bytes_here + state.bytes_moved) / state.bytes if state.bytes else 1.0
            self._bar.update(self._task, completed=share, description=self.line(state))
        elif now - self._plain_at >= PLAIN_EVERY_S:
            self._plain_at = now
            self._console.print(self.line(state), highlight=False)

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
