"""A job of an array: its tasks one after another, its exit status, and what is there after it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from higgsdemo.model import Task
from higgsdemo.sinks import open_sink, unpack
from higgsdemo.worker.blocks import pack_blocks

Script = Callable[..., Task]
FIRST = {"HIGGSDEMO_FAILURES": "0", "HIGGSDEMO_FAILURES_IGNORED": "0"}


@pytest.fixture
def sink(tmp_path: Path) -> str:
    folder = tmp_path / "sink"
    folder.mkdir()
    return folder.as_uri()


@pytest.fixture
def start(tmp_path: Path, sink: str) -> Callable[..., subprocess.Popen[str]]:
    """Start the job of an index, as a pod does."""

    def begin(
        tasks: list[Task], index: int = 0, sinks: tuple[str, ...] = (), **environment: str
    ) -> subprocess.Popen[str]:
        folder = tmp_path / "tasks"
        folder.mkdir(exist_ok=True)
        for name, content in pack_blocks("r", [tasks, []] if index else [tasks]):
            (folder / name).write_bytes(content)
        words = [word for url in sinks or (sink,) for word in ("--sink", url)]
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "higgsdemo.worker",
                "--tasks",
                str(folder),
                *words,
                "--run",
                "r",
            ],
            env={**os.environ, "JOB_COMPLETION_INDEX": str(index), **FIRST, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


def end(job: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = job.communicate(timeout=120)
    return job.returncode, said


def inside(url: str) -> list[tuple[str, str]]:
    """Return (task, what) of all that was delivered."""
    with open_sink(url) as opened:
        parcels = [
            unpack(arrival.name, arrival.payload or b"")
            for page in opened.pages("r")
            for arrival in page.arrivals
        ]
    return sorted(
        (parcel.document["task"], "done" if parcel.is_result else parcel.document["cause"])
        for parcel in parcels
    )


def runs(task: Task) -> int:
    tally = Path(task.files[0].url).with_suffix(".tally")
    return len(tally.read_text()) if tally.exists() else 0


def test_tasks_run_one_after_another_into_all_sinks(
    script: Script, start: Callable[..., subprocess.Popen[str]], sink: str, tmp_path: Path
) -> None:
    (tmp_path / "second").mkdir()
    other = (tmp_path / "second").as_uri()
    tasks = [script(name) for name in ("a", "b", "c")]
    status, said = end(start(tasks, sinks=(sink, other)))
    assert status == 0
    assert said.count("done: s: ") == 3
    assert inside(sink) == inside(other) == sorted((task.id, "done") for task in tasks)
    assert end(start(tasks, index=1))[0] == 0  # an index without tasks


@pytest.mark.parametrize(
    ("acts", "status", "ran"),
    [
        (("well", "bad", "well"), 65, 3),
        (("bad", "transient", "well"), 75, 3),
        (("bug", "well"), 70, 1),
        (("well", "locked out", "well"), 77, 2),
    ],
)
def test_the_exit_status_says_what_to_do_with_the_job(
    script: Script,
    start: Callable[..., subprocess.Popen[str]],
    sink: str,
    acts: tuple[str, ...],
    status: int,
    ran: int,
) -> None:
    tasks = [script(f"t{number}", do=do) for number, do in enumerate(acts)]
    assert end(start(tasks))[0] == status
    assert sum(runs(task) for task in tasks) == ran
    assert len(inside(sink)) == ran


def test_a_job_tried_again_runs_only_what_has_no_result(
    script: Script, start: Callable[..., subprocess.Popen[str]], sink: str
) -> None:
    tasks = [script("a"), script("b", do="transient", times=1), script("c")]
    assert end(start(tasks))[0] == 75
    status, said = end(start(tasks, HIGGSDEMO_FAILURES="1"))
    assert status == 0
    assert said.count("delivered before") == 2
    assert [runs(task) for task in tasks] == [1, 2, 1]
    assert [what for _, what in inside(sink)].count("done") == 3
    # Taken away is counted elsewhere, and has no number where an engine cannot say.
    assert end(start(tasks, HIGGSDEMO_FAILURES_IGNORED="2"))[1].count("delivered before") == 3
    assert [runs(task) for task in tasks] == [1, 2, 1]


def until_it_runs(task: Task) -> None:
    deadline = time.monotonic() + 30
    while not runs(task):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_told_to_end_it_ends_at_once_and_what_was_delivered_stays(
    script: Script, start: Callable[..., subprocess.Popen[str]], sink: str
) -> None:
    tasks = [script("a"), script("slow", sleep=60), script("c")]
    job = start(tasks)
    until_it_runs(tasks[1])
    job.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert end(job)[0] == 143
    assert time.monotonic() - began < 20
    assert inside(sink) == [(tasks[0].id, "done")]
    assert runs(tasks[2]) == 0


def test_killed_midway_it_costs_only_what_was_not_delivered(
    script: Script, start: Callable[..., subprocess.Popen[str]], sink: str
) -> None:
    tasks = [script("a"), script("slow", sleep=60, times=1), script("c")]
    job = start(tasks)
    until_it_runs(tasks[1])
    job.kill()
    assert end(job)[0] == -signal.SIGKILL
    assert inside(sink) == [(tasks[0].id, "done")]
    status, said = end(start(tasks, HIGGSDEMO_FAILURES="1"))
    assert status == 0
    assert said.count("delivered before") == 1
    assert [runs(task) for task in tasks] == [1, 2, 1]
    assert inside(sink) == sorted((task.id, "done") for task in tasks)


def test_a_manifest_of_another_kind_is_a_bug_not_a_bad_file(
    script: Script, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    status, said = end(start([script("a")], JOB_COMPLETION_INDEX="7"))
    assert (status, "no index 7" in said) == (70, True)
    for path in (tmp_path / "tasks").iterdir():
        path.write_bytes(b"what")
    words = [sys.executable, "-m", "higgsdemo.worker", "--tasks", str(tmp_path / "tasks")]
    ended = subprocess.run(
        [*words, "--index", "0", "--run", "r", "--sink", "file:///"],
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 75 or ended.returncode == 70  # no file of that name
    assert subprocess.run(words, capture_output=True, check=False).returncode == 2


def test_a_result_that_cannot_be_delivered_is_no_success(
    script: Script, start: Callable[..., subprocess.Popen[str]], tmp_path: Path, sink: str
) -> None:
    status, said = end(start([script("a")], sinks=(sink, (tmp_path / "no").as_uri())))
    assert status == 70
    assert "not delivered" in said
    assert json.dumps(inside(sink))
