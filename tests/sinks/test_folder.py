"""Folders as sinks."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from higgsdemo.errors import CredentialsError, RunError
from higgsdemo.sinks import folder as module
from higgsdemo.sinks import open_sink
from higgsdemo.sinks.folder import LEFTOVER_S, MAKING
from higgsdemo.sinks.parcel import ENDING, pack
from tests.ledger.builders import make_task, result_of
from tests.sinks.conftest import QUICK

RESULT = result_of(make_task(1))
NAME, PAYLOAD = pack(RESULT, "r")


def results(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "r" / "results").iterdir())


def deliver(folder: Path) -> None:
    with open_sink(folder.as_uri(), patience=QUICK) as sink:
        sink.deliver(RESULT, "r")


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    deliver(tmp_path)
    assert results(tmp_path) == [NAME + ENDING]
    assert (tmp_path / "r" / "results" / (NAME + ENDING)).read_bytes() == PAYLOAD
    assert list((tmp_path / "r" / MAKING).iterdir()) == []


def test_a_damaged_file_does_not_stand_in_the_way(tmp_path: Path) -> None:
    deliver(tmp_path)
    for number in range(2, 6):
        for name in results(tmp_path):
            (tmp_path / "r" / "results" / name).write_bytes(b"bit rot")
        deliver(tmp_path)
        assert len(results(tmp_path)) == number
    deliver(tmp_path)
    assert len(results(tmp_path)) == 5
    for name in results(tmp_path):
        (tmp_path / "r" / "results" / name).write_bytes(b"bit rot")
    with pytest.raises(RunError, match="5 damaged"):
        deliver(tmp_path)


def test_other_files_are_named_and_not_read(tmp_path: Path) -> None:
    deliver(tmp_path)
    (tmp_path / "r" / "results" / "notes.txt").write_text("x")
    with open_sink(tmp_path.as_uri(), patience=QUICK) as sink:
        ((one, other),) = (page.arrivals for page in sink.pages("r"))
    assert {one.name, other.name} == {NAME, "notes.txt"}
    strange = one if one.name == "notes.txt" else other
    assert strange.payload is None
    assert strange.problem


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(module.os, "link", no_links)
    deliver(tmp_path)
    deliver(tmp_path)
    assert results(tmp_path) == [NAME + ENDING]
    assert list((tmp_path / "r" / MAKING).iterdir()) == []


def test_what_killed_workers_left_is_swept(tmp_path: Path) -> None:
    making = tmp_path / "r" / MAKING
    making.mkdir(parents=True)
    for name, age in (("old", LEFTOVER_S + 60), ("young", 60)):
        (making / name).touch()
        os.utime(making / name, (time.time() - age,) * 2)
    deliver(tmp_path)
    assert [path.name for path in making.iterdir()] == ["young"]


def test_a_missing_folder_is_not_made(tmp_path: Path) -> None:
    # The disk is not mounted here: a folder of our own making would swallow the results.
    for call in (lambda: deliver(tmp_path / "no"), lambda: look(tmp_path / "no")):
        with pytest.raises(RunError, match="cannot be used") as caught:
            call()
        assert str(tmp_path / "no") in str(caught.value)


def look(folder: Path) -> None:
    with open_sink(folder.as_uri(), patience=QUICK) as sink:
        list(sink.pages("r"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_we_may_not_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(CredentialsError):
            deliver(tmp_path)
    finally:
        tmp_path.chmod(0o755)


def test_killed_while_writing_leaves_a_whole_file_or_none(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from higgsdemo.sinks import open_sink\n"
        "from tests.ledger.builders import make_task, result_of\n"
        "with open_sink(sys.argv[1]) as sink:\n"
        "    print('ready', flush=True)\n"
        "    for number in range(100_000):\n"
        "        sink.deliver(result_of(make_task(number)), 'r')\n"
    )
    root = str(Path(__file__).parents[2])
    for turn in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", code, tmp_path.as_uri(), root], stdout=subprocess.PIPE
        )
        assert writer.stdout
        writer.stdout.readline()
        time.sleep(0.05 + 0.07 * turn)
        writer.kill()
        writer.communicate()
    with open_sink(tmp_path.as_uri()) as sink:
        arrivals = [arrival for page in sink.pages("r") for arrival in page.arrivals]
    assert arrivals
    for arrival in arrivals:
        assert module.same_content(arrival.name, arrival.payload)
