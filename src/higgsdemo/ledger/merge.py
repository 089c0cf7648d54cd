"""Folding results into totals: each result once, at a cost that does not grow with their number."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from higgsdemo.ledger.database import Ledger
from higgsdemo.ledger.manifest import Manifest
from higgsdemo.ledger.news import arrivals
from higgsdemo.ledger.tally import Counts, Tally, tally_of
from higgsdemo.model import (
    Cutflow,
    Form,
    Histogram,
    Result,
    Sample,
    SampleTotals,
    Sections,
    Task,
    Totals,
    count_sections,
    join_spans,
)


class Merger:
    """Holds the sums of a run and adds new results to them.

    `update` reads only what the ledger got since the last call, so a live plot pays for what is
    new. Sums are integers: the order of results changes nothing.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._seen = 0  # sequence number of the last result read
        self._tasks = {task.id: task for task in manifest.tasks}
        planned = _planned(manifest)
        self._sums = {
            sample.name: _Sums(sample, planned[sample.name]) for sample in manifest.samples
        }

    def update(self, ledger: Ledger) -> int:
        """Add the results that are new in `ledger`; return how many there were."""
        count = 0
        for taken in arrivals(ledger, self._seen):
            self.fold(taken.tally)
            self._seen = taken.sequence
            count += 1
        return count

    def add(self, result: Result) -> None:
        """Add one result."""
        self.fold(tally_of(result.pack(), result.output.form))

    def fold(self, tally: Tally) -> None:
        """Add what a result gives to the sums."""
        task = self._tasks[tally.task]
        self._sums[task.sample].add(task, tally)

    def totals(self, skipped: Iterable[tuple[str, str]] = (), *, shared: bool = False) -> Totals:
        """Return the sums so far; `skipped` are (sample, name) of what was left out on purpose.

        `shared` totals cost what is new since the last ones, and are not to be changed.
        """
        left_out: dict[str, list[str]] = {}
        for sample, name in skipped:
            left_out.setdefault(sample, []).append(name)
        return Totals(
            self._manifest.run_id,
            {
                name: sums.totals(tuple(left_out.get(name, ())), shared=shared)
                for name, sums in self._sums.items()
            },
        )


class _Planned:
    """What the manifest promises for one sample."""

    def __init__(self) -> None:
        self.tasks = 0
        self.events: int | None = 0
        self.luminosity = _Shares()
        self.pieces: Counter[str] = Counter()  # file -> tasks that read a part of it


def _planned(manifest: Manifest) -> dict[str, _Planned]:
    planned = {sample.name: _Planned() for sample in manifest.samples}
    for task in manifest.tasks:
        mine = planned[task.sample]
        mine.tasks += 1
        mine.pieces.update(file.name for file in task.files)
        mine.luminosity.add(task.luminosity_pb)
        known = task.events
        mine.events = None if known is None or mine.events is None else mine.events + known
    return planned


class _Sums:
    """The running sums of one sample. What they cost does not depend on how much is in them."""

    def __init__(self, sample: Sample, planned: _Planned) -> None:
        self._sample = sample
        self._planned = planned
        self._made: SampleTotals | None = None  # the totals, until more comes
        self.tasks = self.events = self.files = 0
        self.rooms: dict[Form, _Room] = {}
        self.seen = self.used = _SectionSum()  # one, until a mask takes something away
        self.pieces: Counter[str] = Counter()
        self.luminosity = _Shares()
        self.generated = _ExactSum()

    def add(self, task: Task, tally: Tally) -> None:
        room = self.rooms.get(tally.form) or self._begin(task, tally.form)
        room.counts[tally.places] += tally.counts  # no place is there twice
        room.passed += tally.passed
        self._made = None
        self.tasks += 1
        self.events += tally.events
        for file in task.files:
            self.pieces[file.name] += 1
            self.files += self.pieces[file.name] == self._planned.pieces[file.name]
        self.luminosity.add(task.luminosity_pb)
        generated = task.generated_events
        self.generated.add(tally.events if generated is None else generated)
        if self.used is self.seen and tally.sections_used != tally.sections_seen:
            self.used = self.seen.copy()
        self.seen.add(tally.sections_seen)
        if self.used is not self.seen:
            self.used.add(tally.sections_used)

    def totals(self, skipped: tuple[str, ...], *, shared: bool) -> SampleTotals:
        if not shared:
            return replace(self._make(shared=False), skipped=skipped)
        if self._made is None:
            self._made = self._make(shared=True)
        if self._made.skipped != skipped:
            self._made = replace(self._made, skipped=skipped)
        return self._made

    def _make(self, *, shared: bool) -> SampleTotals:
        planned = self._planned
        seen, used = self.seen.sections(shared=shared), self.used.sections(shared=shared)
        luminosity_planned = planned.luminosity.value
        luminosity = self.luminosity.value
        if not self.tasks and luminosity_planned is not None:
            luminosity = 0.0
        if used is not seen and count_sections(used) < count_sections(seen):
            luminosity = None  # the mask took part of it away, and nobody knows how much
        return SampleTotals(
            sample=self._sample,
            histograms=self._histograms(),
            cutflow=self._cutflow(),
            events=self.events,
            files=self.files,
            tasks=self.tasks,
            files_planned=len(planned.pieces),
            tasks_planned=planned.tasks,
            events_planned=planned.events,
            luminosity_pb=luminosity,
            luminosity_planned_pb=luminosity_planned,
            generated_events=self.generated.value,
            sections_seen=seen,
            sections_used=used,
        )

    def _begin(self, task: Task, form: Form) -> _Room:
        """Make room for results of another form."""
        for room in self.rooms.values():
            known = room.form.axes
            for key in known.keys() & form.axes.keys():
                if known[key] != form.axes[key]:
                    raise ValueError(
                        f"task {task.id}: histogram {key} has another axis than before"
                    )
        room = self.rooms[form] = _Room(form)
        return room

    def _histograms(self) -> dict[str, Histogram]:
        found: dict[str, Histogram] = {}
        for room in self.rooms.values():
            counts = room.counts.copy()
            for key, part in room.form.places.items():
                one = Histogram(room.form.axes[key], counts[part])
                found[key] = found[key] + one if key in found else one
        return found

    def _cutflow(self) -> dict[str, Cutflow]:
        found: dict[str, dict[str, int]] = {}
        for room in self.rooms.values():
            for channel in room.form.steps:
                found.setdefault(channel, {})
            for (channel, step), count in zip(room.form.flow, room.passed.tolist(), strict=True):
                mine = found[channel]
                mine[step] = mine.get(step, 0) + count
        return {channel: tuple(steps.items()) for channel, steps in found.items()}


class _Room:
    """The sums of results of one form: of all counts of histograms, and of the cutflow."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.counts: Counts = np.zeros(form.bins, np.int64)
        self.passed: Counts = np.zeros(len(form.flow), np.int64)


class _SectionSum:
    """The union of sections: gathered as they come, joined when asked for.

    Of the runs, those that got sections since are joined anew: a redraw costs what is new.
    """

    def __init__(self) -> None:
        self._joined: Sections | None = None  # replaced, never changed: it is handed out
        self._new: Sections = {}

    def copy(self) -> _SectionSum:
        """Return another sum of the same."""
        made = _SectionSum()
        made._joined, made._new = self._joined, {run: [*new] for run, new in self._new.items()}
        return made

    def add(self, document: Mapping[str, list[list[int]]] | None) -> None:
        if document is not None:
            self._joined = {} if self._joined is None else self._joined
            for run, spans in document.items():
                self._new.setdefault(int(run), []).extend(spans)

    def sections(self, *, shared: bool) -> Sections | None:
        joined = self._joined
        if joined is not None and self._new:
            fresh = {run: join_spans(joined.get(run, []), more) for run, more in self._new.items()}
            both = {**joined, **{run: spans for run, spans in fresh.items() if spans}}
            self._joined = joined = dict(sorted(both.items()))
            self._new = {}
        if shared or joined is None:
            return joined
        return {run: [[*span] for span in spans] for run, spans in joined.items()}


class _ExactSum:
    """A sum without rounding until it is asked for: the same bits in any order.

    J. R. Shewchuk, Discrete & Computational Geometry 18 (1997) 305: a sum is kept as a few
    numbers that do not overlap; `math.fsum` of them rounds once.
    """

    def __init__(self) -> None:
        self._parts: list[float] = []

    def add(self, term: float) -> None:
        kept = 0
        for part in self._parts:
            larger, smaller = (term, part) if abs(term) >= abs(part) else (part, term)
            term = larger + smaller
            lost = smaller - (term - larger)
            if lost:
                self._parts[kept] = lost
                kept += 1
        self._parts[kept:] = [term]

    @property
    def value(self) -> float:
        return math.fsum(self._parts)


class _Shares:
    """A sum of shares; unknown if any of them is, or there are none."""

    def __init__(self) -> None:
        self._sum = _ExactSum()
        self._count = self._unknown = 0

    def add(self, share: float | None) -> None:
        self._count += 1
        if share is None:
            self._unknown += 1
        else:
            self._sum.add(share)

    @property
    def value(self) -> float | None:
        return self._sum.value if self._count and not self._unknown else None
