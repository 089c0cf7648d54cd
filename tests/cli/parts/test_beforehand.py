"""What is told before a run, through the whole program: what ends too soon, what has no room."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.storage.test_tokens import jwt

Higgsdemo = Callable[..., Any]


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "BEARER_TOKEN", "BEARER_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def samples(tmp_path: Path) -> Callable[..., Path]:
    def make(*files: str) -> Path:
        path = tmp_path / "set.yaml"
        listed = "".join(f"\n  - {file}" for file in files)
        path.write_text(f"samples:\n- name: s\n  group: higgs\n  files:{listed}\n")
        return path

    return make


def token(**ends: float) -> str:
    return jwt(exp=(datetime.now(UTC) + timedelta(**ends)).timestamp())


LARGE = "{url: 'https://h.invalid/a.root', size_bytes: 600000000000}"  # hours of work
SMALL = "{url: 'https://h.invalid/a.root', size_bytes: 1000}"
UNKNOWN = "'https://h.invalid/a.root'"


def test_a_token_that_ends_before_the_run_does_is_told(
    higgsdemo: Higgsdemo, samples: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEARER_TOKEN", token(minutes=10, seconds=30))
    said = higgsdemo("plan", samples(LARGE), "--workers", 1)
    assert said.status == 0
    assert "the credentials for https://h.invalid end at " in said.err
    assert "in 10 min" in said.err
    assert "the run needs about " in said.err
    assert "resumed" in said.err
    assert higgsdemo("plan", samples(SMALL), "--workers", 1).err == ""


def test_where_nobody_knows_how_long_it_takes_a_day_is_told(
    higgsdemo: Higgsdemo, samples: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEARER_TOKEN", token(hours=5))
    assert "how long the run takes is not known" in higgsdemo("plan", samples(UNKNOWN)).err
    monkeypatch.setenv("BEARER_TOKEN", token(days=2))
    assert higgsdemo("plan", samples(UNKNOWN)).err == ""


def test_a_token_that_has_ended_is_told_once_a_server_and_the_run_may_try(
    higgsdemo: Higgsdemo, samples: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server may need none: an old token lies about in many a home."""
    monkeypatch.setenv("BEARER_TOKEN", token(hours=-1))
    two = samples(UNKNOWN, "'https://h.invalid/b.root'", "'http://other.invalid/c.root'")
    said = higgsdemo("run", two, "--dry-run")
    assert said.status == 0
    assert said.err.count("the credentials for https://h.invalid ended at ") == 1
    assert said.err.count("the credentials for http://other.invalid ended at ") == 1


def test_no_keys_at_all_stop_a_run_before_it_is_made_and_a_plan_not(
    higgsdemo: Higgsdemo, samples: Callable[..., Path]
) -> None:
    only = samples("'s3://b/a.root'")
    said = higgsdemo("run", only, "--run", "r")
    assert said.status == 1
    assert "no keys for s3://" in said.err
    assert "AWS_ACCESS_KEY_ID" in said.err
    assert not Path("runs").exists()
    planned = higgsdemo("plan", only, "--json")
    assert planned.status == 0
    assert len(planned.json["tasks"]) == 1
    assert "a run would not start: no keys for s3://" in planned.err
    public = higgsdemo("plan", only, "--json", "--anonymous")
    assert (public.status, public.err) == (0, "")


def test_where_another_copy_is_open_missing_keys_are_told_only(
    higgsdemo: Higgsdemo, samples: Callable[..., Path]
) -> None:
    said = higgsdemo("run", samples("{url: 's3://b/a.root', replicas: [a.root]}"), "--dry-run")
    assert said.status == 0
    assert "may not be let in at s3://b: no keys for s3://" in said.err


def test_a_proxy_that_is_none_is_told_and_stops_nothing(
    higgsdemo: Higgsdemo, samples: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("proxy").write_text("no proxy")
    monkeypatch.setenv("X509_USER_PROXY", "proxy")
    said = higgsdemo("run", samples("'root://h.invalid//a.root'"), "--dry-run")
    assert said.status == 0
    assert "may not be let in at root://h.invalid: not an X.509 proxy (proxy)" in said.err


def test_a_file_that_cannot_be_staged_in_stops_a_run_before_it_is_made(
    higgsdemo: Higgsdemo, samples: Callable[..., Path], tmp_path: Path
) -> None:
    said = higgsdemo("run", samples(LARGE), "--stage-in", f"{tmp_path}:2GB", "--run", "r")
    assert said.status == 2
    assert "no space to stage the files in" in said.err
    assert "the largest has 600000.0 MB, its limit is 2000.0 MB" in said.err
    assert "https://h.invalid/a.root" in said.err
    assert not Path("runs").exists()
    huge = LARGE.replace("600000000000", str(10**18))
    said = higgsdemo("plan", samples(huge), "--stage-in", tmp_path)
    assert (said.status, "its disk has " in said.err) == (0, True)
    local = samples("{url: 'a.root', size_bytes: 600000000000}")  # nothing is copied
    assert higgsdemo("plan", local, "--stage-in", f"{tmp_path}:2GB").err == ""
