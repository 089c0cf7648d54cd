"""How far something is: a live bar in a terminal, plain lines in a pipe."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from higgsdemo.display.shown import Shown

PLAIN_EVERY_S = 5.0


class Bar(Shown):
    """A bar on `console` with words beside it; a context manager."""

    def __init__(
        self, console: Console, words: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.console = console
        self.clock = clock
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
            self._task = self._bar.add_task(words, total=1.0)
        super().__init__(self._bar)

    def show(self, share: float, words: Callable[[], str]) -> None:
        """Show the share that is done, 0 to 1; in a pipe only the words, every few seconds."""
        if self._bar:
            self._bar.update(self._task, completed=share, description=words())
        elif self.clock() - self._plain_at >= PLAIN_EVERY_S:
            self._plain_at = self.clock()
            self.console.print(words(), highlight=False)
