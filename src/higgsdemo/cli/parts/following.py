"""Following a run: one screen in a terminal, lines in a pipe, JSON lines for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.live import Live
from rich.markup import escape

from higgsdemo.cli.parts.console import err, out
from higgsdemo.display.captions import refusals_text
from higgsdemo.display.screen import Screen, plain_line
from higgsdemo.display.words import plain
from higgsdemo.monitor import Monitor, View

SCREEN_EVERY_S = 0.25
LINE_EVERY_S = 5.0

Notes = Callable[[View], Sequence[str]]
Line = Callable[[View], str]


def no_notes(_view: View) -> Sequence[str]:
    """Have nothing to add."""
    return ()


def follow(
    monitor: Monitor,
    *,
    as_json: bool = False,
    every_s: float | None = None,
    once: bool = False,
    notes: Notes = no_notes,
    line: Line = plain_line,
    ended: Callable[[View], bool] = lambda view: view.ended,
) -> View:
    """Show a run until it has `ended` (or `once`), and return how it was then.

    A terminal gets a screen that is drawn anew every `every_s` seconds; anything else gets a
    line, or a JSON document in a line, whenever there is news, at most so often.
    """
    if out.is_terminal and not as_json:
        return _on_screen(monitor, every_s or SCREEN_EVERY_S, once, notes, ended)
    tell = _to_json if as_json else line
    return _in_lines(monitor, every_s or LINE_EVERY_S, once, notes, tell, ended)


def _on_screen(
    monitor: Monitor,
    every_s: float,
    once: bool,
    notes: Notes,
    ended: Callable[[View], bool],
) -> View:
    view = monitor.refresh()
    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            live.update(Screen(view, notes(view)), refresh=True)
            if once or (ended(view) and _settled(view)):
                return view
            time.sleep(every_s)
            view = monitor.refresh()


def _in_lines(
    monitor: Monitor,
    every_s: float,
    once: bool,
    notes: Notes,
    line: Line,
    ended: Callable[[View], bool],
) -> View:
    said, noted = "", set[str]()
    revision = 0
    said_at = -float("inf")
    while True:
        view = monitor.refresh()
        for note in (*refusals_text(view.refusals), *notes(view)):
            if note not in noted:
                err.print(f"[yellow]{escape(plain(note))}[/]")
                noted.add(note)
        last = once or ended(view)
        if last or (view.revision > revision and time.monotonic() - said_at >= every_s):
            text = line(view)
            if text != said:
                out.out(text, highlight=False)
                out.file.flush()
            said, revision, said_at = text, view.revision, time.monotonic()
        if last:
            return view
        time.sleep(min(every_s, SCREEN_EVERY_S))


def _settled(view: View) -> bool:
    """Whether the last moment of an ended run has been fitted: the screen stays as it is."""
    return not view.counts.done or bool(view.history and view.history[-1].done == view.counts.done)


def _to_json(view: View) -> str:
    return json.dumps(view.to_json())
