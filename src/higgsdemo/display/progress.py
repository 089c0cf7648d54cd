"""Progress of a run: a live bar in a terminal, plain lines in a pipe."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console

from higgsdemo.display.bar import Bar
from higgsdemo.executors import Event
from higgsdemo.ledger import Counts
from higgsdemo.model import Result, Task


class Meter:
    """Rates and the time left, from what came in since the start.

    The share of work done is by events where the plan knows them, else by bytes, else by tasks.
    """

    def __init__(self, tasks: list[Task], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._weights = _weights(tasks)
        self._total = sum(self._weights.values())
        self._done = 0.0
        self.events = 0
        self.bytes = 0

    def add(self, result: Result) -> None:
        """Count a finished task."""
        self._done += self._weights.pop(result.task_id, 0.0)
        self.events += result.output.events
        self.bytes += result.output.bytes_read

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return max(self._clock() - self._began, 1e-9)

    @property
    def fraction(self) -> float:
        """The share of this session's work that is done, 0 to 1."""
        return self._done / self._total if self._total else 1.0

    @property
    def left_s(self) -> float | None:
        """Estimated seconds to go; None before anything is done."""
        if not self._done:
            return None
        return self.elapsed_s * (self._total - self._done) / self._done

    def line(self, counts: Counts) -> str:
        """Describe the state in one line."""
        said = [
            f"{counts.done} of {counts.planned} tasks done",
            f"{counts.running} running",
            f"{_engineering(self.events / self.elapsed_s)}events/s",
            f"{self.bytes / self.elapsed_s / 1e6:.0f} MB/s",
        ]
        if counts.failed:
            said.insert(1, f"{sum(counts.failed.values())} failed")
        if self.left_s is not None and not counts.ended:
            said.append(f"about {duration(self.left_s)} left")
        return ", ".join(said)


def _weights(tasks: list[Task]) -> dict[str, float]:
    for sizes in ([task.events for task in tasks], [task.size_bytes for task in tasks]):
        known = [size for size in sizes if size is not None]
        if len(known) == len(tasks) and sum(known) > 0:
            return {task.id: float(size) for task, size in zip(tasks, known, strict=True)}
    return {task.id: 1.0 for task in tasks}


def _engineering(value: float) -> str:
    for factor, unit in ((1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.1f} {unit}"
    return f"{value:.0f} "


def duration(seconds: float) -> str:
    """Format seconds for people: `8 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


class RunProgress(Bar):
    """Watches a run and shows it on `console` (an observer for `executors.drive`)."""

    def __init__(self, console: Console, tasks: list[Task]) -> None:
        super().__init__(console, "starting workers")
        self.meter = Meter(tasks)
        self._counts: Counts | None = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        if self._counts:
            self.console.print(self.meter.line(self._counts), highlight=False)

    def on_event(self, event: Event) -> None:
        """Count a result."""
        if isinstance(event, Result):
            self.meter.add(event)

    def on_counts(self, counts: Counts) -> None:
        """Show the state."""
        self._counts = counts
        self.show(self.meter.fraction, lambda: self.meter.line(counts))
