import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from higgsdemo.errors import TransientError, UsageError
from higgsdemo.storage.access import StageIn
from higgsdemo.storage.room import anonymous_file, reserve

MB = 1024 * 1024


def test_the_limit_is_shared_and_given_back(tmp_path: Path):
    stage = StageIn(tmp_path, 10 * MB)
    first, second = reserve(stage, 4 * MB, "u"), reserve(stage, 6 * MB - 1, "u")
    with pytest.raises(TransientError, match="no room"):
        reserve(stage, 1, "u", wait_s=0)
    os.close(first)
    third = reserve(stage, 4 * MB, "u", wait_s=0)
    os.close(second)
    os.close(third)


def test_one_who_finds_no_room_holds_none(tmp_path: Path):
    stage = StageIn(tmp_path, 10 * MB)
    held = reserve(stage, 6 * MB, "u")
    with pytest.raises(TransientError):
        reserve(stage, 5 * MB, "u", wait_s=0)
    os.close(reserve(stage, 4 * MB, "u", wait_s=0))
    os.close(held)


def test_room_is_waited_for(tmp_path: Path):
    stage = StageIn(tmp_path, 2 * MB)
    held = reserve(stage, 2 * MB, "u")
    threading.Timer(0.3, os.close, [held]).start()
    began = time.monotonic()
    os.close(reserve(stage, MB, "u"))
    assert 0.2 < time.monotonic() - began < 5


def test_more_than_the_limit_is_never_there(tmp_path: Path):
    with pytest.raises(UsageError, match="larger than the limit"):
        reserve(StageIn(tmp_path, 2 * MB), 3 * MB, "u")


HOLD = """
import sys, pathlib, time
from higgsdemo.storage.access import StageIn
from higgsdemo.storage.room import anonymous_file, reserve
folder = pathlib.Path(sys.argv[1])
reserve(StageIn(folder, 2 * 1024 * 1024), 2 * 1024 * 1024, "u")
anonymous_file(folder, 1024 * 1024, "u")
print("held", flush=True)
time.sleep(60)
"""


def test_a_process_that_is_killed_leaves_nothing(tmp_path: Path):
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(TransientError):
            reserve(StageIn(tmp_path, 2 * MB), 1, "u", wait_s=0)
        child.kill()
    os.close(reserve(StageIn(tmp_path, 2 * MB), 2 * MB, "u", wait_s=0))
    left = [path for path in tmp_path.iterdir() if path.stat().st_size]
    assert left == []


def test_space_is_checked_before_anything_comes(tmp_path: Path):
    with pytest.raises(TransientError, match="no space") as caught:
        anonymous_file(tmp_path, 2**46, "u")
    assert "MB left" in (caught.value.why or "")
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_none(tmp_path: Path):
    (tmp_path / "file").touch()
    for name in ("none", "file"):
        with pytest.raises(UsageError, match="cannot stage"):
            anonymous_file(tmp_path / name, 10, "u")


def test_file_systems_without_files_that_have_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    real = os.open

    def refuse(path: object, flags: int, *rest: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(95, "Operation not supported")
        return real(path, flags, *rest)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "open", refuse)
    descriptor = anonymous_file(tmp_path, 100, "u")
    assert os.fstat(descriptor).st_size == 100
    assert list(tmp_path.iterdir()) == []
    os.close(descriptor)
