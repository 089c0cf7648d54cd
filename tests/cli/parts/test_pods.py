"""What pods can reach and hold, and what is told before anything is sent."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.cli import submit
from higgsdemo.cli.parts.pods import pod_settings
from tests.cli.conftest import SAMPLES

Higgsdemo = Callable[..., Any]


@pytest.fixture
def placed(
    higgsdemo: Higgsdemo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, Sequence[str]], str]:
    """Submit one file with some words; return what was wrong ("" if nothing was)."""

    def launch(wanted: Any, name: str, runs: Path, *rest: Any, **_: Any) -> None:
        del name, runs
        placing, storage, policy = rest
        pod_settings(placing, storage, policy, wanted.clusters, wanted.planned.tasks)

    monkeypatch.setattr(submit, "launch", launch)

    def place(url: str, words: Sequence[str]) -> str:
        (tmp_path / "samples.yaml").write_text(SAMPLES.format(files=url))
        said = higgsdemo(
            *("submit", "--samples", "samples.yaml", "--clusters", "one", "--image", "w:1"), *words
        )
        assert said.status in (0, 2)
        return str(said.err) if said.status else ""

    return place


S3 = ("--sink", "s3://b/p")


def test_a_claim_reaches_what_is_below_it_and_nothing_beside_it(placed: Any) -> None:
    claim = ("--claim", "disk:/data")
    assert placed("/data/a.root", (*S3, *claim)) == ""
    assert placed("file:///data/deep/a.root", (*S3, *claim)) == ""
    assert "cannot read files of this machine" in placed("/database/a.root", (*S3, *claim))
    assert "cannot read files of this machine" in placed("/data/a.root", S3)
    assert placed("s3://b/a.root", ("--sink", "file:///data/out", *claim)) == ""
    beside = placed("s3://b/a.root", ("--sink", "file:///data2/out", *claim))
    assert "cannot deliver to a folder of this machine" in beside


def test_files_of_a_claim_are_not_staged_in(placed: Any, tmp_path: Path) -> None:
    """They are read where they are, so their size asks for no room."""
    (tmp_path / "a.root").write_bytes(b"x" * 2_000_000)
    words = (*S3, "--claim", f"disk:{tmp_path}", "--stage-in", "/stage:1MB")
    assert placed(str(tmp_path / "a.root"), words) == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "results have no way back"),
        (("--sink", "redis://:word@bus:6379"), "the address of a sink carries a secret"),
    ],
)
def test_sinks_that_pods_cannot_use(placed: Any, words: Sequence[str], said: str) -> None:
    assert said in placed("s3://b/a.root", words)


def test_an_address_of_our_own_that_carries_a_secret(
    placed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://me:word@minio:9000")
    answer = placed("s3://b/a.root", S3)
    assert "the address in AWS_ENDPOINT_URL carries a secret" in answer
    assert "word" not in answer.replace("password", "")
