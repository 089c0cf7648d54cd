"""The one function every engine calls, and the program around it."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Pipe
from pathlib import Path

import psutil
import pytest

import higgsdemo
from higgsdemo.errors import Cause, InputError, UsageError
from higgsdemo.model import Failure, Result, Task
from higgsdemo.worker import EXIT_CODES, attempt, run_task

Script = Callable[..., Task]


_DRIVER = """
import json, sys, pathlib
from higgsdemo.executors import LocalExecutor
from higgsdemo.model import Task
task = Task.from_json(json.loads(pathlib.Path(sys.argv[1]).read_text()))
executor = LocalExecutor(2)
executor.submit(task, 0)
while True:
    executor.events(1)
"""


def program(task: Task, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run a task as a batch job would."""
    path = tmp_path / "task.json"
    path.write_text(json.dumps(task.to_json()))
    return subprocess.run(
        [sys.executable, "-m", "higgsdemo.worker", str(path)],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip


def test_a_result_says_what_was_done_and_where(script: Script) -> None:
    task = script("one", events=25)
    result = run_task(task)
    assert (result.task_id, result.sample, result.workflow) == (task.id, "s", "scripted")
    assert (result.files, result.output.events) == (1, 25)
    assert result.output.histograms["4mu/x"].total == 25
    assert result.provenance["process"] == os.getpid()
    assert result.provenance["higgsdemo"] == higgsdemo.__version__
    assert result.counters["peak_memory_bytes"] > 1e6
    assert result.output.bytes_read == task.size_bytes


def test_peak_memory_is_the_workers_own_and_not_its_parents() -> None:
    show = "from higgsdemo.worker.task import peak_memory_bytes; print(peak_memory_bytes())"
    start = (
        "import subprocess, sys; held = b'x' * 600_000_000;"
        f"subprocess.run([sys.executable, '-c', {show!r}], check=True)"
    )
    done = subprocess.run([sys.executable, "-c", start], capture_output=True, check=True)
    assert 10e6 < int(done.stdout) < 300e6


def test_the_same_task_gives_the_same_digest_wherever_it_runs(
    script: Script, tmp_path: Path
) -> None:
    task = script("one", events=25)
    there = program(task, tmp_path)
    assert there.returncode == 0, there.stderr
    assert Result.from_json(json.loads(there.stdout)).digest == run_task(task).digest


def test_run_task_raises_and_attempt_tells(script: Script) -> None:
    task = script("bad", do="bad")
    with pytest.raises(InputError, match="damaged"):
        run_task(task)
    failure = attempt(task)
    assert isinstance(failure, Failure)
    assert failure.cause is Cause.BAD_INPUT


@pytest.mark.parametrize(
    ("says", "cause"),
    [
        ({"do": "bad"}, Cause.BAD_INPUT),
        ({"do": "bug"}, Cause.BUG),
        ({"do": "transient"}, Cause.TRANSIENT),
        ({"do": "locked out"}, Cause.CREDENTIALS),
    ],
)
def test_exit_status_tells_the_cause(
    script: Script, tmp_path: Path, says: dict[str, str], cause: Cause
) -> None:
    ended = program(script("wrong", **says), tmp_path)
    assert ended.returncode == EXIT_CODES[cause]
    assert Failure.from_json(json.loads(ended.stdout)).cause is cause
    assert ended.stderr.startswith(f"{cause}: ")
    assert ("Traceback" in ended.stderr) == (cause is Cause.BUG)


def test_an_unknown_workflow_is_the_plans_fault_not_the_files(tmp_path: Path) -> None:
    task = Task(sample="s", files=(), workflow="h4ll")
    with pytest.raises(UsageError) as caught:
        run_task(task)
    assert "h4l" in caught.value.nearest
    failure = attempt(task)
    assert isinstance(failure, Failure)
    assert failure.cause is Cause.BUG


def test_a_worker_ends_with_its_driver_even_in_the_middle_of_a_task(script: Script) -> None:
    ours, theirs = Pipe()
    worker = subprocess.Popen(
        [sys.executable, "-m", "higgsdemo.worker", "--connection", str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
    )
    theirs.close()
    ours.send_bytes(json.dumps(script("quick").to_json()).encode())
    assert "result" in json.loads(ours.recv_bytes())
    ours.send_bytes(json.dumps(script("slow", sleep=60).to_json()).encode())
    time.sleep(0.3)
    assert worker.poll() is None
    ours.close()
    assert worker.wait(10) == 0


def test_workers_end_when_the_driver_is_killed(script: Script, tmp_path: Path) -> None:
    tasks = tmp_path / "task.json"
    tasks.write_text(json.dumps(script("slow", sleep=60).to_json()))
    driver = subprocess.Popen([sys.executable, "-c", _DRIVER, str(tasks)])
    deadline = time.monotonic() + 30
    tally = Path(script("slow").files[0].url).with_suffix(".tally")
    while not tally.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (worker,) = psutil.Process(driver.pid).children()
    driver.send_signal(signal.SIGKILL)
    driver.wait(10)
    psutil.wait_procs([worker], timeout=10)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_a_worker_imports_nothing_that_it_does_not_need() -> None:
    """It must start fast: no command line, plotting, fitting or jagged-array code."""
    heavy = "typer rich matplotlib mplhep iminuit hist boost_histogram pydantic awkward pandas yaml"
    asked = (
        "import sys, higgsdemo.worker, higgsdemo.storage, higgsdemo.workflows.h4l\n"
        f"print([name for name in {heavy.split()} if name in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True, timeout=180
    )
    assert said.stdout.strip() == "[]"


def test_a_file_that_changed_since_the_plan_is_refused(script: Script) -> None:
    task = script("one", events=25)
    for planned in (
        dataclasses.replace(task, events=24),  # of equal size
        dataclasses.replace(
            task, events=25, files=(dataclasses.replace(task.files[0], size_bytes=1),)
        ),
    ):
        failure = attempt(planned)
        assert isinstance(failure, Failure)
        assert failure.cause is Cause.BAD_INPUT
        assert "changed since the plan" in failure.message or "size" in failure.message


def test_a_result_that_json_cannot_hold_is_the_workflows_bug(
    script: Script, tmp_path: Path
) -> None:
    ended = program(script("odd", do="numpy"), tmp_path)
    assert ended.returncode == EXIT_CODES[Cause.BUG]
    assert "int64" in ended.stderr
