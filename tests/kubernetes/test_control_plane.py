"""The control plane without nodes: it serves, it refuses, and it survives kill -9."""

import json

import pytest

from tests.kubernetes.client import RefusedError, wait_for
from tests.kubernetes.control_plane import ControlPlane


def secret(value: str) -> dict[str, object]:
    return {"metadata": {"name": "one"}, "stringData": {"value": value}}


def test_it_is_as_new_as_the_project_needs(control_plane: ControlPlane) -> None:
    version = control_plane.client.get("/version")
    assert (int(version["major"]), int(version["minor"])) >= (1, 33)


def test_only_what_is_granted_is_allowed(control_plane: ControlPlane) -> None:
    namespace = control_plane.client.namespace()
    path = f"/api/v1/namespaces/{namespace}/secrets"
    with pytest.raises(RefusedError, match='User "guest" cannot create resource') as refused:
        control_plane.client_of("guest").create(path, secret("1"))
    assert refused.value.status == 403


def test_a_wrong_token_is_nobody(control_plane: ControlPlane) -> None:
    client = control_plane.client_of("admin")
    stranger = type(client)(client.server, client.authority, "wrong")
    with pytest.raises(RefusedError) as refused:
        stranger.get("/api/v1/namespaces")
    assert refused.value.status == 401


@pytest.mark.parametrize("killed", ["etcd", "api_server"])
def test_kill_and_restart_lose_nothing(control_plane: ControlPlane, killed: str) -> None:
    client = control_plane.client
    namespace = client.namespace()
    path = f"/api/v1/namespaces/{namespace}/secrets"
    client.create(path, secret("kept"))
    part = getattr(control_plane, killed)
    before = part.process.pid
    part.kill()
    if killed == "api_server":
        with pytest.raises(OSError, match="refused"):
            client.get(path)
    part.restart()
    assert part.process.pid != before
    wait_for(client.ready, "the API server")
    found = wait_for(lambda: client.find(f"{path}/one"), "the secret")
    assert found["data"]["value"] == "a2VwdA=="


def test_kubeconfigs_of_several_clusters_are_one_file(control_plane: ControlPlane) -> None:
    config = json.loads(control_plane.kubeconfig.read_text())
    assert control_plane.kubeconfig.stat().st_mode & 0o077 == 0
    assert config["current-context"] == control_plane.name
    assert control_plane.kubectl("get", "namespace", "default", "-o", "name") == (
        "namespace/default\n"
    )
