"""What goes to the browsers: sections made once for all of them, and only what has changed."""

from __future__ import annotations

import itertools
import json
import math
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from higgsdemo.display.dashboard import sections
from higgsdemo.display.dashboard.selection import Drawn, Selection, draw
from higgsdemo.errors import HiggsdemoError
from higgsdemo.inference import Normalised, normalise
from higgsdemo.model import Totals
from higgsdemo.model.text import to_json
from higgsdemo.monitor import View

REMEMBERED = 64  # selections made ready at one time
SPEED_POINTS = 600
SPEED_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class _Made:
    """Sections as JSON text, of one state of the run."""

    of: object  # what they were made from
    texts: dict[str, str]


class Feed:
    """The latest view of a run, in sections. Used from the event loop alone."""

    def __init__(self) -> None:
        self.view: View | None = None
        self._general = _Made(None, {})
        self._spectra: OrderedDict[Selection, _Made] = OrderedDict()
        self._normalised: dict[str, tuple[Totals, Normalised]] = {}
        self._speed: deque[tuple[float, float]] = deque(maxlen=SPEED_POINTS)  # as we looked on
        self._past: list[tuple[float, float]] = []  # before
        self.extra: dict[str, Any] = {}  # sections of others: how we follow, what it costs

    def take(self, view: View) -> None:
        """Take in a newer view."""
        self._note_speed(view)
        before, self.view = self.view, view
        texts = dict(self._general.texts)
        if before is None or before.revision != view.revision:
            makers: dict[str, Callable[[View], Any]] = {
                "overview": sections.overview,
                "completeness": sections.completeness,
                "problems": sections.problems,
                "history": sections.history,
            }
            self._past = _past_speed(view, until=self._speed[0][0] if self._speed else math.inf)
            texts |= {name: _text(make(view)) for name, make in makers.items()}
        if before is None or before.rates != view.rates or before.places != view.places:
            texts["throughput"] = _text(sections.throughput(view))
        points = [*self._past, *self._speed]
        texts["speed"] = _text(
            {"at": [at * 1000 for at, _ in points], "events": [rate for _, rate in points]}
        )
        self._general = _Made(view, texts)

    def _note_speed(self, view: View) -> None:
        if self._speed:
            at, before = self._speed[-1]
            if view.at - at < SPEED_EVERY_S or (view.ended and before == 0.0):
                return
        elif view.ended:
            return  # it was over before we looked
        self._speed.append((view.at, 0.0 if view.ended else view.rates.events_per_s))

    def sections(self, chosen: Selection) -> dict[str, str]:
        """Return all sections for somebody who chose this: name -> JSON text."""
        if self.view is None:
            return {name: _text(what) for name, what in self.extra.items()}
        return {
            **self._general.texts,
            **{name: _text(what) for name, what in self.extra.items()},
            **self._spectrum(chosen),
        }

    def drawn(self, chosen: Selection) -> Drawn | None:
        """Return the spectrum of a selection; None before anything is known."""
        normalised = self.normalised(chosen.variable)
        return None if normalised is None else draw(normalised, chosen.known(normalised))

    def normalised(self, variable: str) -> Normalised | None:
        """Return the run normalised in a variable; m4l, or the first, if it has no such."""
        if self.view is None:
            return None
        if variable == self.view.normalised.variable:
            return self.view.normalised
        totals = self.view.totals
        known = self._normalised.get(variable)
        if known is not None and known[0] is totals:
            return known[1]
        if variable not in totals.variables:
            return self.view.normalised
        try:
            made = normalise(totals, variable)
        except HiggsdemoError:  # e.g. results with other axes
            return self.view.normalised
        self._normalised[variable] = (totals, made)
        return made

    def _spectrum(self, chosen: Selection) -> dict[str, str]:
        normalised = self.normalised(chosen.variable)
        if normalised is None:
            return {}
        known = self._spectra.get(chosen)
        if known is None or known.of is not normalised:
            drawn = draw(normalised, chosen.known(normalised))
            texts = {f"source:{name}": _text(columns) for name, columns in drawn.sources.items()}
            texts["frame"], texts["legend"] = _text(drawn.frame), _text(drawn.legend)
            known = _Made(normalised, texts)
            self._spectra[chosen] = known
        self._spectra.move_to_end(chosen)
        while len(self._spectra) > REMEMBERED:
            self._spectra.popitem(last=False)
        return known.texts


class Viewer:
    """What one browser has been sent, so that it gets the difference only."""

    def __init__(self, chosen: Selection) -> None:
        self.chosen = chosen
        self._sent: dict[str, str] = {}

    def choose(self, chosen: Selection) -> None:
        """Take another selection."""
        self.chosen = chosen

    def news(self, feed: Feed) -> str | None:
        """Return a message with the sections that changed since the last one; None if none did."""
        now = feed.sections(self.chosen)
        changed = {name: text for name, text in now.items() if self._sent.get(name) != text}
        if not changed:
            return None
        self._sent.update(changed)
        parts = ",".join(f"{json.dumps(name)}:{text}" for name, text in changed.items())
        return f'{{"sections":{{{parts}}}}}'


def _past_speed(view: View, until: float) -> list[tuple[float, float]]:
    """Return (time, events per second) from one moment of the history to the next."""
    pairs = itertools.pairwise(one for one in view.history if one.at < until)
    return [
        ((before.at + after.at) / 2, (after.events - before.events) / (after.at - before.at))
        for before, after in pairs
        if after.at > before.at
    ]


def _text(document: Any) -> str:
    return to_json(document).decode()
