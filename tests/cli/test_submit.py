"""Wrong words of `submit`: told before any cluster is asked for anything."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Said

Higgsdemo = Callable[..., Said]
FULL = ("--samples", "nanoaod-2012", "--clusters", "one", "--image", "w:1", "--sink", "s3://b")


@pytest.fixture(autouse=True)
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubeconfig whose only cluster is nowhere."""
    path = tmp_path / "kubeconfig"
    cluster = {"name": "one", "cluster": {"server": "https://127.0.0.1:1"}}
    context = {"name": "one", "context": {"cluster": "one", "user": "one"}}
    user = {"name": "one", "user": {"token": "t"}}
    path.write_text(
        json.dumps(
            {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "contexts": [context],
             "users": [user]}
        )
    )  # fmt: skip
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--samples", "nanoaod-2012"), "no cluster is named"),
        (("--clusters", "one"), "nothing to analyse is named"),
        (FULL[:4], "no image of the workers"),
        (FULL[:6], "results have no way back"),
        ((*FULL, "--clusters", "onne"), "did you mean: one"),
        ((*FULL, "--tasks-per-pod", "0"), "--tasks-per-pod is a number"),
        ((*FULL, "--env", "MY_PASSWORD=x"), "looks like a secret"),
        ((*FULL, "--env", "HTTPS_PROXY=http://u:pw@proxy:1"), "looks like a secret"),
        ((*FULL, "--sink", "redis://:secret@bus"), "carries a secret"),
        ((*FULL, "--sink", "file:///results"), "cannot deliver to a folder"),
        ((*FULL, "--storage-type", "azure"), "s3 or gcs"),
        ((*FULL, "--claim", "name"), "is not NAME:/PATH"),
        ((*FULL, "--cpu-limit", "many"), "not a Kubernetes quantity"),
        ((*FULL, "--run", "ends-with-"), "cannot be called"),
        ((*FULL, "--namespace", "No"), "not the name of a namespace"),
        (("--samples", "nanoaod-2O12", *FULL[2:]), "did you mean: nanoaod-2012"),
        ((*FULL, "--dataset-mapping", "absent.json"), "exclude each other"),
    ],
)
def test_wrong_words(
    higgsdemo: Higgsdemo, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    if "absent.json" in words:
        (tmp_path / "absent.json").write_text('[{"datasets": ["a"]}]')
    answer = higgsdemo("submit", *words)
    assert answer.status == 2, answer.err
    assert said in answer.err
    assert not (tmp_path / "runs").exists()


def test_files_of_this_machine_are_refused(higgsdemo: Higgsdemo, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ZZTo4mu.root").write_bytes(b"not yet")
    answer = higgsdemo("submit", "--samples", "data", *FULL[2:])
    assert answer.status == 2
    assert "pods cannot read files of this machine" in answer.err


def test_no_kubeconfig(
    higgsdemo: Higgsdemo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    answer = higgsdemo("submit", *FULL)
    assert answer.status == 2
    assert "there is no kubeconfig" in answer.err


def test_clusters_that_are_not_there_yet_are_forecast_from_the_mapping(
    higgsdemo: Higgsdemo, tmp_path: Path
) -> None:
    mapping = [{"datasets": ["nanoaod-2012/ZZTo*"], "flavor": "n1-highmem-16", "nodes": 2}]
    (tmp_path / "mapping.json").write_text(json.dumps(mapping))
    answer = higgsdemo("submit", "--dataset-mapping", "mapping.json", "--dry-run", "--json")
    assert answer.status == 0, answer.err
    assert answer.json["clusters"][0]["slots"] == 30
    assert answer.json["price"] > 0
