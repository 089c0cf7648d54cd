"""Making and deleting clusters, as it goes: a live table in a terminal, plain lines in a pipe."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.live import Live
from rich.markup import escape

from higgsdemo.clusters.providers import Ended, State, Step
from higgsdemo.display.progress import duration
from higgsdemo.display.shown import Shown
from higgsdemo.display.tables import new_table

_COLOURS = {State.READY: "green", State.FAILED: "red", State.ABSENT: "dim"}


class ClusterProgress(Shown):
    """Shows steps as they happen; `tell` may be called from several threads."""

    def __init__(self, console: Console, names: Iterable[str]) -> None:
        self._console = console
        self._steps: dict[str, Step | None] = dict.fromkeys(names)
        self._one_at_a_time = threading.Lock()
        self._live: Live | None = None
        if console.is_terminal:
            self._live = Live(console=console, get_renderable=self._table, transient=True)
        super().__init__(self._live)

    def tell(self, step: Step) -> None:
        """Show a step."""
        with self._one_at_a_time:
            self._steps[step.name] = step
            if not self._live:
                note = f" ({escape(step.note)})" if step.note else ""
                self._console.print(
                    f"{escape(step.name)}: {step.state} after {duration(step.seconds)}{note}"
                )

    def _table(self) -> RenderableType:
        table = new_table("cluster", "state", "since the start", "note", right=["since the start"])
        with self._one_at_a_time:
            steps = dict(self._steps)
        for name, step in steps.items():
            state = coloured(step.state) if step else "..."
            table.add_row(
                escape(name),
                state,
                duration(step.seconds) if step else "",
                escape(step.note) if step else "",
            )
        return table


def coloured(state: State) -> str:
    """Return a state as markup."""
    colour = _COLOURS.get(state, "yellow")
    return f"[{colour}]{state}[/]"


def ended_table(ended: Iterable[Ended]) -> RenderableType:
    """Return how it ended for each cluster."""
    table = new_table("cluster", "state", "after", "note", right=["after"])
    for one in ended:
        note = one.error.what if one.error else one.note
        table.add_row(escape(one.name), coloured(one.state), duration(one.seconds), escape(note))
    return table
