"""The arguments of a worker, and what each form of it does."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType

from higgsdemo.errors import Cause, TaskError
from higgsdemo.model import Failure, Result, Task
from higgsdemo.worker.delivery import deliver, say_failure
from higgsdemo.worker.patience import Watched
from higgsdemo.worker.settings import EXIT_CODES, TOLD_TO_END
from higgsdemo.worker.task import attempt, writable


def main(arguments: list[str] | None = None) -> int:
    """Serve tasks, or run some; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m higgsdemo.worker", description="Run tasks of a higgsdemo run."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--connection", type=int, metavar="FD", help="serve tasks over this socket")
    what.add_argument(
        "--tasks", type=Path, metavar="FOLDER", help="run tasks of an array of jobs: its manifest"
    )
    what.add_argument("task", nargs="?", type=Path, help="a file with one task as JSON")
    parser.add_argument(
        "--index",
        type=int,
        metavar="N",
        default=_index_of_this_job(),
        help="which of the array this job is (default: JOB_COMPLETION_INDEX)",
    )
    parser.add_argument(
        "--sink",
        action="append",
        default=[],
        metavar="URL",
        help="where results go; may be repeated; no secrets in it",
    )
    parser.add_argument("--run", metavar="RUN", help="the run that the tasks belong to")
    chosen = parser.parse_args(arguments)
    if bool(chosen.sink) != bool(chosen.run):
        parser.error("--sink and --run belong together")
    if chosen.connection is not None:
        from higgsdemo.worker.serve import serve

        serve(Connection(chosen.connection))
    signal.signal(signal.SIGTERM, _end)
    if chosen.tasks is None:
        return _run_one(chosen.task, chosen.sink, chosen.run)
    if chosen.index is None or not chosen.sink:
        parser.error("--tasks needs --index, --sink and --run")
    from higgsdemo.worker.batch import run_batch

    return run_batch(chosen.tasks, chosen.index, chosen.sink, chosen.run)


def _run_one(path: Path, sinks: list[str], run_id: str) -> int:
    task = Task.from_json(json.loads(path.read_text()))
    watched = Watched(lambda failure: _tell(failure, sinks, run_id))
    watched.task = task
    outcome = writable(task, attempt(task))
    with watched.speaking:
        watched.task = None
        return _tell(outcome, sinks, run_id)


def _tell(outcome: Result | Failure, sinks: list[str], run_id: str) -> int:
    """Deliver or print what became of the only task; return the exit status."""
    refusal = deliver(outcome, sinks, run_id) if sinks else None
    if not sinks or refusal is not None:  # the job's log is then the last resort
        sys.stdout.write(json.dumps(outcome.to_json()) + "\n")
    if refusal is not None:
        sys.stderr.write(f"not delivered: {refusal}\n")
        if not isinstance(outcome, Failure):
            return EXIT_CODES[refusal.cause if isinstance(refusal, TaskError) else Cause.BUG]
    if isinstance(outcome, Failure):
        say_failure(outcome)
        return EXIT_CODES[outcome.cause]
    return 0


def _index_of_this_job() -> int | None:
    text = os.environ.get("JOB_COMPLETION_INDEX", "")
    return int(text) if text.isdecimal() else None


def _end(_number: int, _frame: FrameType | None) -> None:
    """End at once, by way of all that tidies up; the first process of a container must say so."""
    raise SystemExit(TOLD_TO_END)
