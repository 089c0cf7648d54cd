"""`higgsdemo collect`, with workers that deliver to a sink."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.display.words import plain
from higgsdemo.errors import Cause
from higgsdemo.ledger import RunDirectory, create_run, open_run
from higgsdemo.model import Failure, Sample, Task
from higgsdemo.sinks import open_sink
from tests.ledger.builders import SAMPLES, make_tasks, result_of
from tests.services.fixtures import redis
from tests.services.redis import RedisServer

__all__ = ["redis"]

TASKS = make_tasks(6)
Higgsdemo = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return create_run(tmp_path / "runs", "one", record={}, samples=SAMPLES, tasks=TASKS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "sink"
    path.mkdir()
    return path


def deliver(folder: Path, *tasks: Task, run: str = "one", **more: Any) -> None:
    with open_sink(folder.as_uri()) as sink:
        for task in tasks:
            sink.deliver(result_of(task, **more), run)


def fail(folder: Path, task: Task, message: str, cause: Cause = Cause.BAD_INPUT) -> None:
    with open_sink(folder.as_uri()) as sink:
        sink.deliver(Failure(task.id, cause, message), "one")


def test_a_run_fills_and_then_is_complete(
    higgsdemo: Higgsdemo, run: RunDirectory, folder: Path
) -> None:
    deliver(folder, *TASKS[:4])
    said = higgsdemo("collect", "one", "--from", folder.as_uri())
    assert said.status == 1
    assert "4 results" in said.out
    assert "6 planned = 4 done" in said.out
    deliver(folder, *TASKS)
    said = higgsdemo("collect", "one", "--from", folder.as_uri())
    assert said.status == 0, said.err
    assert "2 results" in said.out
    said = higgsdemo("collect", "one", "--from", folder.as_uri(), "--json")
    assert said.status == 0
    assert said.json["results"] == 0
    assert said.json["complete"] is True


def test_what_is_refused_is_named(higgsdemo: Higgsdemo, run: RunDirectory, folder: Path) -> None:
    deliver(folder, *TASKS[:2])
    foreign = result_of(TASKS[3])
    results = folder / "one" / "results"
    deliver(folder, TASKS[3], run="two")
    (stranger,) = (folder / "two" / "results").iterdir()
    (results / stranger.name).write_bytes(stranger.read_bytes())
    hostile = "\x1b[2J[bold]<script>"
    (results / hostile.replace("/", "")).write_bytes(b"x")
    said = higgsdemo("collect", "one", "--from", folder.as_uri())
    assert said.status == 1
    assert "refused: 2 documents" in said.out
    assert f"{foreign.task_id}.{foreign.digest[:16]}: it is of run 'two'" in said.out
    assert "\x1b[2J" not in said.out
    assert "[bold]<script>" in said.out
    assert "refused:" not in higgsdemo("collect", "one", "--from", folder.as_uri()).out
    again = higgsdemo("collect", "one", "--from", folder.as_uri(), "--again", "--json")
    assert len(again.json["refused"]) == 2


def test_failures_are_counted_by_cause(
    higgsdemo: Higgsdemo, run: RunDirectory, folder: Path
) -> None:
    deliver(folder, *TASKS[1:])
    fail(folder, TASKS[0], "the file is damaged")
    said = higgsdemo("collect", "one", "--from", folder.as_uri(), "--follow")
    assert said.status == 1
    assert "1 failed: bad-input" in said.out
    assert "the file is damaged" in higgsdemo("status", "one").out


def test_lost(higgsdemo: Higgsdemo, run: RunDirectory, folder: Path) -> None:
    deliver(folder, *TASKS[1:])
    said = higgsdemo("collect", "one", "--from", folder.as_uri(), "--final")
    assert said.status == 1
    assert "lost: 1 tasks ended without a result" in said.out
    assert "1 lost" in said.out
    deliver(folder, TASKS[0])
    assert higgsdemo("collect", "one", "--from", folder.as_uri()).status == 0


def test_another_digest_is_an_alarm(higgsdemo: Higgsdemo, run: RunDirectory, folder: Path) -> None:
    deliver(folder, *TASKS)
    deliver(folder, TASKS[2], shift=1)
    said = higgsdemo("collect", "one", "--from", folder.as_uri())
    assert said.status == 1
    assert "alarm" in said.out
    assert "does not add up" in said.err


def test_another_version_of_the_workflow(
    higgsdemo: Higgsdemo, run: RunDirectory, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from higgsdemo.workflows.h4l import H4l

    deliver(folder, *TASKS[:1])
    monkeypatch.setattr(H4l, "version", "0-of-another-time")
    said = higgsdemo("collect", "one", "--from", folder.as_uri())
    assert "version '1' of workflow h4l, not '0-of-another-time'" in said.out


def test_wrong_words(higgsdemo: Higgsdemo, run: RunDirectory, folder: Path) -> None:
    assert higgsdemo("collect", "one").status == 2
    said = higgsdemo("collect", "on", "--from", folder.as_uri())
    assert said.status == 2
    assert "one" in said.err
    assert higgsdemo("collect", "one", "--from", "rediz://h").status == 2
    said = higgsdemo("collect", "one", "--from", (folder / "no").as_uri())
    assert said.status == 1
    assert "cannot be used" in said.err


def test_only_one_process_collects(higgsdemo: Higgsdemo, run: RunDirectory, folder: Path) -> None:
    with run.driving():
        said = higgsdemo("collect", "one", "--from", folder.as_uri())
    assert said.status == 1
    assert "being driven" in said.err


def test_redis_and_no_secret_anywhere(
    higgsdemo: Higgsdemo, run: RunDirectory, redis: RedisServer
) -> None:
    pytest.importorskip("redis")
    name = f"r{os.getpid()}-{time.monotonic_ns()}"
    create_run(run.path.parent, name, record={}, samples=SAMPLES, tasks=TASKS)
    with open_sink(redis.url()) as sink:
        for task in TASKS:
            sink.deliver(result_of(task), name)
    said = higgsdemo("collect", name, "--from", redis.url(), "--trim")
    assert said.status == 0, said.err
    assert "seen by all users" in said.err
    secret = redis.passwords["worker"]
    wrong = higgsdemo("collect", "one", "--from", redis.url(password=secret[::-1]))
    assert wrong.status == 1
    for text in (said.out, said.err, wrong.out, wrong.err):
        assert secret not in text
        assert secret[::-1] not in text
    for path in run.path.parent.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes()


def test_following_waits_for_what_is_missing_and_can_be_interrupted(
    run: RunDirectory, folder: Path, tmp_path: Path
) -> None:
    words = ["collect", "one", "--from", folder.as_uri(), "--follow", "--runs", "runs"]
    command = [sys.executable, "-m", "higgsdemo", *words]
    deliver(folder, *TASKS[:2])
    first = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert first.stdout
    assert "2 done" in first.stdout.readline()
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=120)
    assert first.returncode == 130
    assert "what was collected is kept" in err
    second = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    deliver(folder, *TASKS)
    out, _ = second.communicate(timeout=120)
    assert second.returncode == 0
    assert "6 done" in out


def worker(task: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "higgsdemo.worker", str(task), *words],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip


def test_workers_deliver_before_they_end(
    higgsdemo: Higgsdemo, script: Callable[..., Task], tmp_path: Path, folder: Path
) -> None:
    tasks = [script("good", events=7), script("bad", do="bad")]
    samples = (Sample("s", "data", ()),)
    made = create_run(tmp_path / "runs", "w", record={}, samples=samples, tasks=tasks)
    codes = []
    for task in tasks:
        path = tmp_path / f"{task.id}.json"
        path.write_text(json.dumps(task.to_json()))
        ended = worker(path, "--sink", folder.as_uri(), "--run", "w")
        assert ended.stdout == ""
        codes.append(ended.returncode)
    assert codes == [0, 65]
    said = higgsdemo("collect", "w", "--from", folder.as_uri(), "--json")
    assert (said.json["results"], said.json["failures"]) == (1, {"bad-input": 1})
    with open_run(tmp_path / "runs", made.id).ledger() as ledger:
        assert [row["state"] for row in ledger.rows()] == ["done", "failed"]


def test_a_worker_that_cannot_deliver_says_so_and_prints_the_result(
    script: Callable[..., Task], tmp_path: Path
) -> None:
    task = script("good", events=7)
    path = tmp_path / "task.json"
    path.write_text(json.dumps(task.to_json()))
    ended = worker(path, "--sink", (tmp_path / "no").as_uri(), "--run", "w")
    assert ended.returncode == 70
    assert json.loads(ended.stdout)["task"] == task.id
    assert "not delivered" in ended.stderr
    assert worker(path, "--sink", "file:///tmp").returncode == 2


def test_plain_text() -> None:
    assert plain("a\x1b[2Jb\x07\nc é") == "a�[2Jb��c é"
