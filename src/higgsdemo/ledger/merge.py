"""Folding results into totals: each result once, at a cost that does not grow with their number."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from higgsdemo.ledger.database import Ledger
from higgsdemo.ledger.manifest import Manifest
from higgsdemo.model import (
    Axis,
    Cutflow,
    Histogram,
    Sample,
    SampleTotals,
    Sections,
    Task,
    Totals,
    count_sections,
    merge_sections,
)


class Merger:
    """Holds the sums of a run and adds new results to them.

    `update` reads only what the ledger got since the last call, so a live plot pays for what is
    new. Sums are integers: the order of results changes nothing.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._seen = 0  # sequence number of the last result read
        self._sums = {sample.name: _Sums() for sample in manifest.samples}
        self._tasks = {task.id: task for task in manifest.tasks}
        self._planned = _planned(manifest)

    def update(self, ledger: Ledger) -> int:
        """Add the results that are new in `ledger`; return how many there were."""
        count = 0
        for sequence, document in ledger.documents(after=self._seen):
            self.add(document)
            self._seen = sequence
            count += 1
        return count

    def add(self, document: Mapping[str, Any]) -> None:
        """Add one result document (`Result.to_json`)."""
        task = self._tasks[document["task"]]
        self._sums[task.sample].add(task, document)

    def totals(self, skipped: Iterable[tuple[str, str]] = ()) -> Totals:
        """Return the sums so far; `skipped` are (sample, name) of what was left out on purpose."""
        left_out: dict[str, list[str]] = {}
        for sample, name in skipped:
            left_out.setdefault(sample, []).append(name)
        return Totals(
            self._manifest.run_id,
            {
                sample.name: self._sums[sample.name].totals(
                    sample, self._planned[sample.name], tuple(left_out.get(sample.name, ()))
                )
                for sample in self._manifest.samples
            },
        )


class _Planned:
    """What the manifest promises for one sample."""

    def __init__(self) -> None:
        self.tasks = 0
        self.events: int | None = 0
        self.luminosity: list[float | None] = []
        self.pieces: Counter[str] = Counter()  # file -> tasks that read a part of it


def _planned(manifest: Manifest) -> dict[str, _Planned]:
    planned = {sample.name: _Planned() for sample in manifest.samples}
    for task in manifest.tasks:
        mine = planned[task.sample]
        mine.tasks += 1
        mine.pieces.update(file.name for file in task.files)
        mine.luminosity.append(task.luminosity_pb)
        known = task.events
        mine.events = None if known is None or mine.events is None else mine.events + known
    return planned


class _Sums:
    """The running sums of one sample."""

    def __init__(self) -> None:
        self.tasks = self.events = 0
        self.counts: dict[str, npt.NDArray[np.int64]] = {}
        self.flat = np.zeros(0, dtype=np.int64)  # the counts of the first result's histograms
        self.together: list[str] = []  # these histograms: their counts are parts of `flat`
        self.axes: dict[str, Axis] = {}
        self.described: dict[str, Any] = {}  # the axes as the documents have them
        self.cutflow: dict[str, dict[str, int]] = {}
        self.seen = _SectionSum()
        self.used = _SectionSum()
        self.pieces: Counter[str] = Counter()
        self.luminosity: list[float | None] = []
        self.generated: list[float] = []

    def add(self, task: Task, document: Mapping[str, Any]) -> None:
        self.tasks += 1
        self.events += document["events"]
        self.pieces.update(file.name for file in task.files)
        self.luminosity.append(task.luminosity_pb)
        generated = task.generated_events
        self.generated.append(document["events"] if generated is None else generated)
        self._add_histograms(task, document["histograms"])
        for channel, steps in document["cutflow"].items():
            mine = self.cutflow.setdefault(channel, {})
            for step, count in steps:
                mine[step] = mine.get(step, 0) + count
        self.seen.add(document["sections_seen"])
        self.used.add(document["sections_used"])

    def totals(self, sample: Sample, planned: _Planned, skipped: tuple[str, ...]) -> SampleTotals:
        cutflow: dict[str, Cutflow] = {
            channel: tuple(steps.items()) for channel, steps in self.cutflow.items()
        }
        seen, used = self.seen.sections(), self.used.sections()
        luminosity_planned = _sum(planned.luminosity)
        luminosity = _sum(self.luminosity)
        if not self.luminosity and luminosity_planned is not None:
            luminosity = 0.0
        if count_sections(used) < count_sections(seen):
            luminosity = None  # the mask took part of it away, and nobody knows how much
        return SampleTotals(
            sample=sample,
            histograms={
                key: Histogram(self.axes[key], counts.copy()) for key, counts in self.counts.items()
            },
            cutflow=cutflow,
            events=self.events,
            files=sum(self.pieces[name] == pieces for name, pieces in planned.pieces.items()),
            tasks=self.tasks,
            files_planned=len(planned.pieces),
            tasks_planned=planned.tasks,
            events_planned=planned.events,
            luminosity_pb=luminosity,
            luminosity_planned_pb=luminosity_planned,
            generated_events=math.fsum(self.generated),
            sections_seen=seen,
            sections_used=used,
            skipped=skipped,
        )

    def _add_histograms(self, task: Task, histograms: Mapping[str, Any]) -> None:
        for key, stored in histograms.items():
            if key not in self.described:
                self._begin(histograms)
            if stored["axes"] != self.described[key]:
                raise ValueError(f"task {task.id}: histogram {key} has another axis than before")
        if list(histograms) == self.together:
            # One addition for all: a call of numpy costs as much as a hundred bins.
            values: list[int] = []
            for stored in histograms.values():
                values += stored["storage"]["values"]
            self.flat += np.array(values)
        else:
            for key, stored in histograms.items():
                self.counts[key] += stored["storage"]["values"]

    def _begin(self, histograms: Mapping[str, Any]) -> None:
        """Make room for the histograms that are new; those of a first result lie together."""
        new = {
            key: Histogram.from_uhi(stored)
            for key, stored in histograms.items()
            if key not in self.described
        }
        flat = np.zeros(sum(one.counts.size for one in new.values()), dtype=np.int64)
        begin = 0
        for key, histogram in new.items():
            end = begin + histogram.counts.size
            self.axes[key] = histogram.axis
            self.described[key] = histograms[key]["axes"]
            self.counts[key] = flat[begin:end]
            begin = end
        if not self.together:
            self.flat, self.together = flat, list(new)


class _SectionSum:
    """The union of sections: gathered as they come, joined when asked for."""

    def __init__(self) -> None:
        self._spans: Sections | None = None

    def add(self, document: Mapping[str, list[list[int]]] | None) -> None:
        if document is not None:
            self._spans = {} if self._spans is None else self._spans
            for run, spans in document.items():
                self._spans.setdefault(int(run), []).extend(spans)

    def sections(self) -> Sections | None:
        self._spans = merge_sections(self._spans, None if self._spans is None else {})
        # A copy: what was handed out does not change when more is added.
        return copy.deepcopy(self._spans)


def _sum(shares: list[float | None]) -> float | None:
    """Sum exactly, rounding once: the same bits in any order. None if any share is unknown."""
    known = [share for share in shares if share is not None]
    return math.fsum(known) if shares and len(known) == len(shares) else None
