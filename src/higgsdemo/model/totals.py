"""What a run has given so far: per sample, done and planned, from the same ledger rows.

Everything downstream (normalisation, yields, plots) works on `Totals` alone, so a partial
picture is right at every moment and says how complete it is (promise P5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from higgsdemo.model.histogram import Histogram
from higgsdemo.model.result import Cutflow
from higgsdemo.model.sample import Sample
from higgsdemo.model.sections import Sections


@dataclass(frozen=True)
class SampleTotals:
    """One sample of a run.

    `luminosity_pb` (data) and `generated_events` (simulated) belong to exactly the tasks whose
    histograms are summed here. `histograms` are keyed "channel/variable", raw counts.
    `luminosity_planned_pb` and `events_planned` are None where the plan could not know;
    `luminosity_pb` also where a certified-sections mask left out sections (`sections_used` are
    fewer than `sections_seen`): the luminosity of the rest is then not known.
    `skipped` names the files left out on purpose (`--skip-bad-files`).
    """

    sample: Sample
    histograms: Mapping[str, Histogram] = field(default_factory=dict)
    cutflow: Mapping[str, Cutflow] = field(default_factory=dict)
    events: int = 0
    files: int = 0
    tasks: int = 0
    files_planned: int = 0
    tasks_planned: int = 0
    events_planned: int | None = None
    luminosity_pb: float | None = None
    luminosity_planned_pb: float | None = None
    generated_events: float = 0.0
    sections_seen: Sections | None = None
    sections_used: Sections | None = None
    skipped: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every planned task is in."""
        return self.tasks == self.tasks_planned


@dataclass(frozen=True)
class Totals:
    """All samples of a run."""

    run_id: str
    samples: Mapping[str, SampleTotals]

    @property
    def complete(self) -> bool:
        """Whether every planned task of every sample is in."""
        return all(totals.complete for totals in self.samples.values())

    @property
    def demo(self) -> bool:
        """Whether any of it is SIMULATED DEMO DATA."""
        return any(totals.sample.demo for totals in self.samples.values())

    @property
    def skipped(self) -> tuple[str, ...]:
        """Names of all files left out on purpose."""
        return tuple(name for totals in self.samples.values() for name in totals.skipped)

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables there are histograms of, the four-lepton mass first."""
        found = {key.rpartition("/")[2] for one in self.samples.values() for key in one.histograms}
        return tuple(sorted(found, key=lambda name: (name != "m4l", name)))
