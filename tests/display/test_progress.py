"""Rates, time left, and what is shown of them in a pipe and in a terminal."""

import io

import pytest
from rich.console import Console

from higgsdemo.display.progress import Meter, RunProgress, duration
from higgsdemo.ledger import Counts
from higgsdemo.model import Output, Result, Task, TaskFile


def task(name: str, events: int | None = None, size: int | None = None) -> Task:
    return Task("s", (TaskFile(name, name, size),), events=events)


def result(done: Task, events: int = 0, read: int = 0) -> Result:
    output = Output(events=events, histograms={}, cutflow={}, bytes_read=read)
    return Result(done.id, "s", "w", "1", 1, output)


def counts(done: int, planned: int, failed: dict[str, int] | None = None) -> Counts:
    failed = failed or {}
    return Counts(planned, done, 0, planned - done - sum(failed.values()), failed)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_time_left_follows_the_events_not_the_number_of_tasks() -> None:
    clock = Clock()
    tasks = [task("small", events=100), task("large", events=900)]
    meter = Meter(tasks, clock)
    assert meter.left_s is None
    clock.now = 2.0
    meter.add(result(tasks[0], events=100, read=1_000_000))
    assert meter.fraction == pytest.approx(0.1)
    assert meter.left_s == pytest.approx(18.0)
    assert meter.line(counts(1, 2)) == (
        "1 of 2 tasks done, 0 running, 50 events/s, 0 MB/s, about 18 s left"
    )


def test_without_events_bytes_count_and_without_bytes_tasks() -> None:
    by_bytes = [task("a", size=1), task("b", size=3)]
    meter = Meter(by_bytes, Clock())
    meter.add(result(by_bytes[1]))
    assert meter.fraction == pytest.approx(0.75)
    unknown = [task("a"), task("b", size=3)]
    meter = Meter(unknown, Clock())
    meter.add(result(unknown[1]))
    assert meter.fraction == pytest.approx(0.5)


def test_a_result_counts_once_and_nothing_to_do_is_all_done() -> None:
    tasks = [task("a", events=1), task("b", events=1)]
    meter = Meter(tasks, Clock())
    meter.add(result(tasks[0]))
    meter.add(result(tasks[0]))
    assert meter.fraction == pytest.approx(0.5)
    assert Meter([], Clock()).fraction == 1.0


def test_failures_are_said() -> None:
    line = Meter([task("a")], Clock()).line(counts(0, 3, {"bad-input": 2}))
    assert line.startswith("0 of 3 tasks done, 2 failed,")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize("terminal", [False, True])
def test_the_last_line_stays(terminal: bool) -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=120)
    tasks = [task("a", events=5)]
    with RunProgress(console, tasks) as progress:
        progress.on_event(result(tasks[0], events=5))
        progress.on_counts(counts(1, 1))
    assert "1 of 1 tasks done" in text.getvalue().splitlines()[-1]
    assert terminal or "\x1b" not in text.getvalue()
