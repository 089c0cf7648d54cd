"""Downloading, from every kind of store; stopped, damaged, refused, and gone on with."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.catalog import load_set
from higgsdemo.catalog.portal import write_set
from higgsdemo.errors import CredentialsError, InputError, UsageError
from higgsdemo.model import SampleSet
from higgsdemo.storage import Access
from higgsdemo.transfer import Download, Outcome, items_of
from tests.services.faults import (
    FaultServer,
    IgnoreRange,
    Reset,
    Status,
    Truncate,
    WrongRange,
    slow_down,
)
from tests.services.gcs import GcsServer
from tests.services.http_files import HttpServer
from tests.services.s3 import S3Server
from tests.services.xrootd import XrootdServer
from tests.transfer.files import MB, adler32, contents, publish, set_of

Make = Callable[..., Access]
FILES = contents(5 * MB + 3, 1, 70_000, 4 * MB)


def run(samples: SampleSet, folder: Path, access: Access, streams: int = 4) -> Outcome:
    work = Download(items_of(samples), folder, access, streams=streams)
    return work.run(work.survey())


def check(folder: Path, files: dict[str, bytes] = FILES) -> None:
    """All files are there, whole, and nothing else."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {f"S/{name}" for name in files}
    for name, data in files.items():
        assert (folder / "S" / name).read_bytes() == data


@pytest.mark.parametrize("kind", ["file", "http", "s3", "gs", "root"])
def test_from_every_kind_of_store(
    kind: str,
    http_files: HttpServer,
    s3: S3Server,
    gcs: GcsServer,
    xrootd: XrootdServer,
    tmp_path: Path,
    access: Make,
) -> None:
    settings = access()
    if kind == "file":
        publish(tmp_path / "there", FILES)
        base = str(tmp_path / "there")
    elif kind == "http":
        publish(http_files.folder / "down", FILES)
        base = http_files.url("down")
    elif kind == "s3":
        bucket = s3.create_bucket()
        for name, data in FILES.items():
            s3.put(bucket, f"p/{name}", data)
        base = f"s3://{bucket}/p"
        settings = access(
            {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key,
             "AWS_ENDPOINT_URL": s3.endpoint}
        )  # fmt: skip
    elif kind == "gs":
        bucket = gcs.create_bucket()
        for name, data in FILES.items():
            gcs.put(bucket, name, data)
        base = f"gs://{bucket}"
        settings = access({"STORAGE_EMULATOR_HOST": gcs.endpoint})
    else:
        publish(xrootd.folder / "down", FILES)
        base = xrootd.url("down")
    folder = tmp_path / "here"
    outcome = run(set_of(base, FILES), folder, settings)
    assert outcome.complete, outcome.failed
    assert (outcome.moved, outcome.present, outcome.unverified) == (4, 0, 0)
    assert outcome.bytes_moved == sum(map(len, FILES.values()))
    assert outcome.checksums["S/f0.root"] == adler32(FILES["f0.root"])
    check(folder)
    again = run(set_of(base, FILES, known=False), folder, settings)
    assert (again.moved, again.present, again.bytes_moved) == (0, 4, 0)


def test_sizes_and_checksums_that_only_the_server_knows(
    http_files: HttpServer, xrootd: XrootdServer, tmp_path: Path, access: Make
) -> None:
    publish(http_files.folder / "bare", FILES)
    publish(xrootd.folder / "bare", FILES)
    outcome = run(set_of(http_files.url("bare"), FILES, known=False), tmp_path / "a", access())
    assert (outcome.moved, outcome.unverified) == (4, 4)
    check(tmp_path / "a")
    base = xrootd.url("bare")
    outcome = run(set_of(base, FILES, known=False), tmp_path / "b", access())
    assert (outcome.moved, outcome.bytes) == (4, sum(map(len, FILES.values())))
    check(tmp_path / "b")


def program(listed: Path, folder: Path, *more: str) -> subprocess.Popen[str]:
    words = ["samples", "download", listed, "--output", folder, "--json", *more]
    return subprocess.Popen(
        [sys.executable, "-m", "higgsdemo", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_killed_at_any_instant_it_goes_on_where_it_was(faults: FaultServer, tmp_path: Path) -> None:
    files = contents(13 * MB, 5 * MB)
    publish(faults.folder / "kill", files)
    listed = write_set(set_of(faults.url("kill"), files), tmp_path / "these.yaml")
    folder = tmp_path / "here"
    slow = "--download-max-kb=9000"
    killed = 0
    for wait_bytes in (5 * MB, 11 * MB):
        started = program(listed, folder, slow, "--streams", "2")
        while started.poll() is None and faults.bytes_sent() < wait_bytes:
            time.sleep(0.02)
        started.send_signal(signal.SIGKILL if wait_bytes == 5 * MB else signal.SIGTERM)
        out, _ = started.communicate(timeout=120)
        killed += not out
        assert not (folder / "samples.yaml").exists()
    assert killed
    started = program(listed, folder)
    out, _ = started.communicate(timeout=120)
    said = json.loads(out)
    assert started.returncode == 0
    assert said["complete"] is True
    assert said["bytes_moved"] < said["bytes"]
    # A piece that was under way when it was killed comes again: at most one a stream and kill.
    assert faults.bytes_sent() < said["bytes"] + 2 * 2 * 4 * MB + MB
    assert not list(folder.rglob("*.part*"))
    for name, data in files.items():
        assert (folder / "S" / name).read_bytes() == data
    copied = load_set(folder)
    assert [file.name for file in copied.samples[0].files] == [
        f"/eos/opendata/x/{name}" for name in files
    ]
    assert said["next"] == f"higgsdemo run {folder}"


def test_a_piece_that_was_damaged_on_the_disk_is_fetched_again(
    http_files: HttpServer, tmp_path: Path, access: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = contents(9 * MB)
    publish(http_files.folder / "disk", files)
    samples = set_of(http_files.url("disk"), files)
    stop = threading.Event()
    work = Download(items_of(samples), tmp_path, access(), streams=1)
    real = work._fetch

    def once(job: Any, index: int) -> None:
        real(job, index)
        if index == 1:
            work._given_up.set()
            stop.set()

    monkeypatch.setattr(work, "_fetch", once)
    work.run(work.survey())
    assert stop.is_set()
    part = tmp_path / "S" / "f0.root.part"
    with part.open("r+b") as file:  # the disk lost it, or a crash
        file.seek(100)
        file.write(b"\0" * 50)
    with (tmp_path / "S" / "f0.root.part.pieces").open("a") as journal:
        journal.write("2 0000")  # torn
    before = http_files.bytes_sent("disk/f0.root")
    outcome = run(samples, tmp_path, access())
    assert outcome.complete, outcome.failed
    assert 5 * MB <= http_files.bytes_sent("disk/f0.root") - before < 6 * MB
    check(tmp_path, files)


def test_another_file_at_the_same_place_is_begun_anew(
    http_files: HttpServer, tmp_path: Path, access: Make
) -> None:
    part = tmp_path / "S" / "f0.root.part"
    part.parent.mkdir()
    files = contents(5 * MB)
    publish(http_files.folder / "other", files)
    part.write_bytes(b"x" * 5 * MB)
    header = json.dumps({"size": 5 * MB, "piece": 4 * MB, "of": "adler32:00000001"})
    part.with_name(part.name + ".pieces").write_text(f"{header}\n0 00000000\n")
    assert run(set_of(http_files.url("other"), files), tmp_path, access()).complete
    check(tmp_path, files)


def test_faults_are_waited_out(faults: FaultServer, tmp_path: Path, access: Make) -> None:
    files = contents(9 * MB, 0, 100_000)
    publish(faults.folder / "bad", files)
    wrong = [slow_down(), Truncate(1000), Reset(), WrongRange(7), Status(503), Reset(5000)]
    faults.script("bad/f0.root", *wrong, *wrong)
    outcome = run(set_of(faults.url("bad"), files), tmp_path, access(tries=10))
    assert outcome.complete, outcome.failed
    check(tmp_path, files)


def test_what_cannot_be_had_is_told_and_the_rest_comes(
    http_files: HttpServer, tmp_path: Path, access: Make
) -> None:
    publish(http_files.folder / "some", FILES)
    (http_files.folder / "some" / "f2.root").unlink()
    (http_files.folder / "some" / "f3.root").write_bytes(b"y" * 4 * MB)
    outcome = run(set_of(http_files.url("some"), FILES), tmp_path, access())
    failed = {item.path: error for item, error in outcome.failed}
    assert failed.keys() == {"S/f2.root", "S/f3.root"}
    assert "no such file" in str(failed["S/f2.root"])
    assert "another checksum" in str(failed["S/f3.root"])
    assert isinstance(failed["S/f3.root"], InputError)
    assert (tmp_path / "S" / "f0.root").read_bytes() == FILES["f0.root"]
    assert not (tmp_path / "S" / "f3.root").exists()
    publish(http_files.folder / "some", FILES)
    outcome = run(set_of(http_files.url("some"), FILES), tmp_path, access())
    assert (outcome.complete, outcome.moved) == (True, 2)
    check(tmp_path)


def test_another_copy_stands_in(http_files: HttpServer, tmp_path: Path, access: Make) -> None:
    publish(http_files.folder / "good", FILES)
    publish(http_files.folder / "damaged", {**FILES, "f3.root": b"z" * 4 * MB})
    (http_files.folder / "damaged" / "f0.root").unlink()
    samples = set_of(http_files.url("damaged"), FILES, replicas=[http_files.url("good")])
    outcome = run(samples, tmp_path, access())
    assert outcome.complete, outcome.failed
    check(tmp_path)


def test_not_let_in_stops_everything(tmp_path: Path, access: Make, s3: S3Server) -> None:
    settings = access(
        {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": "wrong",
         "AWS_ENDPOINT_URL": s3.endpoint}
    )  # fmt: skip
    with pytest.raises(CredentialsError, match="secret key is wrong"):
        run(set_of(f"s3://{s3.create_bucket()}", FILES), tmp_path, settings)


def test_no_place_on_the_disk(tmp_path: Path, access: Make) -> None:
    samples = set_of("http://127.0.0.1:1", contents(10))
    (sample,) = samples.samples
    (file,) = sample.files
    huge = dataclasses.replace(file, size_bytes=10**18)
    sample = dataclasses.replace(sample, files=(huge,))
    samples = dataclasses.replace(samples, samples=(sample,))
    with pytest.raises(UsageError, match="no space for the download"):
        run(samples, tmp_path / "new", access())
    assert not (tmp_path / "new").exists()  # and no request is made: nothing listens there


def test_a_file_of_the_user_is_not_overwritten(
    http_files: HttpServer, tmp_path: Path, access: Make
) -> None:
    files = contents(1000)
    publish(http_files.folder / "mine", files)
    publish(tmp_path / "S", {"f0.root": b"mine"})
    outcome = run(set_of(http_files.url("mine"), files), tmp_path, access())
    assert "another file is there" in str(outcome.failed[0][1])
    assert (tmp_path / "S" / "f0.root").read_bytes() == b"mine"


def test_killed_just_after_a_file_got_its_name(
    http_files: HttpServer, tmp_path: Path, access: Make
) -> None:
    files = contents(1000)
    publish(http_files.folder / "late", files)
    samples = set_of(http_files.url("late"), files)
    assert run(samples, tmp_path, access()).complete
    for ending in (".part", ".part.pieces"):
        os.link(tmp_path / "S" / "f0.root", tmp_path / "S" / f"f0.root{ending}")
    assert run(samples, tmp_path, access()).present == 1
    check(tmp_path, files)


def test_one_download_a_folder(http_files: HttpServer, tmp_path: Path, access: Make) -> None:
    import fcntl

    files = contents(1000)
    publish(http_files.folder / "one", files)
    holder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    try:
        with pytest.raises(UsageError, match="another download is at work"):
            run(set_of(http_files.url("one"), files), tmp_path, access())
    finally:
        os.close(holder)


def test_a_server_without_ranges(faults: FaultServer, tmp_path: Path, access: Make) -> None:
    files = contents(5 * MB)
    publish(faults.folder / "whole", files)
    faults.script("whole/f0.root", then=IgnoreRange())
    assert run(set_of(faults.url("whole"), files), tmp_path, access()).complete
    check(tmp_path, files)
