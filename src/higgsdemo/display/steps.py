"""What happens in several places at once: a line each in a terminal, plain lines in a pipe."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from higgsdemo.display.progress import duration
from higgsdemo.display.shown import Shown

_PLAIN_EVERY_S = 2.0


class Steps(Shown):
    """Shows the latest step of each place; `tell` may be called from any thread."""

    def __init__(self, console: Console, places: Sequence[str]) -> None:
        self._console = console
        self._began = time.monotonic()
        self._steps = dict.fromkeys(places, "")
        self._told: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._live = (
            Live(get_renderable=self._table, console=console, transient=True)
            if console.is_terminal
            else None
        )
        super().__init__(self._live)

    def tell(self, place: str, step: str) -> None:
        """Show a step; in a pipe each once, and not more than one in two seconds of each kind."""
        with self._lock:
            self._steps[place] = step
            if self._live:
                return
            now = time.monotonic()
            last, at = self._told.get(place, ("", -_PLAIN_EVERY_S))
            alike = step.partition(":")[0] == last.partition(":")[0]
            if step != last and (not alike or now - at >= _PLAIN_EVERY_S):
                self._told[place] = step, now
                self._console.print(f"{escape(place)}: {escape(step)}")

    def _table(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        with self._lock:
            for place, step in self._steps.items():
                table.add_row(f"[bold]{escape(place)}[/]", escape(step))
        table.add_row("", f"[dim]{duration(time.monotonic() - self._began)}[/]")
        return table
