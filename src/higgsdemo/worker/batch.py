"""A job of an array: several tasks, one after another, each delivered before the next begins.

So a job that dies midway costs only what it had not delivered. The exit status tells whoever
keeps the jobs what to do with this one; what became of each task is in the sinks.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from higgsdemo.errors import Cause, HiggsdemoError, InputError, TaskError
from higgsdemo.model import Failure, Result, Task
from higgsdemo.worker.blocks import read_tasks
from higgsdemo.worker.delivery import deliver, delivered, say_failure
from higgsdemo.worker.patience import Watched
from higgsdemo.worker.settings import EXIT_CODES
from higgsdemo.worker.task import attempt, writable

FAILURES = "HIGGSDEMO_FAILURES"
"""Variables that begin so: how often this job failed, or was taken away, before. Unless all of
them say never, the sinks are asked what is there already."""

# The first of these that a task of the job met is the exit status: what may still work is tried
# again, and the tasks that have a result are then passed over.
_ORDER = (Cause.RESOURCES, Cause.TRANSIENT, Cause.BAD_INPUT)
_AT_ONCE = (Cause.BUG, Cause.CREDENTIALS)


def run_batch(folder: Path, index: int, sinks: Sequence[str], run_id: str) -> int:
    """Run the tasks of job `index`, whose manifest is in `folder`; return the exit status."""
    try:
        tasks = read_tasks(folder, index, run_id)
        left = [task for task in tasks if not (_is_retried() and _known(task, sinks, run_id))]
    except HiggsdemoError as error:
        # A manifest that is damaged is no bad input: that would be the fault of a task's file.
        refused = Cause.BUG if isinstance(error, InputError) else _cause(error)
        sys.stderr.write(f"{refused}: {error}\n")
        return EXIT_CODES[refused]
    met: set[Cause] = set()
    watched = Watched(lambda failure: _tell_failure(failure, sinks, run_id))
    for task in left:
        cause = _run(task, watched, sinks, run_id)
        if cause in _AT_ONCE:
            return EXIT_CODES[cause]
        if cause is not None:
            met.add(cause)
    return next((EXIT_CODES[cause] for cause in _ORDER if cause in met), 0)


def _tell_failure(failure: Failure, sinks: Sequence[str], run_id: str) -> None:
    say_failure(failure)
    deliver(failure, sinks, run_id)
    sys.stderr.flush()


def _run(task: Task, watched: Watched, sinks: Sequence[str], run_id: str) -> Cause | None:
    """Run and deliver one task; return the cause if it failed, or could not be delivered."""
    began = time.monotonic()
    watched.task = task
    outcome = writable(task, attempt(task))
    with watched.speaking:
        watched.task = None
    if isinstance(outcome, Failure):
        sys.stderr.write(f"failed: {task.label}\n")
        say_failure(outcome)
    refusal = deliver(outcome, sinks, run_id)
    if refusal is not None:
        sys.stderr.write(f"not delivered: {task.label}: {refusal}\n")
    elif isinstance(outcome, Result):
        seconds = time.monotonic() - began
        sys.stderr.write(f"done: {task.label}: {outcome.output.events} events, {seconds:.1f} s\n")
    sys.stderr.flush()
    if isinstance(outcome, Failure):
        return outcome.cause
    return None if refusal is None else _cause(refusal)


def _cause(error: HiggsdemoError) -> Cause:
    return error.cause if isinstance(error, TaskError) else Cause.BUG


def _is_retried() -> bool:
    counts = [text for name, text in os.environ.items() if name.startswith(FAILURES)]
    return not counts or any(text.strip() not in ("", "0") for text in counts)


def _known(task: Task, sinks: Sequence[str], run_id: str) -> bool:
    """Whether an attempt before this one delivered a result of the task."""
    known = delivered(task.id, sinks, run_id)
    if known:
        sys.stderr.write(f"delivered before: {task.label}\n")
    return known
