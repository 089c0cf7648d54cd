"""What can be wrong with storage, through the whole program: the reason told, nothing lost."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import higgsdemo, scripts
from tests.services.faults import (
    FaultServer,
    IgnoreRange,
    Redirect,
    Reset,
    Stall,
    Status,
    Trickle,
    Truncate,
    WrongLength,
    WrongRange,
    expired_token,
    slow_down,
)
from tests.services.fixtures import TokenServer
from tests.services.grid import Grid
from tests.services.http_files import HttpServer
from tests.services.s3 import S3Server
from tests.services.xrootd import XrootdServer
from tests.storage.conftest import publish
from tests.storage.test_aws import keys_of

__all__ = ["higgsdemo", "scripts"]

Higgsdemo = Callable[..., Any]
Set = Callable[..., None]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    def take(variables: dict[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    take({"HIGGSDEMO_STALL_S": "2", "HIGGSDEMO_CONNECT_S": "0.5", "HIGGSDEMO_REQUEST_TRIES": "2"})
    return take


def run(higgsdemo: Higgsdemo, url: str, *words: object) -> Any:
    """Analyse one file, elsewhere, as a run called r; return what was said."""
    Path("set.yaml").write_text(f"samples:\n- {{name: s, group: higgs, files: ['{url}']}}\n")
    once = ("--run", "r", "--no-plot", "--workers", 1, "--tries", 1)
    return higgsdemo("run", "set.yaml", *once, *words)


def failed(higgsdemo: Higgsdemo) -> dict[str, int]:
    """Return how many tasks failed for which cause; none is counted that was not wholly read."""
    told = higgsdemo("status", "r", "--json").json
    assert (told["planned"], told["done"]) == (1, 0)
    return dict(told["failed"])


@pytest.fixture
def at_s3(s3: S3Server, events: Path, environment: Any) -> tuple[S3Server, str, str]:
    """A real store with a file; the keys of its owner are in the environment."""
    environment(keys_of(s3))
    bucket = s3.create_bucket()
    return s3, bucket, s3.put(bucket, "a.root", events.read_bytes())


WRONG = "this-is-not-the-secret-key"


def s3_cases(server: S3Server, bucket: str) -> dict[str, tuple[str, tuple[str, ...], str, str]]:
    """By what is wrong: URL, options, cause, what is said."""
    url = f"s3://{bucket}/a.root"
    keys = ("--access-key", server.access_key, "--secret-key")
    clear = server.endpoint.replace("http:", "https:")
    return {
        "secret": (url, (*keys, WRONG), "credentials", "the secret key is wrong"),
        "key": (
            url,
            ("--access-key", "nobody", "--secret-key", WRONG),
            "credentials",
            "the access key is not known there",
        ),
        "permission": (url, ("--anonymous",), "credentials", "no permission to read it"),
        "bucket": ("s3://no-such-bucket/a.root", (), "bad-input", "no such bucket"),
        "object": (f"s3://{bucket}/b.root", (), "bad-input", "no such file"),
        "TLS": (url, ("--storage-host", clear), "credentials", "does not speak TLS"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("what", ["secret", "key", "permission", "bucket", "object", "TLS"])
def test_an_s3_store_that_refuses(
    higgsdemo: Higgsdemo, at_s3: tuple[S3Server, str, str], what: str
) -> None:
    server, bucket, url = at_s3
    named, options, cause, says = s3_cases(server, bucket)[what]
    said = run(higgsdemo, named, *options)
    assert said.status == 1
    assert "Traceback" not in said.err
    assert f"{cause}: " in said.err
    assert says in said.err
    assert named.removeprefix("s3:/") in said.err
    assert WRONG not in said.err
    assert failed(higgsdemo) == {cause: 1}
    if named == url:  # nothing is lost: let in, the same run goes on
        owner = ("--access-key", server.access_key, "--secret-key", server.secret_key)
        host = ("--storage-host", server.endpoint)
        if what != "permission":
            again = higgsdemo("resume", "r", "--no-plot", *owner, *host)
            assert again.status == 0, again.err


@pytest.mark.slow
def test_who_cannot_prove_who_they_are(
    higgsdemo: Higgsdemo, s3_tls: S3Server, events: Path, environment: Any
) -> None:
    environment(keys_of(s3_tls))
    os.environ.pop("HIGGSDEMO_STORAGE_CA", None)
    url = s3_tls.put(s3_tls.create_bucket(), "a.root", events.read_bytes())
    said = run(higgsdemo, url, "--storage-host", s3_tls.endpoint)
    assert said.status == 1
    assert "cannot prove who it is" in said.err
    assert "--storage-ca" in said.err
    assert failed(higgsdemo) == {"credentials": 1}
    assert s3_tls.certificates is not None
    trusted = ("--storage-ca", s3_tls.certificates.authority)
    assert higgsdemo("resume", "r", "--no-plot", *trusted).status == 0


def test_a_clock_that_is_wrong(
    higgsdemo: Higgsdemo, faults: FaultServer, environment: Any, s3: S3Server
) -> None:
    """As a store says it; its own clock is in the answer's Date."""
    environment(keys_of(s3))
    body = (
        b"<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request "
        b"time and the current time is too large.</Message></Error>"
    )
    date = ("Date", "Thu, 01 Jan 2026 00:00:00 GMT")
    faults.script("b/a.root", then=Status(403, None, body, (date,)))
    said = run(higgsdemo, "s3://b/a.root", "--storage-host", faults.endpoint)
    assert said.status == 1
    assert "the clock of this machine is wrong" in said.err
    assert "set it right (NTP)" in said.err
    assert failed(higgsdemo) == {"credentials": 1}


@pytest.mark.slow
def test_a_proxy_that_is_missing_or_has_ended(
    higgsdemo: Higgsdemo,
    xrootd_gsi: tuple[XrootdServer, Grid],
    events: Path,
    environment: Any,
    tmp_path: Path,
) -> None:
    pytest.importorskip("XRootD")
    server, grid = xrootd_gsi
    publish(events, server.folder, "a.root")
    url = server.url("a.root").replace("127.0.0.1", "localhost")
    environment({"X509_CERT_DIR": str(grid.authorities)})
    environment({"X509_USER_PROXY": str(grid.expired_proxy)})
    said = run(higgsdemo, url)
    assert said.status == 1
    assert "the credentials for root://localhost:" in said.err  # before the run
    assert f"credentials: not let in\n  where: {url}" in said.err
    assert f"the proxy {grid.expired_proxy} ended at " in said.err
    assert "voms-proxy-init" in said.err
    assert failed(higgsdemo) == {"credentials": 1}
    environment({"X509_USER_PROXY": str(tmp_path / "none")})
    said = higgsdemo("resume", "r", "--no-plot")
    assert f"there is no proxy at {tmp_path / 'none'}" in said.err
    environment({"X509_USER_PROXY": str(grid.proxy)})
    said = higgsdemo("resume", "r", "--no-plot")
    assert said.status == 0, said.err


def test_a_token_for_xrootd(
    higgsdemo: Higgsdemo,
    xrootd_tokens: TokenServer,
    events: Path,
    environment: Any,
    tmp_path: Path,
) -> None:
    """From a file that is renewed, as the WLCG discovery has it; without one, the run stops."""
    pytest.importorskip("XRootD")
    publish(events, xrootd_tokens.server.folder, "a.root")
    url = xrootd_tokens.url("a.root")
    kept = tmp_path / "token"
    environment({"X509_CERT_DIR": str(xrootd_tokens.grid.authorities)})
    said = run(higgsdemo, url)
    assert said.status == 1
    assert f"credentials: not let in\n  where: {url}" in said.err
    assert "BEARER_TOKEN_FILE" in said.err
    environment({"BEARER_TOKEN_FILE": str(kept)})
    token = xrootd_tokens.issuer.token(-60)
    kept.write_text(token)
    said = higgsdemo("resume", "r", "--no-plot")
    assert "the token ended at " in said.err
    assert failed(higgsdemo) == {"credentials": 1}
    assert token not in said.err
    kept.write_text(xrootd_tokens.issuer.token(3600))
    said = higgsdemo("resume", "r", "--no-plot")
    assert f"chmod 600 {kept}" in said.err
    kept.chmod(0o600)
    said = higgsdemo("resume", "r", "--no-plot")
    assert said.status == 0, said.err


def test_an_unknown_scheme_has_its_nearest_and_makes_no_run(higgsdemo: Higgsdemo) -> None:
    for url in ("htps://h/a.root", "s4://b/a.root"):
        said = run(higgsdemo, url)
        assert said.status == 2
        assert f"unknown kind of URL: {url.partition('/')[0]}//" in said.err
        assert f"did you mean: {'https://' if url[0] == 'h' else 's3://'}" in said.err
    assert not Path("runs").exists()


def test_a_host_that_refuses(higgsdemo: Higgsdemo, environment: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]
    said = run(higgsdemo, f"http://127.0.0.1:{port}/a.root")
    assert said.status == 1
    assert f"cannot reach 127.0.0.1:{port}: connection refused after 0.0 s" in said.err
    assert failed(higgsdemo) == {"transient": 1}


def test_a_host_that_does_not_answer(higgsdemo: Higgsdemo, environment: Any) -> None:
    """Its queue of connections is full, so that it ignores ours."""
    waiting = []
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        for _ in range(2):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(full.getsockname())
            waiting.append(one)
        port = full.getsockname()[1]
        said = run(higgsdemo, f"http://127.0.0.1:{port}/a.root")
        for one in waiting:
            one.close()
    assert said.status == 1
    assert f"cannot reach 127.0.0.1:{port}: no answer in 0.5 s" in said.err
    assert failed(higgsdemo) == {"transient": 1}


def test_a_host_that_nobody_knows(higgsdemo: Higgsdemo, environment: Any) -> None:
    said = run(higgsdemo, "http://nowhere.invalid/a.root")
    assert said.status == 1
    assert "cannot reach nowhere.invalid:80: its name is not known" in said.err
    assert failed(higgsdemo) == {"transient": 1}


def test_no_space_to_stage_in(
    higgsdemo: Higgsdemo, http_files: HttpServer, events: Path, environment: Any
) -> None:
    """A disk of 64 KiB; the plan does not know how large the file is."""
    publish(events, http_files.folder, "large.root")
    small = Path("small")
    small.mkdir()
    if os.geteuid() or os.system(f"mount -t tmpfs -o size=64k none {small} 2>/dev/null"):
        pytest.skip("permissions do not bind root" if os.geteuid() == 0 else "needs root: mount")
    try:
        said = run(higgsdemo, http_files.url("large.root"), "--stage-in", small)
        assert said.status == 1
        assert "no space to stage the file in" in said.err
        assert " MB left" in said.err
        assert "--stage-in" in said.err
        assert failed(higgsdemo) == {"transient": 1}
        assert list(small.iterdir()) == []
        # what is said anew counts: streamed, the same run ends well
        assert higgsdemo("resume", "r", "--no-plot", "--stage-in", "").status == 0
    finally:
        os.system(f"umount {small}")


LASTING = {
    "truncates": (Truncate(1000), "transient"),
    "stalls": (Stall(10.0), "transient"),
    "resets": (Reset(), "transient"),
    "is busy": (slow_down(0.1), "transient"),
    "crawls": (Trickle(100.0), "transient"),
    "wrong length": (WrongLength(7), "transient"),
    "wrong range": (WrongRange(64), "transient"),
    "goes in circles": (Redirect("/a.root"), "transient"),
    "whole files": (IgnoreRange(), "bad-input"),
    "gone": (Status(410), "bad-input"),
    "token": (expired_token(), "credentials"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", LASTING)
def test_what_lasts_ends_in_its_cause(
    higgsdemo: Higgsdemo, faults: FaultServer, events: Path, environment: Any, what: str
) -> None:
    fault, cause = LASTING[what]
    environment({"HIGGSDEMO_STALL_S": "0.5"})
    publish(events, faults.folder, "a.root")
    found = () if what == "whole files" else (None,)  # as a rule it happens once it is found
    faults.script("a.root", *found, then=fault)
    said = run(higgsdemo, faults.url("a.root"), "--skip-bad-files")
    assert said.status == 1
    assert "Traceback" not in said.err
    assert failed(higgsdemo) == {cause: 1}
    faults.heal()
    assert higgsdemo("resume", "r", "--no-plot").status == 0


@pytest.mark.slow
def test_a_server_where_everything_goes_wrong_now_and_then_changes_no_bit(
    higgsdemo: Higgsdemo, faults: FaultServer, events: Path, environment: Any
) -> None:
    environment({"HIGGSDEMO_STALL_S": "0.5", "HIGGSDEMO_REQUEST_TRIES": "6"})
    publish(events, faults.folder, "a.root")
    passing = (Truncate(1000), Stall(2.0), Reset(), slow_down(0.05), WrongLength(7),
               WrongRange(64), Redirect("/a.root"), Status(500))  # fmt: skip
    faults.scatter("a.root", *passing, share=0.6, seed=4, in_a_row=3)
    said = run(higgsdemo, faults.url("a.root"), "--json")
    assert said.status == 0, said.err
    assert len({entry.fault for entry in faults.requests("a.root")}) > 3
    local = higgsdemo("run", events, "--run", "true", "--no-plot", "--json", "--workers", 1)
    for told in (said.json, local.json):
        assert len(told["entries"]) == 3
    found, true = ([one["whole"]["counts"] for one in told["entries"]]
                   for told in (said.json, local.json))  # fmt: skip
    assert found == true


def test_an_index_with_all_that_people_leave_in_it(
    higgsdemo: Higgsdemo, http_files: HttpServer, scripts: Callable[..., Path]
) -> None:
    folder = scripts(a={"events": 3}, b={"events": 4})
    for name in ("a.root", "b.root"):
        publish(folder / name, http_files.folder, name)
    a, b = http_files.url("a.root"), http_files.url("b.root")
    text = f"\ufeff# our files\r\n\r\n  {a} \r\n# {b}\r\n{b}\r\n{a}\r\n\n"
    Path("files.txt").write_bytes(text.encode())
    planned = higgsdemo("plan", "files.txt", "-w", "scripted", "--json")
    assert [task["files"][0]["url"] for task in planned.json["tasks"]] == [a, b]
    checked = higgsdemo("samples", "check", "files.txt")
    assert "repeated index lines count once: 1 in all: files.txt:6 repeats files.txt:3" in (
        checked.out
    )
