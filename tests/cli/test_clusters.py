"""`clusters-create` and `clusters-delete`, called as a user calls them."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from higgsdemo.clusters.providers.gke import ENDPOINT
from tests.cli.terminal import in_terminal
from tests.clusters.providers.conftest import kind_home  # noqa: F401 - a fixture
from tests.services.gke import STATUS, GkeService, gke_service

PARENT = "projects/physics/locations/europe-west4"
NAMES = ["kubecon-demo-0", "kubecon-demo-1", "kubecon-demo-2"]


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    """Three clusters as the demo wrote them: the number of nodes is a text."""
    path = tmp_path / "mapping.json"
    path.write_text(
        json.dumps(
            [
                {"datasets": [f"{n}.txt"], "flavor": "n1-highmem-16", "nodes": "22",
                 "dpath": "/dev/shm"}
                for n in range(3)
            ]
        )
    )  # fmt: skip
    return path


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[GkeService]:
    with gke_service() as running:
        monkeypatch.setenv(ENDPOINT, running.endpoint)
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "physics")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield running


def contexts(tmp_path: Path) -> list[str]:
    document = yaml.safe_load((tmp_path / "kubeconfig").read_text())
    return sorted(each["name"] for each in document["contexts"])


def test_made_listed_deleted(
    higgsdemo: Any, service: GkeService, mapping: Path, tmp_path: Path
) -> None:
    said = higgsdemo("clusters-create", "--dataset-mapping", mapping, "--spot")
    assert said.status == 0
    assert "kubecon-demo-2: ready after" in said.err
    assert "next: higgsdemo prepare --dataset-mapping" in said.out
    assert service.names() == contexts(tmp_path) == NAMES
    assert all(one.cluster.node_pools[0].config.spot for one in service.created)
    again = higgsdemo("clusters-create", "--dataset-mapping", mapping, "--json")
    assert [(one["cluster"], one["state"]) for one in again.json] == [(n, "ready") for n in NAMES]
    gone = higgsdemo("clusters-delete", "--dataset-mapping", mapping, "--yes", "--json")
    assert [one["state"] for one in gone.json] == ["absent"] * 3
    assert service.names() == contexts(tmp_path) == []
    nothing = higgsdemo("clusters-delete", "--dataset-mapping", mapping)
    assert (nothing.status, nothing.out) == (0, "none of these clusters is there\n")


def test_a_dry_run_makes_nothing(higgsdemo: Any, service: GkeService, mapping: Path) -> None:
    said = higgsdemo(
        "clusters-create", "--dataset-mapping", mapping, "--prefix", "my-", "--dry-run"
    )
    assert "my-0" in said.out
    assert "22 n1-highmem-16 in each zone of europe-west4" in said.out
    assert said.out.endswith("nothing was made\n")
    as_json = higgsdemo("clusters-create", "--dataset-mapping", mapping, "--dry-run", "--json")
    assert as_json.json[2] == {
        "cluster": "kubecon-demo-2",
        "asks_for": "22 n1-highmem-16 in each zone of europe-west4",
        "datasets": 1,
    }
    assert service.calls == []


def test_deleting_asks_where_somebody_can_be_asked(
    higgsdemo: Any, service: GkeService, mapping: Path
) -> None:
    service.put(PARENT, "kubecon-demo-1")
    said = higgsdemo("clusters-delete", "--dataset-mapping", mapping)
    assert said.status == 2
    assert "1 clusters would be deleted: kubecon-demo-1" in said.err
    assert service.deleted == []


@pytest.mark.parametrize("answer", ["y", "n"])
def test_deleting_asks_in_a_terminal(service: GkeService, mapping: Path, answer: str) -> None:
    service.put(PARENT, "kubecon-demo-1")
    status, seen = in_terminal(answer, "clusters-delete", "--dataset-mapping", mapping)
    assert "this deletes 1 clusters: kubecon-demo-1" in seen
    assert "delete them? [y/N]:" in seen
    if answer == "y":
        assert (status, service.deleted) == (0, ["kubecon-demo-1"]), seen
    else:
        assert (status, service.deleted) == (1, []), seen
        assert "nothing was deleted" in seen


def test_orphans_are_shown_and_deleted_on_request(
    higgsdemo: Any, service: GkeService, mapping: Path
) -> None:
    for name in ("kubecon-demo-0", "kubecon-demo-7"):
        service.put(PARENT, name)
    service.put(PARENT, "kubecon-demo-8", ours=False)
    said = higgsdemo("clusters-delete", "--dataset-mapping", mapping, "--yes")
    assert "left alone: kubecon-demo-7" in said.err
    assert service.deleted == ["kubecon-demo-0"]
    higgsdemo("clusters-delete", "--dataset-mapping", mapping, "--yes", "--orphans")
    assert service.names() == ["kubecon-demo-8"]


def test_several_failures_end_with_status_1(
    higgsdemo: Any, service: GkeService, mapping: Path, tmp_path: Path
) -> None:
    service.fail = {NAMES[0]: "no quota here", NAMES[2]: "no quota there"}
    said = higgsdemo("clusters-create", "--dataset-mapping", mapping)
    assert said.status == 1
    assert "no quota here" in said.err
    assert "2 of 3 clusters failed: kubecon-demo-0, kubecon-demo-2" in said.err
    assert contexts(tmp_path) == [NAMES[1]]


def test_clusters_of_kind(
    higgsdemo: Any,
    kind_home: Path,  # noqa: F811 - a fixture
    mapping: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    mapping.write_text(mapping.read_text().replace('"22"', "1"))
    words = ("--dataset-mapping", mapping, "--provider", "kind")
    assert higgsdemo("clusters-create", *words).status == 0
    assert contexts(tmp_path) == NAMES
    assert higgsdemo("clusters-delete", *words, "--yes").status == 0
    assert contexts(tmp_path) == []


def test_existing_clusters_are_not_deleted(higgsdemo: Any, mapping: Path) -> None:
    said = higgsdemo("clusters-delete", "--dataset-mapping", mapping, "--provider", "existing")
    assert said.status == 2
    assert "left alone" in said.err


@pytest.mark.slow
def test_killed_at_any_moment_and_repeated_it_makes_each_cluster_once(
    service: GkeService, mapping: Path, tmp_path: Path
) -> None:
    service.looks = 6
    words = ["clusters-create", "--dataset-mapping", str(mapping)]
    begun = 0
    for turn in range(20):
        process = subprocess.Popen(
            [sys.executable, "-m", "higgsdemo", *words],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ.copy(),
        )  # fmt: skip
        deadline, seen = time.monotonic() + 200, len(service.calls)
        while len(service.calls) == seen and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        if turn < 4:
            time.sleep(random.uniform(0, 0.4))
            process.send_signal(signal.SIGKILL)
            begun += 1
        if process.wait() == 0:
            break
    assert begun == 4
    assert sorted(one.cluster.name for one in service.created) == NAMES
    assert contexts(tmp_path) == NAMES


@pytest.mark.slow
def test_interrupted_it_says_what_goes_on(service: GkeService, mapping: Path) -> None:
    service.put(PARENT, NAMES[0], STATUS.PROVISIONING)
    service.looks = 10**6
    process = subprocess.Popen(
        [sys.executable, "-m", "higgsdemo", "clusters-create", "--dataset-mapping", str(mapping)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 200
    while "CreateCluster" not in service.calls:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "what was asked for goes on at the provider" in errors
