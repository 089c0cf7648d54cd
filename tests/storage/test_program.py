"""Storage through the whole program and its options: the same from everywhere, secrets nowhere."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from higgsdemo.ledger import open_run
from tests.cli.conftest import higgsdemo, scripts
from tests.services.faults import FaultServer, Status, fault_server
from tests.services.gcs import GcsServer
from tests.services.http_files import HttpServer
from tests.services.s3 import S3Server
from tests.services.xrootd import XrootdServer
from tests.storage.conftest import publish

__all__ = ["higgsdemo", "scripts"]

Higgsdemo = Callable[..., Any]


def elsewhere(folder: Path, url: Callable[[str], str | dict[str, Any]]) -> None:
    """Write set.yaml: the generated set of `folder`, its files where `url` says."""
    document = yaml.safe_load((folder / "samples.yaml").read_text())
    for sample in document["samples"]:
        (name,) = sample["files"]
        place = url(name)
        sample["files"] = [{"name": name, **(place if isinstance(place, dict) else {"url": place})}]
    Path("set.yaml").write_text(yaml.safe_dump(document))


def documents(run: str) -> dict[str, str]:
    """Histograms and cut flow of each task by its id, bit by bit."""
    with open_run(Path("runs"), run).ledger() as ledger:
        assert ledger.counts().done == 8
        return {
            result.task_id: json.dumps([found["histograms"], found["cutflow"]], sort_keys=True)
            for result in ledger.results()
            if (found := result.to_json())
        }


@pytest.mark.slow
def test_the_same_histograms_from_each_kind_of_url(
    higgsdemo: Higgsdemo,
    events: Path,
    s3: S3Server,
    s3_tls: S3Server,
    gcs: GcsServer,
    xrootd: XrootdServer,
    http_files: HttpServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The generated set of eight files, from a folder, and by file, s3, gs, root, http, https."""
    pytest.importorskip("XRootD")
    folder = events.parent
    buckets = {server: server.create_bucket() for server in (s3, s3_tls, gcs)}
    for path in folder.glob("*.root"):
        for server, bucket in buckets.items():
            server.put(bucket, path.name, path.read_bytes())
        publish(path, xrootd.folder, path.name)
        publish(path, http_files.folder, path.name)
    for name, value in gcs.environment.items():
        monkeypatch.setenv(name, value)
    assert s3_tls.certificates is not None

    def keys(server: S3Server) -> tuple[object, ...]:
        return ("--storage-host", server.endpoint, "--access-key", server.readonly_access_key,
                "--secret-key", server.readonly_secret_key)  # fmt: skip

    tls = (*keys(s3_tls), "--storage-ca", s3_tls.certificates.authority)
    staged = ("--stage-in", "/dev/shm:1GB")
    places: dict[str, tuple[Callable[[str], str], tuple[object, ...]]] = {
        "path": (lambda name: str(folder / name), ()),
        "file": (lambda name: (folder / name).as_uri(), ()),
        "s3": (lambda name: f"s3://{buckets[s3]}/{name}", keys(s3)),
        "s3-of-2019": (lambda name: f"s3/{buckets[s3]}/{name}", (*keys(s3), *staged)),
        "https": (lambda name: f"s3://{buckets[s3_tls]}/{name}", tls),
        "gs": (lambda name: f"gs://{buckets[gcs]}/{name}", ()),
        "gs-of-2019": (lambda name: f"gs/{buckets[gcs]}/{name}", staged),
        "root": (xrootd.url, ()),
        "http": (http_files.url, ("--download-max-kb", 100_000)),
    }
    found = {}
    for kind, (url, options) in places.items():
        elsewhere(folder, url)
        said = higgsdemo("run", "set.yaml", "--run", kind, "--no-plot", "--workers", 2, *options)
        assert said.status == 0, (kind, said.err)
        found[kind] = documents(kind)
    assert found == dict.fromkeys(found, found["path"])


def test_copies_are_tried_in_turn_and_change_no_id(
    higgsdemo: Higgsdemo, faults: FaultServer, http_files: HttpServer, events: Path
) -> None:
    """The first is missing, or fails, or is no file at all: the second is read."""
    folder = events.parent
    for path in folder.glob("*.root"):
        publish(path, http_files.folder, path.name)
    faults.script("busy.root", then=Status(503, 1000.0))
    first = {"ZZTo4mu.root": faults.url("busy.root"), "ZZTo4e.root": "s3://b/there-are-no-keys"}
    elsewhere(
        folder,
        lambda name: {
            "url": first.get(name, faults.url("missing.root")),
            "replicas": [http_files.url(name)],
        },
    )
    said = higgsdemo("run", "set.yaml", "--run", "copies", "--no-plot", "--workers", 1)
    assert said.status == 0, said.err
    assert "may not be let in at s3://b: no keys for s3://" in said.err
    assert higgsdemo("run", folder, "--run", "path", "--no-plot", "--workers", 1).status == 0
    assert documents("copies") == documents("path")


def test_a_secret_in_the_url_of_a_copy_is_refused(higgsdemo: Higgsdemo) -> None:
    Path("set.yaml").write_text(
        "samples:\n- {name: s, group: zz, files: [{url: 'https://h/a.root',"
        " replicas: ['https://h/a.root?X-Amz-Signature=hush']}]}\n"
    )
    said = higgsdemo("plan", "set.yaml")
    assert (said.status, "carries a secret" in said.err, "hush" in said.err) == (2, True, False)


def test_a_workflow_that_needs_files_has_them_staged_in(
    higgsdemo: Higgsdemo, http_files: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the folder for temporary files, or where it is said; nothing stays there."""
    (http_files.folder / "whole.root").write_bytes(b"x" * 123_456)
    http_files.forget()
    staging = tmp_path / "staging"
    staging.mkdir()
    monkeypatch.setenv("TMPDIR", str(staging))
    Path("here.root").write_bytes(b"y" * 1000)
    files = f"['{http_files.url('whole.root')}', here.root]"
    Path("set.yaml").write_text(f"samples:\n- {{name: s, group: zz, files: {files}}}\n")
    words = ("run", "set.yaml", "-w", "whole", "--no-plot", "--workers", 1, "--tries", 1)
    for name, more in (("tmp", ()), ("said", ("--stage-in", tmp_path))):
        said = higgsdemo(*words, "--run", name, *more)
        assert said.status == 0, said.err
        with open_run(Path("runs"), name).ledger() as ledger:
            events = sorted(document["events"] for document in ledger.documents())
        assert events == [1000, 123_456]
        assert list(staging.iterdir()) == []
    assert http_files.bytes_sent("whole.root") in range(2 * 123_456, 2 * 123_456 + 10)


SECRETS = {
    "AWS_SESSION_TOKEN": "the-session-token-of-nobody",
    "GS_SECRET_ACCESS_KEY": "the-hmac-secret-of-nobody",
    "REDIS_PASSWORD": "the-redis-password-of-nobody",
}


class Arguments(threading.Thread):
    """Notes the arguments of all processes that a process starts, as long as it lives."""

    def __init__(self, process: int) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self._process = psutil.Process(process)
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.wait(0.01):
            try:
                for child in self._process.children(recursive=True):
                    self.seen.add("\0".join(child.cmdline()))
            except psutil.Error:
                continue

    def stop(self) -> None:
        self._end.set()
        self.join()


def program(*words: object, variables: Mapping[str, str]) -> tuple[int, str, set[str]]:
    """Run higgsdemo; return its status, all it said, and the arguments of all it started."""
    process = subprocess.Popen(
        [sys.executable, "-m", "higgsdemo", *map(str, words)],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    children = Arguments(process.pid)
    children.start()
    said, _ = process.communicate(timeout=200)
    children.stop()
    return process.returncode, said, children.seen


@pytest.mark.slow
def test_no_secret_is_in_anything_that_a_run_leaves_says_or_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: Path, s3: S3Server,
    scripts: Callable[..., Path],
) -> None:  # fmt: skip
    """Keys by option, a token by environment: in runs that end well, are locked out, have a bug."""
    monkeypatch.chdir(tmp_path)
    token = "the-token-that-opens-everything"
    key, secret = s3.readonly_access_key, s3.readonly_secret_key
    bucket = s3.create_bucket()
    at_s3 = s3.put(bucket, "a.root", events.read_bytes())
    keys = ("--storage-host", s3.endpoint, "--access-key", key, "--secret-key")
    elsewhere_ = {**SECRETS, "BEARER_TOKEN": token}
    with fault_server(tmp_path, token=token) as server:
        publish(events, server.folder, "b.root")
        server.script("b.root", None, Status(503), Status(500))
        files = f"['{at_s3}', '{server.url('b.root')}']"
        Path("set.yaml").write_text(f"samples:\n- {{name: s, group: higgs, files: {files}}}\n")
        wrong = secret[::-1]
        bug = scripts(a={"do": "bug"})
        cases = {
            "well": (0, ("set.yaml",), secret),
            "out": (1, ("set.yaml",), wrong),
            "bug": (1, (bug, "-w", "scripted"), secret),
        }
        for name, (status, what, given) in cases.items():
            words = ("run", *what, "--run", name, *keys, given)
            ended, said, started = program(*words, variables=elsewhere_)
            assert ended == status, said
            assert any("higgsdemo.worker" in arguments for arguments in started)
            assert ("Traceback" in said) == (name == "bug")
            told = [said, *started]
            for hidden in (secret, wrong, token, *SECRETS.values()):
                assert not any(hidden in text for text in told)
                for path in (tmp_path / "runs").rglob("*"):
                    assert path.is_dir() or hidden.encode() not in path.read_bytes(), path
        logs = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
        assert len(logs) > 12
