"""The fact: what a run took, from its ledger, beside what was forecast for it."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from higgsdemo.ledger import Ledger, RunDirectory

NAME = "forecast.json"  # in the run directory


@dataclass(frozen=True, slots=True)
class Fact:
    """What a run took.

    `seconds` is the time in which at least one task ran (pauses of a run that was interrupted
    are left out), `size_bytes` are the bytes planned of the tasks done (None if not known),
    `attempts` counts each try at a task.
    """

    tasks: int
    size_bytes: int | None
    seconds: float
    attempts: int

    def beside(self, forecast: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return forecast and fact as one JSON-ready document, with the ratio of the times."""
        foreseen = forecast.get("seconds") if forecast else None
        return {
            "forecast": dict(forecast) if forecast else None,
            "fact": {
                "tasks": self.tasks,
                "size_bytes": self.size_bytes,
                "seconds": self.seconds,
                "attempts": self.attempts,
            },
            "fact_over_forecast": self.seconds / foreseen if foreseen else None,
        }


def measure(ledger: Ledger) -> Fact:
    """Read from a ledger what the run took until now."""
    ((done, sized, size),) = ledger.ask(
        "SELECT count(*), count(size_bytes), coalesce(sum(size_bytes), 0)"
        " FROM tasks WHERE state = 'done'"
    )
    spans = ledger.ask(
        "SELECT started, ended FROM attempts WHERE ended IS NOT NULL ORDER BY started"
    )
    ((attempts,),) = ledger.ask("SELECT count(*) FROM attempts")
    return Fact(done, int(size) if sized == done else None, _covered(spans), attempts)


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Return how long at least one of the spans, sorted by their start, was open, s."""
    total, until = 0.0, -math.inf
    for started, ended in spans:
        total += max(0.0, ended - max(started, until))
        until = max(until, ended)
    return total


def record_fact(run: RunDirectory) -> dict[str, Any]:
    """Write `forecast.json` into the run: what was forecast (see run.json) and what it took.

    A run directory that cannot be written is no reason to fail: the document is returned.
    """
    with run.ledger() as ledger:
        document = measure(ledger).beside(run.record.get("forecast"))
    path = run.path / NAME
    part = path.with_name(f".{NAME}.{os.getpid()}")
    with contextlib.suppress(OSError):
        part.write_text(json.dumps(document, indent=1) + "\n")
        part.replace(path)
    return document
