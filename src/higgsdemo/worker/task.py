"""`run_task`, the one function that every engine calls, and how what goes wrong in it is told."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import higgsdemo
from higgsdemo.errors import Cause, HiggsdemoError, InputError, TaskError
from higgsdemo.model import Failure, Result, Task, TaskFile

if TYPE_CHECKING:
    from higgsdemo.storage import Source


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
        whole = workflows.needs_files(workflow)
        sources = [stack.enter_context(_open(file, whole)) for file in task.files]
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
        provenance={**place(), "started": began},
        counters={
            "wall_s": time.time() - began,
            "cpu_s": time.process_time() - cpu,
            "peak_memory_bytes": peak_memory_bytes(),
        },
    )


def peak_memory_bytes() -> int:
    """Return the most memory that this process had at any time, in bytes.

    Linux's own count (VmHWM), because `ru_maxrss` of a child begins with that of its parent.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _open(file: TaskFile, whole: bool) -> Source:
    from higgsdemo import storage

    return storage.open_source(
        file.url,
        checksum=file.checksum,
        size_bytes=file.size_bytes,
        replicas=file.replicas,
        whole=whole,
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
        return Failure(task.id, error.cause, str(error), None, place())
    except MemoryError as error:
        message = f"out of memory: {error}"
        return Failure(task.id, Cause.RESOURCES, message, traceback.format_exc(), place())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE):
            return _bug(task, error)
        return Failure(task.id, Cause.TRANSIENT, str(error), traceback.format_exc(), place())
    except HiggsdemoError as error:  # the plan is wrong: no other attempt can do better
        return Failure(task.id, Cause.BUG, str(error), None, place())
    except Exception as error:  # noqa: BLE001 - a bug is told with its traceback, whatever it is
        return _bug(task, error)


def _bug(task: Task, error: Exception) -> Failure:
    message = f"{type(error).__name__}: {error}"
    return Failure(task.id, Cause.BUG, message, traceback.format_exc(), place())


def place() -> dict[str, Any]:
    """Return where this process runs: the provenance of a failure."""
    return {
        "host": platform.node(),
        "process": os.getpid(),
        "higgsdemo": higgsdemo.__version__,
        "python": platform.python_version(),
    }


def writable(task: Task, outcome: Result | Failure) -> Result | Failure:
    """Return the outcome if JSON can hold it: what a workflow gives may be its bug too."""
    try:
        json.dumps(outcome.to_json())
    except (TypeError, ValueError) as error:
        return _bug(task, error)
    return outcome
