"""`Cluster` against a real API server: what the scripted one only plays."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.clusters import Cluster, ClusterApiError, Patience
from higgsdemo.errors import CredentialsError
from tests.clusters.test_prepare import as_user, opened
from tests.kubernetes.client import kubeconfig, write_kubeconfig
from tests.kubernetes.control_plane import ControlPlane

__all__ = ["opened"]
PATH = "/api/v1/namespaces/default/configmaps"


def config(name: str, **data: str) -> dict[str, Any]:
    about = {"name": name, "namespace": "default", "labels": {"test": "real-api"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": data}


@pytest.fixture(autouse=True)
def tidy(opened: Cluster) -> Iterator[None]:
    yield
    for _ in opened.delete_all(PATH, selector="test=real-api"):
        pass


def test_apply_makes_changes_and_leaves_as_it_is(opened: Cluster) -> None:
    first = opened.apply(config("a", key="1"))
    again = opened.apply(config("a", key="1"))
    changed = opened.apply(config("a", key="2"))
    versions = [each["metadata"]["resourceVersion"] for each in (first, again, changed)]
    assert versions[0] == versions[1] != versions[2]
    assert opened.get(f"{PATH}/a")["data"] == {"key": "2"}
    assert opened.apply(config("b"), dry_run=True)["metadata"]["name"] == "b"
    assert opened.find(f"{PATH}/b") is None


def test_create_patch_and_delete(opened: Cluster) -> None:
    opened.create(config("a", key="1"))
    with pytest.raises(ClusterApiError, match="already exists") as caught:
        opened.create(config("a"))
    assert (caught.value.status, caught.value.reason) == (409, "AlreadyExists")
    assert opened.patch(f"{PATH}/a", {"data": {"more": "2"}})["data"] == {"key": "1", "more": "2"}
    opened.delete(f"{PATH}/a")
    opened.delete(f"{PATH}/a")
    assert opened.find(f"{PATH}/a") is None


def test_pages_of_objects_and_of_metadata(opened: Cluster) -> None:
    for number in range(5):
        opened.apply(config(f"c{number}", key="x" * 2000))
    before = opened.traffic.received_bytes
    whole = list(opened.items(PATH, selector="test=real-api", limit=2))
    between = opened.traffic.received_bytes
    about = list(opened.metadata(PATH, selector="test=real-api", limit=2))
    assert [each["metadata"]["name"] for each in whole] == [f"c{number}" for number in range(5)]
    assert [each["metadata"]["name"] for each in about] == [f"c{number}" for number in range(5)]
    assert "data" not in about[0]
    assert opened.traffic.received_bytes - between < between - before


def test_a_watch_goes_on_from_a_version(opened: Cluster) -> None:
    version = opened.apply(config("a"))["metadata"]["resourceVersion"]
    opened.apply(config("a", key="1"))
    opened.delete(f"{PATH}/a")
    seen = []
    for event in opened.watch(PATH, selector="test=real-api", version=version, timeout_s=10):
        seen.append(event["type"])
        if event["type"] == "DELETED":
            break
    assert seen == ["MODIFIED", "DELETED"]


def test_a_watch_ends_in_its_time(opened: Cluster) -> None:
    opened.apply(config("a"))
    events = list(opened.watch(PATH, selector="test=real-api", timeout_s=1))
    assert events[0]["type"] == "ADDED"


def test_a_wrong_token_and_what_is_not_permitted(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    wrong = kubeconfig("c", control_plane.server, control_plane.authority, "no-such-token")
    path = write_kubeconfig(tmp_path / "wrong", [wrong])
    with (
        Cluster.open("c", path) as cluster,
        pytest.raises(CredentialsError, match="does not let you in"),
    ):
        cluster.get(PATH)
    with as_user(control_plane, "guest", tmp_path) as guest:
        with pytest.raises(CredentialsError, match="list configmaps in namespace 'default'"):
            list(guest.items(PATH))
        with pytest.raises(CredentialsError, match="list nodes"):
            list(guest.items("/api/v1/nodes"))


@pytest.mark.slow
def test_an_api_server_that_is_killed_and_comes_back(control_plane: ControlPlane) -> None:
    patience = Patience(total_s=120, first_s=0.2, longest_s=1)
    with Cluster.open(control_plane.name, control_plane.kubeconfig, patience) as cluster:
        cluster.apply(config("kept", key="1"))
        killed = threading.Event()

        def kill() -> None:
            control_plane.api_server.kill()
            killed.set()

        threading.Timer(0.5, kill).start()
        list(cluster.watch(PATH, timeout_s=60))  # it breaks off, which is its end
        assert killed.wait(30)
        control_plane.api_server.start()
        assert cluster.get(f"{PATH}/kept")["data"] == {"key": "1"}
        control_plane.api_server.wait()
        assert cluster.traffic.requests > 3
