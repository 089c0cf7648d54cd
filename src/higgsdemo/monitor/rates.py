"""Rates from what came in, and when we saw it; no clock of a worker is asked."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from higgsdemo.ledger import Manifest, Tally
from higgsdemo.model import Task
from higgsdemo.monitor.view import Rates

WINDOW_S = 30.0
FEWEST = 10  # tasks a window holds: where tasks are long, it reaches further back
_POINTS = 512
_APART_S = 0.25


class Sums(NamedTuple):
    """What has been worked off so far."""

    tasks: int = 0
    events: int = 0
    files: float = 0.0
    bytes: float = 0.0
    weight: float = 0.0  # see Shares
    cpu_s: float = 0.0
    core_s: float = 0.0

    def since(self, before: Sums) -> Sums:
        """Return what was worked off after `before`."""
        tasks, events, *rest = (b - a for a, b in zip(before, self, strict=True))
        return Sums(int(tasks), int(events), *rest)


class _Point(NamedTuple):
    at: float
    sums: Sums


@dataclass(frozen=True)
class Shares:
    """What each task stands for, by the manifest.

    A file that is cut into several tasks counts once, by the events of each. `weight` measures
    work: events where the plan knows them all, else bytes, else tasks.
    """

    files: Mapping[str, float]
    bytes: Mapping[str, float]
    weight: Mapping[str, float]
    total_weight: float

    @classmethod
    def of(cls, manifest: Manifest) -> Shares:
        """Divide a manifest among its tasks."""
        pieces: Counter[str] = Counter()
        entries: Counter[str] = Counter()
        for task in manifest.tasks:
            if task.start is not None:
                pieces[_file(task)] += 1
                entries[_file(task)] += task.events or 0
        part = {task.id: _part(task, pieces, entries) for task in manifest.tasks}
        tasks = manifest.tasks
        files = {task.id: part[task.id] * len(task.files) for task in tasks}
        sizes = {task.id: part[task.id] * (task.size_bytes or 0) for task in tasks}
        weight: Mapping[str, float]
        if all(task.events is not None for task in tasks) and any(task.events for task in tasks):
            weight = {task.id: float(task.events or 0) for task in tasks}
        elif all(task.size_bytes is not None for task in tasks) and any(sizes.values()):
            weight = sizes
        else:
            weight = dict.fromkeys(part, 1.0)
        return cls(files, sizes, weight, sum(weight.values()))

    def add(self, sums: Sums, tally: Tally) -> Sums:
        """Return the sums with one more result in them."""
        task, counters = tally.task, tally.counters
        return Sums(
            sums.tasks + 1,
            sums.events + tally.events,
            sums.files + self.files[task],
            sums.bytes + self.bytes[task],
            sums.weight + self.weight[task],
            sums.cpu_s + float(counters.get("cpu_s", 0.0)),
            sums.core_s + float(counters.get("wall_s", 0.0)),
        )


class Speedometer:
    """Remembers what was worked off when, and tells how fast that is. Times in s, one clock."""

    def __init__(self, now: float) -> None:
        self._points: deque[_Point] = deque([_Point(now, Sums())], maxlen=_POINTS)

    def start(self, at: float) -> None:
        """Begin to count at this time."""
        self._points.clear()
        self._points.append(_Point(at, Sums()))

    def note(self, at: float, sums: Sums) -> None:
        """Remember what had been worked off at this time; times go up."""
        at = max(at, self._points[-1].at)
        if len(self._points) > 1 and at - self._points[-2].at < _APART_S:
            self._points.pop()
        self._points.append(_Point(at, sums))

    def seed(self, began: float, past: Sequence[tuple[float, Sums]], now: float) -> None:
        """Start with what came before we looked, at the times at which it was received.

        If these lie in our future, the clocks disagree: then the last of them is now.
        """
        ahead = max(0.0, (past[-1][0] if past else began) - now)
        self.start(began - ahead)
        for at, sums in past[-_POINTS + 1 :]:
            self.note(at - ahead, sums)

    def rates(self, now: float, left: float, *, whole: bool = False) -> Rates:
        """Return the rates up to now; `left` is the weight of the work to be done.

        `whole`: over all that is remembered, up to its end.
        """
        last = self._points[-1]
        first = self._points[0] if whole else self._window(now)
        seconds = (last.at if whole else max(now, last.at)) - first.at
        gain = last.sums.since(first.sums)
        if seconds <= 0 or not gain.tasks:
            return Rates(window_s=max(0.0, seconds))
        speed = gain.weight / seconds
        return Rates(
            events_per_s=gain.events / seconds,
            tasks_per_s=gain.tasks / seconds,
            files_per_s=gain.files / seconds,
            bytes_per_s=gain.bytes / seconds,
            window_s=seconds,
            left_s=left / speed if speed > 0 else None,
            efficiency=gain.cpu_s / gain.core_s if gain.core_s > 0 else None,
        )

    def _window(self, now: float) -> _Point:
        """Return where the window begins: long enough ago, and enough tasks ago."""
        done = self._points[-1].sums.tasks
        for point in reversed(self._points):
            if point.at <= now - WINDOW_S and done - point.sums.tasks >= FEWEST:
                return point
        return self._points[0]


def _file(task: Task) -> str:
    return f"{task.sample}\0{task.files[0].name}"


def _part(task: Task, pieces: Counter[str], entries: Counter[str]) -> float:
    """Return which part of its file a task reads."""
    if task.start is None:
        return 1.0
    file = _file(task)
    if task.events is not None and entries[file]:
        return task.events / entries[file]
    return 1.0 / pieces[file]
