"""The local engine: real worker processes that crash, hang, die and eat memory."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from higgsdemo.errors import Cause
from higgsdemo.executors import Event, LocalExecutor, Started, usable_cores
from higgsdemo.model import Failure, Result, Task

Script = Callable[..., Task]


def outcomes(executor: LocalExecutor, count: int, patience: float = 30) -> list[Event]:
    """Wait for `count` results or failures."""
    found: list[Event] = []
    deadline = time.monotonic() + patience
    while sum(not isinstance(event, Started) for event in found) < count:
        assert time.monotonic() < deadline, f"only {found}"
        found += executor.events(0.5)
    return [event for event in found if not isinstance(event, Started)]


def workers() -> list[psutil.Process]:
    """Our worker processes; servers that other tests share are children too."""
    children = psutil.Process().children()
    return [child for child in children if "higgsdemo.worker" in child.cmdline()]


def gone(pid: int, patience: float = 10) -> bool:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_usable_cores_are_those_of_the_affinity_mask() -> None:
    assert 1 <= usable_cores() <= len(os.sched_getaffinity(0))


def test_tasks_run_and_workers_are_used_again(script: Script) -> None:
    with LocalExecutor(workers=2) as executor:
        assert executor.capacity == 2
        for batch in range(2):
            for i in range(2):
                executor.submit(script(f"{batch}{i}", events=batch + 1), 0)
            assert executor.capacity == 0
            done = outcomes(executor, 2)
            assert [event.output.events for event in done if isinstance(event, Result)] == [
                batch + 1
            ] * 2
        children = workers()
        assert len(children) == 2
    assert all(gone(child.pid) for child in children)


@pytest.mark.parametrize(
    ("do", "cause", "says"),
    [
        ("crash", Cause.TRANSIENT, f"signal {int(signal.SIGSEGV)}"),
        ("die", Cause.TRANSIENT, f"signal {int(signal.SIGKILL)}"),
        ("leave", Cause.TRANSIENT, "status 3"),
        ("bug", Cause.BUG, "ZeroDivisionError: a mistake in the workflow"),
        ("bad", Cause.BAD_INPUT, "the file is damaged"),
        ("transient", Cause.TRANSIENT, "the server is busy"),
    ],
)
def test_a_failure_has_its_cause_and_the_engine_goes_on(
    script: Script, do: str, cause: Cause, says: str
) -> None:
    with LocalExecutor(workers=1) as executor:
        task = script("wrong", do=do)
        executor.submit(task, 0)
        (failure,) = outcomes(executor, 1)
        assert isinstance(failure, Failure)
        assert (failure.task_id, failure.cause) == (task.id, cause)
        assert says in failure.message
        assert (failure.traceback is not None) == (cause is Cause.BUG)
        executor.submit(script("right"), 0)
        (result,) = outcomes(executor, 1)
        assert isinstance(result, Result)


def test_a_task_over_its_memory_is_killed_and_one_with_enough_is_not(script: Script) -> None:
    task = script("hog", do="hog", hog=300_000_000)
    with LocalExecutor(workers=1) as executor:
        executor.submit(task, 200_000_000)
        (failure,) = outcomes(executor, 1)
        assert isinstance(failure, Failure)
        assert failure.cause is Cause.RESOURCES
        assert "over its limit of 200 MB" in failure.message
        executor.submit(task, 600_000_000)
        (result,) = outcomes(executor, 1)
        assert isinstance(result, Result)


def test_a_missing_file_is_bad_input(tmp_path: Path, script: Script) -> None:
    task = script("gone")
    Path(task.files[0].url).unlink()
    with LocalExecutor(workers=1) as executor:
        executor.submit(task, 0)
        (failure,) = outcomes(executor, 1)
    assert isinstance(failure, Failure)
    assert failure.cause is Cause.BAD_INPUT


def test_a_worker_killed_while_idle_costs_nothing_but_a_try(script: Script) -> None:
    with LocalExecutor(workers=1) as executor:
        executor.submit(script("one"), 0)
        outcomes(executor, 1)
        (child,) = workers()
        child.kill()
        child.wait(5)
        executor.submit(script("two"), 0)
        (event,) = outcomes(executor, 1)
        assert isinstance(event, Failure)
        assert event.cause is Cause.TRANSIENT
        executor.submit(script("two"), 0)
        (event,) = outcomes(executor, 1)
        assert isinstance(event, Result)


def test_workers_end_when_the_engine_is_left_in_the_middle_of_a_task(script: Script) -> None:
    with LocalExecutor(workers=1) as executor:
        executor.submit(script("slow", sleep=60), 0)
        executor.events(1)
        (child,) = workers()
    assert gone(child.pid)


def test_what_workers_say_goes_to_the_log(script: Script, tmp_path: Path) -> None:
    with LocalExecutor(workers=1, logs=tmp_path / "logs") as executor:
        executor.submit(script("crash", do="crash"), 0)
        outcomes(executor, 1)
    assert (tmp_path / "logs" / "workers.log").exists()
