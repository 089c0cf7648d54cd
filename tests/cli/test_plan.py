"""`plan` with a dataset mapping: what clusters would take that nobody has made yet."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Said

Higgsdemo = Callable[..., Said]
AOD = (  # one of the demo's
    "CMS_MonteCarlo2012_Summer12_DR53X_SMHiggsToZZTo4L_M-125_8TeV-powheg15-JHUgenV3-pythia6"
    "_AODSIM_PU_S10_START53_V19-v1_10000_file_index.txt"
)
WHERE = (
    "opendata/cms/MonteCarlo2012/Summer12_DR53X"
    "/SMHiggsToZZTo4L_M-125_8TeV-powheg15-JHUgenV3-pythia6/AODSIM/PU_S10_START53_V19-v1/10000"
)


def mapping(folder: Path, **changed: Any) -> Path:
    """Write a mapping of one file index of AOD, and the index; return the mapping."""
    lines = [f"s3/higgs-demo/{WHERE}/{number}.root" for number in range(8)]
    (folder / AOD).write_text("\n".join(lines) + "\n")
    entry = {"datasets": [AOD], "flavor": "n1-highmem-16", "nodes": 2, **changed}
    path = folder / "mapping.json"
    path.write_text(json.dumps([{key: value for key, value in entry.items() if value}]))
    return path


def test_a_mapping_is_forecast_without_any_cluster(
    higgsdemo: Higgsdemo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    words = ("plan", "--dataset-mapping", mapping(tmp_path), "--file-size", "3GB")
    answer = higgsdemo(*words, "--json")
    assert answer.status == 0, answer.err
    (cluster,) = answer.json["clusters"]
    assert (cluster["name"], cluster["slots"], cluster["tasks"]) == ("kubecon-demo-0", 30, 8)
    assert cluster["size_bytes"] == 8 * 3_000_000_000
    assert cluster["seconds"] == max(cluster["floors_s"].values()) > 0
    assert answer.json["price"] > answer.json["price_spot"] > 0
    shown = higgsdemo(*words)
    assert "n1-highmem-16" in shown.out
    assert "8 tasks, 24 GB" in shown.out
    assert "a run would not start: workflow h4l reads nanoaod only" in shown.err
    assert not (tmp_path / "runs").exists()


def test_without_sizes_the_time_is_unknown_and_nothing_is_guessed(
    higgsdemo: Higgsdemo, tmp_path: Path
) -> None:
    answer = higgsdemo("plan", "--dataset-mapping", mapping(tmp_path), "--json")
    assert answer.status == 0, answer.err
    assert answer.json["seconds"] is None
    assert answer.json["price"] is None
    assert answer.json["tasks"] == 8


@pytest.mark.parametrize(
    ("changed", "words", "said"),
    [
        ({"flavor": "n1-highmem-61"}, (), "did you mean: n1-highmem-16"),
        ({"flavor": ""}, (), "does not say of which machines"),
        ({"datasets": ["absent_file_index.txt"]}, (), "no file index 'absent_file_index.txt'"),
        ({}, ("nanoaod-2012",), "exclude each other"),
        ({}, ("--file-size", "large"), "'large' is not a size"),
    ],
)
def test_wrong_words(
    higgsdemo: Higgsdemo,
    tmp_path: Path,
    changed: dict[str, Any],
    words: tuple[str, ...],
    said: str,
) -> None:
    answer = higgsdemo("plan", *words, "--dataset-mapping", mapping(tmp_path, **changed))
    assert answer.status == 2
    assert said in answer.err


def test_nothing_named(higgsdemo: Higgsdemo) -> None:
    answer = higgsdemo("plan")
    assert answer.status == 2
    assert "nothing to analyse is named" in answer.err
