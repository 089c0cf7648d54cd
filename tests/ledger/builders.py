"""Small tasks and results for the tests of the ledger."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from higgsdemo.errors import Cause
from higgsdemo.ledger import Counts, Ledger, Manifest
from higgsdemo.model import Axis, Failure, Histogram, Output, Result, Sample, Task, TaskFile

AXIS = Axis(5, 0.0, 5.0, "x", "")
DATA = Sample("Run2012B_DoubleMuParked", "data", (), year=2012, luminosity_pb=4412.0)
ZZ = Sample("ZZTo4mu", "zz", (), year=2012, cross_section_pb=0.077, generated_events=1000)
SAMPLES = (DATA, ZZ)


def make_task(number: int, sample: Sample = ZZ, **more: Any) -> Task:
    """Return task `number`: one file with number + 1 events."""
    name = f"{sample.name}/{number}.root"
    file = TaskFile(name, f"/data/{name}", 100)
    return Task(
        sample.name,
        (file,),
        **{"events": number + 1, "is_data": sample.is_data} | more,
    )


def make_tasks(count: int) -> tuple[Task, ...]:
    """Return tasks of both samples in turn."""
    return tuple(make_task(number, SAMPLES[number % 2]) for number in range(count))


def result_of(task: Task, *, events: int | None = None, shift: int = 0, **more: Any) -> Result:
    """Return a right result of the task; another `shift` gives another histogram."""
    read = task.events if events is None else events
    assert read is not None
    values = [(event + shift) % AXIS.bins + 0.5 for event in range(read)]
    output = Output(
        events=read,
        histograms={"4mu/x": Histogram.of(AXIS, values)},
        cutflow={"4mu": (("all events", read), ("four muons", read // 2))},
    )
    return Result(
        task.id,
        task.sample,
        "h4l",
        "1",
        len(task.files),
        dataclasses.replace(output, **more),
    )


def failure_of(task: Task, cause: Cause = Cause.TRANSIENT, message: str = "it broke") -> Failure:
    return Failure(task.id, cause, message, "Traceback ..." if cause is Cause.BUG else None)


def manifest_of(tasks: Iterable[Task]) -> Manifest:
    return Manifest("test", SAMPLES, tuple(tasks))


def new_ledger(folder: Path, tasks: Iterable[Task]) -> Ledger:
    ledger = Ledger.create(folder / "ledger.sqlite", "test", "digest")
    ledger.plan(tasks)
    return ledger


def states(ledger: Ledger) -> dict[str, str]:
    return {row["id"]: row["state"] for row in ledger.rows()}


def check_accounting(counts: Counts, planned: int) -> None:
    """Promise P1."""
    failed = sum(counts.failed.values())
    assert counts.planned == planned
    assert counts.done + failed + counts.running + counts.queued == planned
