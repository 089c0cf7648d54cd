"""What runs on a worker: one function, `run_task`. Every engine calls it and nothing else.

As a program (`python -m higgsdemo.worker`) it serves tasks one after another:

    --connection FD   over a socket handed down by the parent process (executor `local`)
    TASK.json         one task from a file, its result as JSON on standard output (batch jobs),
                      or put into a sink with --sink URL --run RUN, where a collector takes it;
                      several --sink: into each, an object store as record and Redis as bus

Exit status of the second form: 0 done, 65 bad input, 70 bug, 75 transient, 77 credentials,
137 out of memory.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import errno
import json
import os
import platform
import queue
import resource
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import higgsdemo
from higgsdemo.errors import Cause, HiggsdemoError, InputError, TaskError
from higgsdemo.model import Failure, Result, Task, TaskFile

if TYPE_CHECKING:
    from higgsdemo.storage import Source

ENVIRONMENT: Mapping[str, str] = {
    # A task uses one core; numpy starts faster without a pool of threads for more.
    "OPENBLAS_NUM_THREADS": "1",
    # glibc: keep what was freed instead of giving it back, and ask for huge pages. A task touches
    # its memory once; page faults were a quarter of its CPU time (see benchmarks).
    "GLIBC_TUNABLES": (
        "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432"
        ":glibc.malloc.trim_threshold=268435456:glibc.malloc.top_pad=16777216"
    ),
}
"""What whoever starts a worker process sets, unless the user has: numbers stay the same."""

EXIT_CODES = {
    Cause.BAD_INPUT: 65,
    Cause.BUG: 70,
    Cause.TRANSIENT: 75,
    Cause.CREDENTIALS: 77,
    Cause.RESOURCES: 137,
}


def run_task(task: Task) -> Result:
    """Run the task's workflow over the task's events.

    Raises
    ------
    TaskError
        a declared failure, with its cause
    HiggsdemoError
        the task asks for what there is not (an unknown workflow or option)
    """
    from higgsdemo import workflows

    began, cpu = time.time(), time.process_time()
    workflow = workflows.load(task.workflow)
    with contextlib.ExitStack() as stack:
        sources = [stack.enter_context(_open(file)) for file in task.files]
        _check_planned(task, sum(source.size for source in sources), None)
        output = workflow.process(task, sources)
        _check_planned(task, None, output.events)
    return Result(
        task_id=task.id,
        sample=task.sample,
        workflow=workflow.name,
        version=workflow.version,
        files=len(task.files),
        output=output,
        provenance={**_place(), "started": began},
        counters={
            "wall_s": time.time() - began,
            "cpu_s": time.process_time() - cpu,
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        },
    )


def _open(file: TaskFile) -> Source:
    from higgsdemo import storage

    return storage.open_source(
        file.url, checksum=file.checksum, size_bytes=file.size_bytes, replicas=file.replicas
    )


def _check_planned(task: Task, size_bytes: int | None, events: int | None) -> None:
    """Raise InputError where files differ from those that the plan opened.

    A file that the plan could not open may be mended, and so has no size to be held to.
    """
    if task.events is None:
        return
    for unit, planned, found in (
        ("bytes", task.size_bytes, size_bytes),
        ("events", task.events, events),
    ):
        if None not in (planned, found) and planned != found:
            raise InputError(
                "the input changed since the plan was made",
                where=task.label,
                why=f"{planned} {unit} were planned, it has {found}",
                hint="put back what was planned, or start a new run",
            )


def attempt(task: Task) -> Result | Failure:
    """Run a task and turn whatever goes wrong into a failure with its cause."""
    try:
        return run_task(task)
    except TaskError as error:
        return Failure(task.id, error.cause, str(error), None, _place())
    except MemoryError as error:
        message = f"out of memory: {error}"
        return Failure(task.id, Cause.RESOURCES, message, traceback.format_exc(), _place())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE):
            return _bug(task, error)
        return Failure(task.id, Cause.TRANSIENT, str(error), traceback.format_exc(), _place())
    except HiggsdemoError as error:  # the plan is wrong: no other attempt can do better
        return Failure(task.id, Cause.BUG, str(error), None, _place())
    except Exception as error:  # noqa: BLE001 - a bug is told with its traceback, whatever it is
        return _bug(task, error)


def _bug(task: Task, error: Exception) -> Failure:
    message = f"{type(error).__name__}: {error}"
    return Failure(task.id, Cause.BUG, message, traceback.format_exc(), _place())


def _place() -> dict[str, Any]:
    return {
        "host": platform.node(),
        "process": os.getpid(),
        "higgsdemo": higgsdemo.__version__,
        "python": platform.python_version(),
    }


def _writable(task: Task, outcome: Result | Failure) -> Result | Failure:
    """Return the outcome if JSON can hold it: what a workflow gives may be its bug too."""
    try:
        json.dumps(outcome.to_json())
    except (TypeError, ValueError) as error:
        return _bug(task, error)
    return outcome


def serve(connection: Connection) -> None:
    """Run the tasks that come over `connection`, one at a time, until it closes.

    A thread listens, so that a worker whose driver is gone ends at once, even in a task.
    """
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()

    def listen() -> None:
        while True:
            try:
                tasks.put(Task.from_json(json.loads(connection.recv_bytes())))
            except (EOFError, OSError):
                os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        task = tasks.get()
        outcome = _writable(task, attempt(task))
        kind = "result" if isinstance(outcome, Result) else "failure"
        try:
            connection.send_bytes(json.dumps({kind: outcome.to_json()}).encode())
        except (BrokenPipeError, ConnectionResetError):
            os._exit(0)


def main(arguments: list[str] | None = None) -> int:
    """Serve tasks, or run one; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m higgsdemo.worker", description="Run tasks of a higgsdemo run."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--connection", type=int, metavar="FD", help="serve tasks over this socket")
    what.add_argument("task", nargs="?", type=Path, help="a file with one task as JSON")
    parser.add_argument(
        "--sink",
        action="append",
        default=[],
        metavar="URL",
        help="where the result goes; may be repeated; no secrets in it",
    )
    parser.add_argument("--run", metavar="RUN", help="the run that the task belongs to")
    chosen = parser.parse_args(arguments)
    if bool(chosen.sink) != bool(chosen.run):
        parser.error("--sink and --run belong together")
    if chosen.connection is not None:
        serve(Connection(chosen.connection))
    task = Task.from_json(json.loads(chosen.task.read_text()))
    outcome = _writable(task, attempt(task))
    refusal = _deliver(outcome, chosen.sink, chosen.run) if chosen.sink else None
    if not chosen.sink or refusal is not None:  # the job's log is then the last resort
        sys.stdout.write(json.dumps(outcome.to_json()) + "\n")
    if refusal is not None:
        sys.stderr.write(f"not delivered: {refusal}\n")
        if not isinstance(outcome, Failure):
            return EXIT_CODES[refusal.cause if isinstance(refusal, TaskError) else Cause.BUG]
    if isinstance(outcome, Failure):
        sys.stderr.write(f"{outcome.cause}: {outcome.message}\n{outcome.traceback or ''}")
        return EXIT_CODES[outcome.cause]
    return 0


def _deliver(outcome: Result | Failure, urls: list[str], run_id: str) -> HiggsdemoError | None:
    """Put an outcome into the sinks; return why that did not work."""
    from higgsdemo import sinks

    if isinstance(outcome, Failure):  # this attempt, not one before it on the same host
        provenance = {**outcome.provenance, "ended": time.time()}
        outcome = dataclasses.replace(outcome, provenance=provenance)
    try:
        for url, error in sinks.deliver(outcome, run_id, urls):
            sys.stderr.write(f"not delivered to {url}, but to the others: {error}\n")
    except HiggsdemoError as error:
        return error
    return None


if __name__ == "__main__":
    sys.exit(main())
