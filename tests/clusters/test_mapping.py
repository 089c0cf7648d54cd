"""Dataset mappings: the demo's as they are, and each way of getting one wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.clusters.mapping import ClusterEntry, choose, read_mapping
from higgsdemo.errors import UsageError


def mapping(folder: Path, *entries: Any) -> Path:
    path = folder / "mapping.json"
    path.write_text(json.dumps(list(entries)))
    return path


def test_the_form_of_the_demo(tmp_path: Path) -> None:
    entry = {
        "datasets": ["datasets_s3/a_file_index.txt", "datasets_s3/b_file_index.txt"],
        "flavor": "n1-highmem-16",
        "nodes": "22",
        "dpath": "/dev/shm",
    }
    first, second = read_mapping(mapping(tmp_path, entry, {"datasets": [], "dump": 1}))
    assert first == ClusterEntry(
        "kubecon-demo-0", tuple(entry["datasets"]), "n1-highmem-16", 22, "/dev/shm"
    )
    assert second == ClusterEntry("kubecon-demo-1", ())


def test_a_dataset_listed_again_counts_once_and_is_told(tmp_path: Path) -> None:
    path = mapping(tmp_path, {"datasets": ["a", "b", "a"]}, {"datasets": ["c", "b"]})
    first, second = read_mapping(path)
    assert (first.datasets, second.datasets) == (("a", "b"), ("c",))
    assert first.repeated == ("a (datasets[2])",)
    assert second.repeated == ("b (entry 0)",)


def test_names_of_clusters(tmp_path: Path) -> None:
    path = mapping(tmp_path, {"datasets": []}, {"datasets": [], "cluster": "laptop"})
    assert [each.name for each in read_mapping(path, "x-")] == ["x-0", "laptop"]
    assert [each.name for each in choose(read_mapping(path), "laptop")] == ["laptop"]
    with pytest.raises(UsageError, match="no cluster 'laptpo'") as caught:
        choose(read_mapping(path), "laptpo")
    assert caught.value.nearest == ("laptop",)


@pytest.mark.parametrize(
    ("entry", "said", "where"),
    [
        ({"datasets": [], "node": 3}, "unknown key 'node'", "entry 0, key 'node'"),
        ({"flavor": "x"}, "no datasets", "entry 0"),
        ({"datasets": "a"}, "'datasets' is not a list", "key 'datasets'"),
        ({"datasets": ["a", 3]}, r"'datasets\[1\]' is not the name", r"key 'datasets[1]'"),
        ({"datasets": [""]}, r"'datasets\[0\]' is not the name", "entry 0"),
        ({"datasets": [], "nodes": "many"}, "not a number of nodes", "key 'nodes'"),
        ({"datasets": [], "nodes": -1}, "not a number of nodes", "key 'nodes'"),
        ({"datasets": [], "nodes": True}, "not a number of nodes", "key 'nodes'"),
        ({"datasets": [], "nodes": 2.5}, "not a number of nodes", "key 'nodes'"),
        ({"datasets": [], "flavor": 16}, "'flavor' is not a text", "key 'flavor'"),
        ("datasets", "is an object", "entry 0"),
    ],
)
def test_a_wrong_entry_is_placed(tmp_path: Path, entry: Any, said: str, where: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        read_mapping(mapping(tmp_path, entry))
    assert where in str(caught.value)


def test_an_unknown_key_has_a_near_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_mapping(mapping(tmp_path, {"datasets": [], "flavour": "x"}))
    assert caught.value.nearest == ("flavor",)


@pytest.mark.parametrize(
    "text", ["{}", "[]", "3", "not json", '[{"datasets": [], "datasets": []}]']
)
def test_what_is_no_mapping(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mapping.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="not a dataset mapping"):
        read_mapping(path)


def test_two_entries_for_one_cluster(tmp_path: Path) -> None:
    path = mapping(tmp_path, *[{"datasets": [], "cluster": "a"}] * 2)
    with pytest.raises(UsageError, match="two entries are for the cluster 'a'"):
        read_mapping(path)
