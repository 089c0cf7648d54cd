"""What runs on a worker: one function, `run_task`. Every engine calls it and nothing else.

As a program (`python -m higgsdemo.worker`) it serves tasks one after another:

    --connection FD   over a socket handed down by the parent process (executor `local`)
    TASK.json         one task from a file, its result as JSON on standard output (batch jobs)

Exit status of the second form: 0 done, 65 bad input, 70 bug, 75 transient, 137 out of memory.
"""

from __future__ import annotations

import argparse
import contextlib
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
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import higgsdemo
from higgsdemo.errors import Cause, HiggsdemoError, TaskError
from higgsdemo.model import Failure, Result, Task

EXIT_CODES = {
    Cause.BAD_INPUT: 65,
    Cause.BUG: 70,
    Cause.TRANSIENT: 75,
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
    from higgsdemo import storage, workflows

    began, cpu = time.time(), time.process_time()
    workflow = workflows.load(task.workflow)
    with contextlib.ExitStack() as stack:
        sources = [stack.enter_context(storage.open_source(file.url)) for file in task.files]
        output = workflow.process(task, sources)
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
        return Failure(task.id, Cause.BUG, str(error), traceback.format_exc(), _place())
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
        outcome = attempt(tasks.get())
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
    chosen = parser.parse_args(arguments)
    if chosen.connection is not None:
        serve(Connection(chosen.connection))
    task = Task.from_json(json.loads(chosen.task.read_text()))
    outcome = attempt(task)
    sys.stdout.write(json.dumps(outcome.to_json()) + "\n")
    if isinstance(outcome, Failure):
        sys.stderr.write(f"{outcome.cause}: {outcome.message}\n{outcome.traceback or ''}")
        return EXIT_CODES[outcome.cause]
    return 0


if __name__ == "__main__":
    sys.exit(main())
