"""The words spoken to the program kind, and what is made of its answers."""

import json
from pathlib import Path

import pytest
import yaml

from higgsdemo.clusters.providers import State, Wanted, Wishes, create_all, delete_all
from higgsdemo.clusters.providers.kind import Kind
from higgsdemo.errors import UsageError

TWO = [Wanted(f"kubecon-demo-{n}", "n1-highmem-16", 2) for n in range(2)]


def created(home: Path) -> list[str]:
    lines = (home / "log").read_text().splitlines()
    return [line for line in lines if line.startswith("create")]


def test_clusters_with_the_nodes_of_the_mapping(kind_home: Path, tmp_path: Path) -> None:
    kind = Kind.open(Wishes(image="kindest/node:v1.35.0"))
    config = tmp_path / "config"
    ended = create_all(kind, TWO, kubeconfig=config)
    assert [(one.state, one.error) for one in ended] == [(State.READY, None)] * 2
    asked = json.loads((kind_home / "kubecon-demo-0.cluster").read_text())
    assert [node["role"] for node in asked["nodes"]] == ["control-plane", "worker", "worker"]
    assert "--image kindest/node:v1.35.0" in created(kind_home)[0]
    document = yaml.safe_load(config.read_text())
    # Contexts have our names, not kind's.
    assert sorted(each["name"] for each in document["contexts"]) == [one.name for one in TWO]
    assert document["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:34567"
    create_all(kind, TWO, kubeconfig=config)
    assert len(created(kind_home)) == 2
    delete_all(kind, [one.name for one in TWO], kubeconfig=config)
    assert kind.named("kubecon-demo-") == ()


def test_a_half_made_one_is_made_anew(kind_home: Path, tmp_path: Path) -> None:
    (kind_home / "kubecon-demo-0.cluster").touch()
    kind = Kind.open(Wishes())
    assert kind.look("kubecon-demo-0").state is State.FAILED
    (ended,) = create_all(kind, TWO[:1], kubeconfig=tmp_path / "config")
    assert (ended.state, ended.error) == (State.READY, None)


def test_kinds_own_word_on_a_failure(kind_home: Path, tmp_path: Path) -> None:
    (kind_home / "broken").touch()
    (ended,) = create_all(Kind.open(Wishes()), TWO[:1], kubeconfig=tmp_path / "config")
    assert "failed to create cluster: no Docker" in str(ended.error)


def test_too_many_nodes_for_one_machine(kind_home: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too many for one machine"):
        create_all(Kind.open(Wishes()), [Wanted("a", "x", 22)], kubeconfig=tmp_path / "config")
    assert not (kind_home / "log").exists()


def test_without_the_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="kind is not on this machine"):
        Kind.open(Wishes())
