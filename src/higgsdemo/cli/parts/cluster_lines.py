"""How a run in clusters is, a line whenever it changed: for people as in 2019, or for programs."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from higgsdemo.cli.parts.console import err, out
from higgsdemo.monitor import Monitor

if TYPE_CHECKING:
    from higgsdemo.executors.kubernetes.state import ClusterState, State

LINE_EVERY_S = 2.0
SILENT_S = 30.0  # a watch gives a sign of life about every minute, mostly more often


def _tell_words(state: State) -> None:
    for word in state.words:
        err.print(f"[yellow]{escape(word)}[/]")


class Lines:
    """Tells how a run in clusters is, a line whenever it changed; words on standard error.

    The line is that of the 2019 demo. `only` one cluster, if named; at most every `every_s`
    seconds.
    """

    def __init__(self, only: str | None = None, every_s: float = LINE_EVERY_S) -> None:
        self._only = only
        self._every_s = every_s
        self._said = ""
        self._said_at = -every_s

    def on_state(self, state: State) -> None:
        """Tell what is new."""
        _tell_words(state)
        if self._only is None:
            text = str(state.line)
        else:  # of one that was given up, and cannot be asked any more, there is nothing
            text = "".join(str(each.line) for each in state.clusters if each.name == self._only)
        now = time.monotonic()
        if text != self._said and (now - self._said_at >= self._every_s or state.counts.ended):
            out.out(text, highlight=False)
            out.file.flush()
            self._said, self._said_at = text, now


class JsonLines:
    """Tells the same to programs: what there is to say of any run, and `clusters` besides.

    So what reads the lines of one run reads those of another, wherever that is.
    """

    def __init__(
        self, monitor: Monitor, only: str | None = None, every_s: float = LINE_EVERY_S
    ) -> None:
        self._monitor = monitor
        self._only = only
        self._every_s = every_s
        self._said: object = None
        self._said_at = -every_s

    def on_state(self, state: State) -> None:
        """Tell what is new."""
        _tell_words(state)
        now = time.monotonic()
        if now - self._said_at < self._every_s and not state.counts.ended:
            return
        view = self._monitor.refresh()
        shown = [each for each in state.clusters if self._only in (None, each.name)]
        news = (
            view.revision,
            [(each.line, each.given_up, each.waiting, each.silent_s > SILENT_S) for each in shown],
        )
        if news != self._said:
            clusters = {each.name: _document(each) for each in shown}
            out.out(json.dumps({**view.to_json(), "clusters": clusters}), highlight=False)
            out.file.flush()
            self._said, self._said_at = news, now


def _document(cluster: ClusterState) -> dict[str, Any]:
    return {
        **cluster.line,
        "silent_s": round(cluster.silent_s),
        "given_up": cluster.given_up,
        "waiting": list(cluster.waiting),
    }
