"""The run directory: whole or not there, found by name, driven by one process at a time."""

import contextlib
import errno
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from higgsdemo.errors import HiggsdemoError, RunError, UsageError
from higgsdemo.ledger import (
    RunDirectory,
    check_name,
    closing_check,
    create_run,
    open_run,
    run_names,
)

from .builders import SAMPLES, make_tasks, result_of

TESTS = Path(__file__).parents[1]
TASKS = make_tasks(4)

PRELUDE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from ledger.builders import SAMPLES, make_tasks
from higgsdemo.errors import RunError
from higgsdemo.ledger import create_run, open_run

root, name = Path(sys.argv[2]), sys.argv[3]
"""


def make(root: Path, name: str) -> RunDirectory:
    return create_run(root, name, record={"workflow": "h4l"}, samples=SAMPLES, tasks=TASKS)


def process(script: str, root: Path, name: str, **more: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script, str(TESTS), str(root), name],
        stdout=subprocess.PIPE,
        text=True,
        **more,
    )


def leftovers(root: Path) -> list[str]:
    return [path.name for path in root.iterdir() if path.name.startswith(".")]


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "h4l-20261123-201500", "2012", "A.b_c-d", "x" * 63])
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "-x", "_x", "a/b", "../a", "/a", "a b", "a\n", "é", "x" * 64, "a:b"],
)
def test_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    for refuse in (check_name, lambda name: make(tmp_path, name)):
        with pytest.raises(UsageError, match="cannot be the name of a run"):
            refuse(name)
    assert list(tmp_path.iterdir()) == []


# -- making ---------------------------------------------------------------------------------------


def test_new_run_is_whole(tmp_path: Path) -> None:
    run = make(tmp_path / "deep" / "runs", "one")
    assert run.id == "one"
    assert sorted(path.name for path in run.path.iterdir()) == [
        "ledger.sqlite",
        "logs",
        "manifest.jsonl.gz",
        "plots",
        "run.json",
    ]
    assert run.record == {"id": "one", "workflow": "h4l"}
    assert run.manifest().tasks == TASKS
    assert run.manifest().run_id == "one"
    with run.ledger() as ledger:
        assert ledger.queued() == [task.id for task in TASKS]
        assert ledger.meta("run") == "one"
    assert run.logs.is_dir()
    assert run.plots.is_dir()
    assert run.path.stat().st_mode & 0o777 == 0o755
    assert leftovers(run.path.parent) == []


def test_name_that_exists(tmp_path: Path) -> None:
    run = make(tmp_path, "one")
    with run.ledger() as ledger:
        ledger.deliver(result_of(TASKS[0]))
    with pytest.raises(RunError, match="run one exists") as caught:
        make(tmp_path, "one")
    assert "higgsdemo resume one" in str(caught.value.hint)
    with run.ledger() as ledger:
        assert ledger.counts().done == 1
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_name_of_something_else_is_left_alone(tmp_path: Path, kind: str) -> None:
    other = tmp_path / "one"
    other.write_text("mine") if kind == "file" else other.mkdir()
    with pytest.raises(RunError, match="run one exists"):
        make(tmp_path, "one")
    assert other.is_file() == (kind == "file")


def test_of_many_at_once_one_makes_the_run(tmp_path: Path) -> None:
    barrier = Barrier(8)

    def attempt(_: int) -> RunDirectory | str:
        barrier.wait()
        try:
            return make(tmp_path, "one")
        except RunError as error:
            return error.what

    with ThreadPoolExecutor(8) as pool:
        ended = list(pool.map(attempt, range(8)))
    assert sorted(map(str, ended)) == [str(RunDirectory(tmp_path / "one")), *["run one exists"] * 7]
    assert open_run(tmp_path, "one").manifest().tasks == TASKS
    assert leftovers(tmp_path) == []


def test_folder_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="run one cannot be written") as caught:
        make(tmp_path / "file" / "runs", "one")
    assert caught.value.why == os.strerror(errno.ENOTDIR)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(RunError, match="run one cannot be written") as caught:
            make(tmp_path, "one")
    finally:
        tmp_path.chmod(0o755)
    assert caught.value.why == os.strerror(errno.EACCES)


TRY_TO_MAKE = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (MOST, MOST))
try:
    create_run(root, name, record={}, samples=SAMPLES, tasks=make_tasks(300))
except RunError as error:
    print(error)
"""


@pytest.mark.parametrize("limit", [0, 100, 5_000, 20_000])  # run.json, manifest, ledger
def test_files_that_cannot_grow(tmp_path: Path, limit: int) -> None:
    with process(TRY_TO_MAKE.replace("MOST", str(limit)), tmp_path, "one") as child:
        said, _ = child.communicate(timeout=120)
    assert child.returncode == 0
    assert said.startswith("run one cannot be written\n")
    assert "free some space" in said
    assert "resume" not in said, "there is nothing to resume"
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.getuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can mount a small disk")
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("filled", [0, 40_000, 61_000])
def test_full_disk(small_disk: Path, filled: int) -> None:
    (small_disk / "other").write_bytes(b"x" * filled)
    with pytest.raises(RunError, match="run one cannot be written") as caught:
        create_run(small_disk, "one", record={}, samples=SAMPLES, tasks=make_tasks(300))
    assert "rollback" not in str(caught.value.why)
    assert [path.name for path in small_disk.iterdir()] == ["other"]


# -- killed while it is made ----------------------------------------------------------------------

MAKE_AGAIN_AND_AGAIN = """
tasks = make_tasks(200)
for number in range(1000):
    create_run(root, f"{name}-{number}", record={}, samples=SAMPLES, tasks=tasks)
    print(f"{name}-{number}", flush=True)
"""


def test_killed_creation_leaves_a_whole_run_or_none(tmp_path: Path) -> None:
    chance = random.Random(4)
    told = []
    for seed in range(4):
        with process(MAKE_AGAIN_AND_AGAIN, tmp_path, f"run{seed}") as child:
            assert child.stdout is not None
            lines = [child.stdout.readline()]
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(chance.uniform(0, 0.1))
            child.send_signal(signal.SIGKILL)
            lines += child.stdout.readlines()
        told += [line.strip() for line in lines if line.endswith("\n")]
    names = run_names(tmp_path)
    assert set(told) <= set(names)
    assert not any(name.startswith(".") for name in names)
    for name in names:
        run = open_run(tmp_path, name)
        assert run.manifest().tasks == make_tasks(200)
        with run.ledger() as ledger:
            assert ledger.counts().queued == 200


def leave(root: Path, age_s: float) -> Path:
    """Leave what a creation killed near its end leaves."""
    path = root / ".making-one-abc"
    shutil.copytree(make(root, "whole").path, path)
    then = time.time() - age_s
    os.utime(path, (then, then))
    return path


def test_leftovers_are_no_runs(tmp_path: Path) -> None:
    # they were listed, and could be opened
    left = leave(tmp_path, age_s=0)
    assert run_names(tmp_path) == ["whole"]
    for name in (left.name, str(left)):
        with pytest.raises(UsageError, match="there is no run"):
            open_run(tmp_path, name)


def test_leftovers_do_not_stay_for_ever(tmp_path: Path) -> None:
    left = leave(tmp_path, age_s=2 * 3600)
    make(tmp_path, "one")
    assert not left.exists()
    assert run_names(tmp_path) == ["whole", "one"]


def test_creation_under_way_is_left_alone(tmp_path: Path) -> None:
    left = leave(tmp_path, age_s=60)
    make(tmp_path, "one")
    assert left.exists()


# -- finding --------------------------------------------------------------------------------------


def test_run_is_found_by_name_and_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(tmp_path / "runs", "one")
    monkeypatch.chdir(tmp_path)
    for name in ("one", str(run.path), "runs/one", "runs/one/"):
        assert open_run(Path("runs"), name).path == run.path.resolve()
        assert open_run(Path("runs"), name).id == "one"
    monkeypatch.chdir(run.path)
    assert open_run(Path("elsewhere"), ".").id == "one"


def test_unknown_run_names_the_nearest(tmp_path: Path) -> None:
    for name in ("h4l-2011", "h4l-2012", "check"):
        make(tmp_path, name)
    with pytest.raises(UsageError, match="there is no run 'h4l-2021'") as caught:
        open_run(tmp_path, "h4l-2021")
    assert set(caught.value.nearest) == {"h4l-2011", "h4l-2012"}
    with pytest.raises(UsageError) as caught:
        open_run(tmp_path, "zzzzzz")
    assert caught.value.nearest == ("h4l-2011", "h4l-2012", "check"), "the latest ones"


@pytest.mark.parametrize("name", ["", ".", "..", "one/two", "x" * 5000, "a\0b", "/", "é"])
def test_odd_names_are_unknown_runs(tmp_path: Path, name: str) -> None:
    # a long one was an OSError: File name too long
    with pytest.raises(UsageError, match="there is no run"):
        open_run(tmp_path, name)


def test_no_folder_of_runs_yet(tmp_path: Path) -> None:
    assert run_names(tmp_path / "runs") == []
    with pytest.raises(UsageError, match="there is no run") as caught:
        open_run(tmp_path / "runs", "one")
    assert caught.value.nearest == ()


def test_names_are_in_the_order_in_which_runs_were_made(tmp_path: Path) -> None:
    # it was the order in which they were last worked on
    for name in ("zebra", "apple", "mango"):
        make(tmp_path, name)
        time.sleep(0.01)
    (tmp_path / "stray-file").write_text("")
    (tmp_path / "no-run").mkdir()
    (tmp_path / "zebra" / "lock").write_text("")
    assert run_names(tmp_path) == ["zebra", "apple", "mango"]


def test_ledger_of_a_newer_version(tmp_path: Path) -> None:
    run = make(tmp_path, "one")
    with contextlib.closing(sqlite3.connect(run.path / "ledger.sqlite")) as connection:
        connection.execute("UPDATE meta SET value = '3' WHERE key = 'schema'")
        connection.commit()
    with pytest.raises(RunError, match="the ledger is newer than this program"):
        run.ledger()


@pytest.mark.parametrize("content", [None, "", "{", "3", "\xff"])
def test_damaged_record_is_told(tmp_path: Path, content: str | None) -> None:
    run = make(tmp_path, "one")
    path = run.path / "run.json"
    path.unlink() if content is None else path.write_bytes(content.encode("latin-1"))
    with pytest.raises(RunError, match=r"run\.json cannot be read") as caught:
        _ = run.record
    assert caught.value.where == str(path)


def test_run_that_was_moved_still_closes(tmp_path: Path) -> None:
    run = make(tmp_path, "one")
    with run.ledger() as ledger:
        for task in TASKS:
            ledger.deliver(result_of(task))
    moved = RunDirectory(run.path.rename(tmp_path / "other"))
    with moved.ledger() as ledger:
        assert closing_check(ledger, moved.manifest()) == []


# -- driving --------------------------------------------------------------------------------------

HOLD = """
with open_run(root, name).driving():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_only_one_process_drives_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    run = make(tmp_path, "one")
    with process(HOLD, tmp_path, "one", stdin=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "held\n"
            with pytest.raises(RunError) as caught, run.driving():
                pytest.fail("two processes drive the run")
            host = os.uname().nodename
            assert caught.value.what == f"run one is being driven by process {child.pid} on {host}"
            assert "higgsdemo status one" in str(caught.value.hint)
            with run.ledger() as ledger:  # looking on is allowed
                assert ledger.counts().queued == 4
        finally:
            child.send_signal(signal.SIGKILL)
    with run.driving():
        assert f"process {os.getpid()} on" in (run.path / "lock").read_text()


def test_driver_that_ends_or_fails_lets_go(tmp_path: Path) -> None:
    run = make(tmp_path, "one")
    with pytest.raises(ZeroDivisionError), run.driving():
        raise ZeroDivisionError
    with run.driving(), pytest.raises(RunError, match="is being driven by"), run.driving():
        pytest.fail("two drive the run")
    with run.driving():
        pass


def test_errors_of_the_driver_itself_come_through(tmp_path: Path) -> None:
    run = make(tmp_path, "one")
    with pytest.raises(FileNotFoundError), run.driving():
        raise FileNotFoundError


def test_two_runs_do_not_lock_each_other(tmp_path: Path) -> None:
    with make(tmp_path, "one").driving(), make(tmp_path, "two").driving():
        pass


def test_run_that_cannot_be_locked_is_told(tmp_path: Path) -> None:
    # was an OSError; the same happens in a folder that cannot be written
    run = make(tmp_path, "one")
    (run.path / "lock").mkdir()
    with pytest.raises(HiggsdemoError, match="run one cannot be locked"), run.driving():
        pytest.fail("not locked")
