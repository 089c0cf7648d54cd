"""Whole runs over real services: the same histograms from everywhere, and no secret anywhere."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from higgsdemo.ledger import open_run
from tests.services.faults import Status, fault_server
from tests.services.gcs import GcsServer
from tests.services.http_files import HttpServer
from tests.services.s3 import S3Server
from tests.services.xrootd import XrootdServer
from tests.storage.conftest import publish
from tests.storage.test_aws import keys_of

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def start(
        name: str, url: str, variables: Mapping[str, str] | None = None, *more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the analysis over one file, named the same wherever it lies."""
        samples = tmp_path / f"{name}.yaml"
        samples.write_text(f"samples:\n- {{name: s, group: higgs, files: ['{url}']}}\n")
        return subprocess.run(
            [
                *(sys.executable, "-m", "higgsdemo", "run", str(samples), "--run", name),
                *("--runs", str(tmp_path / "runs"), "--workers", "1", "--no-plot", *more),
            ],
            env={**os.environ, **(variables or {})},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    return start


def histograms(tmp_path: Path, name: str) -> str:
    """The histograms of a run of one task, bit by bit, as JSON."""
    with open_run(tmp_path / "runs", name).ledger() as ledger:
        assert ledger.counts().done == 1
        (result,) = ledger.results()
    document = result.to_json()
    return json.dumps([document["histograms"], document["cutflow"]], sort_keys=True)


@pytest.mark.slow
def test_the_same_histograms_from_everywhere(
    run: Run,
    tmp_path: Path,
    events: Path,
    s3: S3Server,
    gcs: GcsServer,
    xrootd: XrootdServer,
    http_files: HttpServer,
):
    publish(events, xrootd.folder, "run.root")
    publish(events, http_files.folder, "run.root")
    staged = {"HIGGSDEMO_STAGE_IN": str(tmp_path)}
    at_s3 = s3.put(s3.create_bucket(), "run.root", events.read_bytes())
    places: dict[str, tuple[str, Mapping[str, str]]] = {
        "path": (str(events), {}),
        "file": (events.as_uri(), {}),
        "s3": (at_s3, keys_of(s3)),
        "s3-staged": (at_s3, keys_of(s3) | staged),
        "gs": (gcs.put(gcs.create_bucket(), "run.root", events.read_bytes()), gcs.environment),
        "http": (http_files.url("run.root"), {}),
        "http-staged": (http_files.url("run.root"), staged),
    }
    pytest.importorskip("XRootD")
    places["root"] = (xrootd.url("run.root"), {})
    found = {}
    for name, (url, variables) in places.items():
        ended = run(name, url, variables)
        assert ended.returncode == 0, ended.stderr
        found[name] = histograms(tmp_path, name)
    assert found == dict.fromkeys(found, found["path"])


def test_being_locked_out_ends_the_run_with_the_reason_and_without_the_secret(
    run: Run, tmp_path: Path, s3: S3Server
):
    url = s3.put(s3.create_bucket(), "a.root", b"root")
    wrong = "this-secret-is-wrong-and-shown-nowhere"
    ended = run("out", url, keys_of(s3) | {"AWS_SECRET_ACCESS_KEY": wrong}, "--skip-bad-files")
    assert ended.returncode == 1
    assert "the secret key is wrong" in ended.stderr
    assert "higgsdemo resume out" in ended.stderr
    with open_run(tmp_path / "runs", "out").ledger() as ledger:
        assert ledger.counts().failed == {"credentials": 1}
    grep(tmp_path / "runs", ended, wrong)


def test_no_secret_is_left_anywhere(run: Run, tmp_path: Path, events: Path, s3: S3Server):
    """Keys and tokens: in no file of a run and in nothing it says, also when much goes wrong."""
    token = "this-token-opens-everything"
    secrets = [token, s3.readonly_secret_key]
    with fault_server(tmp_path, token=token) as server:
        publish(events, server.folder, "a.root")
        server.script("a.root", None, Status(503), Status(500))
        for name, given in (("in", token), ("out", token + "-not")):
            told = keys_of(s3) | {"BEARER_TOKEN": given}
            ended = run(name, server.url("a.root"), told)
            assert (ended.returncode == 0) == (given == token), ended.stderr
            grep(tmp_path / "runs", ended, *secrets)


def grep(folder: Path, ended: subprocess.CompletedProcess[str], *secrets: str) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 3
    said = [ended.stdout.encode(), ended.stderr.encode()]
    for content in (*said, *(path.read_bytes() for path in files)):
        assert not any(secret.encode() in content for secret in secrets)
