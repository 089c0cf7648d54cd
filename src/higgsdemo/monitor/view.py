"""What is known of a run at one moment: everything that a display of it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from higgsdemo.inference import Fit, Normalised
from higgsdemo.ledger import Counts, Problem
from higgsdemo.ledger.news import Refusals
from higgsdemo.model import Group, Totals

VIEW_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class SampleView:
    """One sample: what is in, and what was planned (None where the plan could not know).

    `luminosity_pb` (data, pb^-1) and `generated_events` (simulated) belong to exactly the tasks
    that are in.
    """

    name: str
    group: Group
    year: int | None
    is_data: bool
    counts: Counts
    files: int
    files_planned: int
    events: int
    events_planned: int | None
    luminosity_pb: float | None
    luminosity_planned_pb: float | None
    generated_events: float
    generated_planned: float | None


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast it goes, over the last `window_s` seconds; over the whole run once that has ended.

    Times are our own: when results were received, not what workers' clocks say. `bytes_per_s`
    counts the input files that were worked off, at their size in the manifest. `left_s` is None
    while there is nothing to tell it from. `efficiency` is CPU time over wall time of the cores
    that the tasks held (one each), as their results say.
    """

    events_per_s: float = 0.0
    tasks_per_s: float = 0.0
    files_per_s: float = 0.0
    bytes_per_s: float = 0.0
    window_s: float = 0.0
    left_s: float | None = None
    efficiency: float | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in the history of a run: tasks done, events read, significances.

    `at` is s since 1970, by the clock of whoever filled the ledger. The significances are local,
    in standard deviations; None where they cannot be computed (see `inference.fit`).
    """

    at: float
    done: int
    events: int
    expected: float | None
    observed: float | None


@dataclass(frozen=True)
class View:
    """A run at the moment `at` (s since 1970).

    `revision` grows when anything but `at` and `rates` has changed. `totals` are shared with what
    comes later: not to be changed. `places` counts running tasks per cluster or host; `problems`
    groups the failed tasks, most frequent first; `history` may still grow at its old end while
    past moments are worked out. `last` is when the last result was received, or the last attempt
    seen to end; `refusals` is what came over sinks and is no part of the run.
    """

    run_id: str
    title: str
    at: float
    revision: int
    counts: Counts
    samples: tuple[SampleView, ...]
    rates: Rates
    places: Mapping[str, int]
    problems: tuple[Problem, ...]
    alarms: tuple[str, ...]
    totals: Totals
    normalised: Normalised
    fit: Fit | None
    history: tuple[Moment, ...]
    demo: bool
    last: float | None = None
    refusals: Refusals = field(default_factory=Refusals)

    @property
    def complete(self) -> bool:
        """Whether every task is done."""
        return self.counts.done == self.counts.planned

    @property
    def ended(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return self.counts.ended

    @property
    def fraction(self) -> float:
        """The share of the tasks that have ended, well or not, 0 to 1."""
        counts = self.counts
        if not counts.planned:
            return 1.0
        return (counts.done + sum(counts.failed.values())) / counts.planned

    def to_json(self) -> dict[str, Any]:
        """Return the view, without its histograms and history, as a JSON-ready document."""
        latest = self.history[-1] if self.history else None
        return {
            "schema": VIEW_SCHEMA,
            "run": self.run_id,
            "title": self.title,
            "at": self.at,
            "revision": self.revision,
            "simulated_demo_data": self.demo,
            "ended": self.ended,
            "complete": self.complete,
            **asdict(self.counts),
            "rates": asdict(self.rates),
            "places": dict(self.places),
            "samples": {one.name: _sample(one) for one in self.samples},
            "problems": [_problem(one) for one in self.problems],
            "alarms": list(self.alarms),
            "refused": self.refusals.documents,
            "emptied": self.refusals.emptied,
            "significance": None
            if latest is None
            else {"expected": latest.expected, "observed": latest.observed, "at": latest.at},
        }


def _problem(one: Problem) -> dict[str, Any]:
    """Return a group of failures without its traceback: this is said again and again."""
    document = asdict(one)
    del document["traceback"]
    return document


def _sample(one: SampleView) -> dict[str, Any]:
    document = asdict(one)
    del document["name"], document["counts"]
    return {**document, **asdict(one.counts)}
