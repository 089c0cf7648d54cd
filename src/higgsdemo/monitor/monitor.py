"""Following a run: each look costs what is new, whatever the run has already given."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Self

from higgsdemo.inference import Normalised, normalise
from higgsdemo.ledger import Counts, Manifest, Merger, RunDirectory, Tally
from higgsdemo.model import SampleTotals, Totals
from higgsdemo.monitor.history import EVERY_S, PAST, History
from higgsdemo.monitor.rates import Shares, Speedometer, Sums
from higgsdemo.monitor.source import LedgerSource, Source, State
from higgsdemo.monitor.view import Rates, SampleView, View


class Monitor:
    """What is known of a run, kept up to date. Use it from one thread, and close it.

    `source` tells what is new (default: the run's ledger, which others may be writing);
    `clock` is the time (s since 1970) that `View.at` and the rates go by; fits are made at most
    every `fit_every_s` seconds.
    """

    def __init__(
        self,
        run: RunDirectory,
        source: Source | None = None,
        *,
        clock: Callable[[], float] = time.time,
        fit_every_s: float = EVERY_S,
    ) -> None:
        manifest = run.manifest()
        self.run = run
        self.manifest = manifest
        self._title = _title(run)
        self._source = source or LedgerSource(run, manifest)
        self._clock = clock
        self._merger = Merger(manifest)
        self._planned = _generated(manifest)
        self._shares = Shares.of(manifest)
        self._sums = Sums()
        self._speed = Speedometer(clock())
        self._history = History(fit_every_s)
        self._received = 0.0  # when the latest result was, by the ledger
        self._state = State()
        self._view: View | None = None
        self._busy = False  # the last look had news

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the ledger."""
        self._source.close()

    def latest(self) -> View | None:
        """Return the last view without looking anew; any thread may ask for it."""
        return self._view

    def refresh(self) -> View:
        """Take in what is new, fit if it is time, and return what is known now; see `look`."""
        view = self.look()
        return self.fit() or view

    def look(self) -> View:
        """Take in what is new and return what is known now, with the fits made before.

        Raises RunError if the ledger cannot be read.
        """
        state = self._first_read() if self._view is None else self._source.read(self._take)
        now = self._clock()
        if state is not None or self._view is None:
            self._state = state or self._state
            self._view = self._make(now)
        self._busy = state is not None
        self._view = replace(self._view, at=now, rates=self._rates(now, self._view.counts))
        return self._view

    def fit(self) -> View | None:
        """Make one of the fits that wait, if it is time; return what is known then."""
        if self._view is None or not self._history.work(busy=self._busy):
            return None
        self._view = replace(
            self._view,
            revision=self._view.revision + 1,
            history=self._history.moments,
            fit=self._history.latest,
        )
        return self._view

    def _first_read(self) -> State | None:
        """Read what came before we looked, noting moments on the way."""
        past: list[tuple[float, Sums]] = []
        every = max(1, self._source.waiting() // PAST)

        def take(received: float, tally: Tally) -> None:
            self._take(received, tally)
            past.append((self._received, self._sums))
            if self._sums.tasks % every == 0:
                self._offer(self._normalise(self._merger.totals(shared=True)))

        state = self._source.read(take)
        now = self._clock()
        began = now if state is None or state.started is None else state.started
        self._speed.seed(min(began, past[0][0]) if past else began, past, now)
        return state

    def _take(self, received: float, tally: Tally) -> None:
        self._merger.fold(tally)
        self._sums = self._shares.add(self._sums, tally)
        self._received = max(received, self._received)  # a clock may have been put back

    def _make(self, now: float) -> View:
        state, before = self._state, self._view
        totals = self._merger.totals(state.skipped, shared=True)
        samples = tuple(self._sample(one, state) for one in totals.samples.values())
        counts = _sum([one.counts for one in samples])
        fresh = before is None or counts.done != before.counts.done
        if fresh or before is None or totals.skipped != before.totals.skipped:
            normalised = self._normalise(totals)
        else:
            normalised = before.normalised
        if before is not None and fresh:
            self._speed.note(now, self._sums)
        elif not counts.done and not counts.running:
            self._speed.start(now)  # nothing has begun yet
        if counts.done and self._is_time(counts):
            self._offer(normalised)
        return View(
            run_id=self.manifest.run_id,
            title=self._title,
            at=now,
            revision=1 if before is None else before.revision + 1,
            counts=counts,
            samples=samples,
            rates=self._rates(now, counts),
            places=state.places,
            problems=state.problems,
            alarms=state.alarms,
            totals=totals,
            normalised=normalised,
            fit=self._history.latest,
            history=self._history.moments,
            demo=totals.demo,
            last=max(self._received, state.last_end or 0.0) or None,
            refusals=state.refusals,
        )

    def _normalise(self, totals: Totals) -> Normalised:
        return normalise(totals, next(iter(totals.variables), "m4l"))

    def _is_time(self, counts: Counts) -> bool:
        return self._history.wants(self._received, last=counts.ended or self._view is None)

    def _offer(self, normalised: Normalised) -> None:
        self._history.offer(self._received, self._sums.tasks, self._sums.events, normalised)

    def _rates(self, now: float, counts: Counts) -> Rates:
        failed = sum(counts.failed.values())
        mean = self._shares.total_weight / max(1, counts.planned)
        left = max(0.0, self._shares.total_weight - self._sums.weight - failed * mean)
        rates = self._speed.rates(now, left, whole=counts.ended)
        return replace(rates, left_s=0.0) if counts.ended else rates

    def _sample(self, one: SampleTotals, state: State) -> SampleView:
        sample = one.sample
        failed = dict(state.failed.get(sample.name, {}))
        running = state.running.get(sample.name, 0)
        return SampleView(
            name=sample.name,
            group=sample.group,
            year=sample.year,
            is_data=sample.is_data,
            counts=Counts(
                planned=one.tasks_planned,
                done=one.tasks,
                running=running,
                queued=one.tasks_planned - one.tasks - running - sum(failed.values()),
                failed=failed,
            ),
            files=one.files,
            files_planned=one.files_planned,
            events=one.events,
            events_planned=one.events_planned,
            luminosity_pb=one.luminosity_pb,
            luminosity_planned_pb=one.luminosity_planned_pb,
            generated_events=one.generated_events,
            generated_planned=None if sample.is_data else self._planned.get(sample.name),
        )


def _sum(parts: list[Counts]) -> Counts:
    failed: dict[str, int] = {}
    for part in parts:
        for cause, count in part.failed.items():
            failed[cause] = failed.get(cause, 0) + count
    return Counts(
        planned=sum(part.planned for part in parts),
        done=sum(part.done for part in parts),
        running=sum(part.running for part in parts),
        queued=sum(part.queued for part in parts),
        failed=dict(sorted(failed.items())),
    )


def _title(run: RunDirectory) -> str:
    """Return what the run is of, in words; run.json may be of any age."""
    samples = run.record.get("samples")
    if not isinstance(samples, dict):
        return run.id
    return str(samples.get("title") or samples.get("set") or run.id)


def _generated(manifest: Manifest) -> dict[str, float | None]:
    """Return the simulated events that the tasks of each sample stand for, where known."""
    planned: dict[str, list[float | None]] = {}
    for task in manifest.tasks:
        shares = planned.setdefault(task.sample, [])
        shares.append(task.events if task.generated_events is None else task.generated_events)
    return {
        name: None if None in shares else math.fsum(filter(None, shares))
        for name, shares in planned.items()
    }
