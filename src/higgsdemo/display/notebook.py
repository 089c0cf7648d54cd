"""A run live in a notebook cell: the plot as it grows, and a line about how far it is."""

from __future__ import annotations

import base64
import contextlib
import html
import importlib
import io
from pathlib import Path
from typing import Any

from higgsdemo.display.captions import refusals_text
from higgsdemo.display.plot import figure
from higgsdemo.display.screen import plain_line
from higgsdemo.display.words import plain
from higgsdemo.errors import HiggsdemoError, UsageError
from higgsdemo.ledger import RunDirectory, find_run
from higgsdemo.monitor import Background, View, record_performance
from higgsdemo.monitor.gathering import Gathering
from higgsdemo.sinks import open_sink, open_sinks

_DPI = 60  # 600 x 630 points: half a notebook's width


class LiveRun:
    """A run shown in a cell, drawn anew by a thread whenever there is news, until it has ended.

    The notebook can be used meanwhile. `wait` waits for the end, `stop` ends the watching.
    """

    def __init__(
        self, run: RunDirectory, sinks: list[str], every_s: float, channel: str | None
    ) -> None:
        display: Any = importlib.import_module("IPython.display").display
        self._channel = channel
        self._run = run
        self._picture = ""
        self._drawn = -1  # tasks done when the picture was drawn
        self._held = contextlib.ExitStack()
        gathering = Gathering(run, lambda: open_sinks(sinks)) if sinks else None
        self._gathering = self._held.enter_context(gathering) if gathering else None
        self._handle = display(_bundle("waiting for the run", ""), raw=True, display_id=True)
        self._live = self._held.enter_context(Background(run, every_s, self._show))

    @property
    def view(self) -> View | None:
        """What is known of the run now."""
        return self._live()

    def wait(self, timeout_s: float | None = None) -> View | None:
        """Wait until the run has ended, at most `timeout_s` seconds; return what is known then.

        Raises what ended the watching early, e.g. RunError.
        """
        if self._live.wait(timeout_s):
            self.stop()
        if self._live.error is not None:
            raise self._live.error
        if self._gathering is not None:
            self._gathering.check()
        return self.view

    def stop(self) -> None:
        """End the watching; the run goes on, and the picture stays."""
        self._held.close()

    def _ipython_display_(self) -> None:
        """Show nothing more than what the cell shows already."""

    def _show(self, view: View) -> bool:
        if view.counts.done != self._drawn and view.counts.done:
            try:
                self._picture = _png(view, self._channel)
            except HiggsdemoError as error:
                self._picture = f"<pre>{html.escape(plain(str(error), lines=True))}</pre>"
            self._drawn = view.counts.done
        said = [plain_line(view), *refusals_text(view.refusals)]
        said += self._gathering.standing.notes if self._gathering else ()
        self._handle.update(_bundle("\n".join(map(plain, said)), self._picture), raw=True)
        if self._gathering is not None and self._gathering.failed:
            return False
        if view.ended and self._gathering is not None:
            record_performance(self._run)
        return not view.ended


def watch(
    what: str,
    run: str | None = None,
    *,
    runs: str | Path = "runs",
    every_s: float = 1.0,
    channel: str | None = None,
) -> LiveRun:
    """Show a run live in a notebook cell.

    Parameters
    ----------
    what
        a run, by its name or the path of its folder; or the URL of the sink that its workers
        deliver to, e.g. "redis://bus:6379": then results are collected from there meanwhile
    run
        with a sink, the name of the run; default: the newest one here, or the only one there.
        One that was submitted elsewhere is known by the plan in its sink
    runs
        the folder where runs are kept
    every_s
        how often to look for news, s
    channel
        one final state, e.g. "4mu"; default: all

    Raises
    ------
    UsageError
        outside a notebook, for an unknown run (with the nearest names) or an unknown sink.
    """
    try:
        from IPython import get_ipython
    except ImportError as error:
        raise UsageError(
            "watch() shows a run in a notebook, and there is no IPython here",
            hint="pip install 'higgsdemo[notebook]'; in a terminal: higgsdemo watch",
        ) from error
    if get_ipython() is None:
        raise UsageError(
            "watch() shows a run in a notebook", hint="in a terminal: higgsdemo watch RUN"
        )
    is_sink = "://" in what
    with contextlib.ExitStack() as stack:
        sinks = [stack.enter_context(open_sink(what))] if is_sink else []
        found = find_run(Path(runs), run if is_sink else what, sinks)
    return LiveRun(found, [what] if is_sink else [], every_s, channel)


def _png(view: View, channel: str | None) -> str:
    drawn = figure(view.totals, variable=view.normalised.variable, channel=channel)
    data = io.BytesIO()
    drawn.savefig(data, format="png", dpi=_DPI)
    text = base64.b64encode(data.getvalue()).decode()
    return f'<img alt="the spectrum of the run so far" src="data:image/png;base64,{text}">'


def _bundle(text: str, picture: str) -> dict[str, Any]:
    return {
        "text/plain": text,
        "text/html": f"<div><pre>{html.escape(text)}</pre>{picture}</div>",
    }
