"""Preparing real control planes: what is made, what is refused, how many requests it takes."""

import base64
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.clusters import Cluster, labels
from higgsdemo.clusters.capacity import capacity
from higgsdemo.clusters.documents import RESTRICTED, Image
from higgsdemo.clusters.prepare import Preparation, Prepared, prepare
from higgsdemo.clusters.prepull import Pulled
from higgsdemo.errors import CredentialsError, TransientError, UsageError
from tests.clusters.conftest import PREPARE_REQUESTS
from tests.kubernetes.client import RefusedError, wait_for
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fixtures import RealCluster, WorkerImage
from tests.kubernetes.images import shell_image
from tests.kubernetes.registry import Registry
from tests.services.process import Server, spawn, started
from tests.services.programs import UnavailableError, program

KEYS = {"access-key": b"our-access-key", "secret-key": b"our-secret-key"}
SHELL_COMMANDS = {"check": ("true",), "hold": ("sleep", "3600")}
Real = Callable[[int], list[RealCluster]]


@pytest.fixture
def opened(control_plane: ControlPlane) -> Iterator[Cluster]:
    with Cluster.open(control_plane.name, control_plane.kubeconfig) as cluster:
        yield cluster


@pytest.fixture
def space(request: pytest.FixtureRequest, control_plane: ControlPlane) -> Iterator[str]:
    """The name of a namespace of this test's own, deleted afterwards if it is there."""
    name = f"t-{abs(hash(request.node.name)) % 10**8}"
    yield name
    if control_plane.client.find(f"/api/v1/namespaces/{name}"):
        control_plane.kubectl("delete", "namespace", name, "--wait=false")


def secret(control_plane: ControlPlane, space: str) -> dict[str, bytes]:
    found = control_plane.client.find(f"/api/v1/namespaces/{space}/secrets/{labels.CREDENTIALS}")
    return {key: base64.b64decode(value) for key, value in (found or {}).get("data", {}).items()}


def as_user(control_plane: ControlPlane, user: str, folder: Path) -> Cluster:
    path = control_plane.write_kubeconfig(folder / f"kubeconfig-{user}", user)
    return Cluster.open(control_plane.name, path)


def test_what_is_made_and_that_it_stays_as_it_is(
    opened: Cluster, control_plane: ControlPlane, space: str
) -> None:
    said: list[str] = []
    done = prepare(opened, Preparation(space, credentials=KEYS), said.append)
    assert opened.traffic.requests <= PREPARE_REQUESTS
    assert done.version.startswith("1.")
    kinds = ["serviceaccounts", "secrets"]
    paths = [f"/api/v1/namespaces/{space}/{kind}" for kind in kinds]
    paths.append(f"/apis/networking.k8s.io/v1/namespaces/{space}/networkpolicies")
    mine = f"?labelSelector={labels.MANAGED_BY}%3D{labels.MANAGER}"
    first = [control_plane.client.find(path + mine) for path in paths]
    assert [[each["metadata"]["name"] for each in found["items"]] for found in first if found] == [
        ["higgsdemo-worker"],
        ["higgsdemo-credentials"],
        ["higgsdemo-worker"],
    ]
    assert secret(control_plane, space) == KEYS
    # In a shell without keys: they must not be taken from a running analysis.
    again = prepare(opened, Preparation(space), said.append)
    assert "credentials: kept as they are in the cluster" in again.notes
    second = [control_plane.client.find(path + mine) for path in paths]

    def versions(lists: list[Any]) -> list[str]:
        return [each["metadata"]["resourceVersion"] for one in lists for each in one["items"]]

    assert versions(first) == versions(second)
    assert not any(key.decode() in repr((said, done, again)) for key in KEYS.values())


def test_the_namespace_refuses_what_is_not_restricted(
    opened: Cluster, control_plane: ControlPlane, space: str
) -> None:
    prepare(opened, Preparation(space))
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": space},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    with pytest.raises(RefusedError, match="violates PodSecurity"):
        control_plane.client.create(f"/api/v1/namespaces/{space}/pods", pod)
    pod["spec"] = {"containers": [{"name": "c", "image": "i", "securityContext": dict(RESTRICTED)}]}
    control_plane.client.create(f"/api/v1/namespaces/{space}/pods", pod)


def test_the_account_of_workers_may_do_nothing(
    opened: Cluster, control_plane: ControlPlane, space: str
) -> None:
    prepare(opened, Preparation(space))
    account = opened.get(f"/api/v1/namespaces/{space}/serviceaccounts/{labels.SERVICE_ACCOUNT}")
    assert account["automountServiceAccountToken"] is False
    told = control_plane.kubectl(
        "auth", "can-i", "--list", "--no-headers", "-n", space,
        "--as", f"system:serviceaccount:{space}:{labels.SERVICE_ACCOUNT}",
    )  # fmt: skip
    may = {line.split()[0] for line in told.splitlines() if not line.lstrip().startswith("[")}
    assert {each for each in may if not each.startswith("self")} == set()


def test_a_dry_run_makes_nothing(opened: Cluster, control_plane: ControlPlane, space: str) -> None:
    wanted = Preparation(space, Image("x"), KEYS, redis_image="r", grant=("u",), dry_run=True)
    done = prepare(opened, wanted)
    assert f"Namespace {space}" in done.applied
    assert f"DaemonSet {labels.PREPULL}" in done.applied
    assert control_plane.client.find(f"/api/v1/namespaces/{space}") is None
    prepare(opened, Preparation(space))
    prepare(opened, wanted)  # now the API server checks each document
    found = control_plane.client.find(f"/apis/apps/v1/namespaces/{space}/deployments")
    assert found is not None
    assert found["items"] == []
    assert secret(control_plane, space) == {}


def test_who_may_not_is_told_each_verb_and_nothing_is_made(
    control_plane: ControlPlane, space: str, tmp_path: Path
) -> None:
    with (
        as_user(control_plane, "guest", tmp_path) as guest,
        pytest.raises(CredentialsError, match="does not permit you to prepare it") as caught,
    ):
        prepare(guest, Preparation(space))
    for each in ("create serviceaccounts", "patch secrets", "create daemonsets.apps",
                 "patch networkpolicies.networking.k8s.io", "create namespaces"):  # fmt: skip
        assert each in str(caught.value)
    assert control_plane.client.find(f"/api/v1/namespaces/{space}") is None


def test_granted_users_may_submit_and_no_more(
    opened: Cluster, control_plane: ControlPlane, space: str, tmp_path: Path
) -> None:
    prepare(opened, Preparation(space, grant=("developer",)))
    with as_user(control_plane, "developer", tmp_path) as developer:
        config = {"apiVersion": "v1", "kind": "ConfigMap",
                  "metadata": {"name": "c", "namespace": space}}  # fmt: skip
        developer.apply(config)
        assert developer.get(f"/api/v1/namespaces/{space}")["metadata"]["name"] == space
        assert developer.find(f"/apis/batch/v1/namespaces/{space}/jobs/none") is None
        with pytest.raises(CredentialsError, match="get secrets"):
            developer.get(f"/api/v1/namespaces/{space}/secrets/{labels.CREDENTIALS}")
        with pytest.raises(CredentialsError, match="create configmaps in namespace 'default'"):
            developer.create({**config, "metadata": {"name": "c", "namespace": "default"}})


def namespace(control_plane: ControlPlane, name: str, **quota: str) -> None:
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    control_plane.client.create("/api/v1/namespaces", space)
    limits = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small", "namespace": name},
        "spec": {"hard": quota},
    }
    control_plane.client.create(f"/api/v1/namespaces/{name}/resourcequotas", limits)


def test_a_quota_without_room_for_a_pod(
    opened: Cluster, control_plane: ControlPlane, space: str
) -> None:
    namespace(control_plane, space, pods="0")
    with pytest.raises(UsageError, match="quota of namespace") as caught:
        prepare(opened, Preparation(space, Image("x")))
    assert "pods: 0 of 0 used, quota 'small'" in str(caught.value)
    found = opened.get(f"/api/v1/namespaces/{space}/serviceaccounts")
    assert labels.SERVICE_ACCOUNT not in [each["metadata"]["name"] for each in found["items"]]


def test_a_namespace_that_was_there_is_not_called_ours(
    opened: Cluster, control_plane: ControlPlane, space: str
) -> None:
    namespace(control_plane, space, pods="5")
    done = prepare(opened, Preparation(space))
    known = opened.get(f"/api/v1/namespaces/{space}")["metadata"]["labels"]
    assert labels.MANAGED_BY not in known
    assert known["pod-security.kubernetes.io/enforce"] == "restricted"
    assert any("5 pods at once" in note for note in done.notes)


def test_no_node_at_all(opened: Cluster, space: str) -> None:
    with pytest.raises(UsageError, match="cannot be pulled") as caught:
        prepare(opened, Preparation(space, Image("x"), timeout_s=60))
    assert "no node takes these pods" in str(caught.value)


@pytest.mark.slow
def test_every_node_pulls_and_who_does_not_is_told_once(
    kwok_cluster: Callable[..., ControlPlane], tmp_path: Path
) -> None:
    plane = kwok_cluster("5:8:32Gi", name="pull")
    seen: list[str] = []
    with Cluster.open(plane.name, plane.kubeconfig) as cluster:
        assert capacity(cluster).nodes == 5
        done = prepare(cluster, Preparation(image=Image("x")), seen.append)
        assert done.pulled == Pulled(5, 5)
        assert cluster.traffic.requests <= PREPARE_REQUESTS
        assert any("5 of 5 nodes" in line for line in seen)
        daemon_sets = "/apis/apps/v1/namespaces/higgsdemo/daemonsets"
        assert cluster.get(daemon_sets)["items"] == []
        pods = "/api/v1/namespaces/higgsdemo/pods"
        wait_for(lambda: not cluster.get(pods)["items"], "the end of the pods of the pre-pull")
        done = prepare(cluster, Preparation(redis_image="redis"))
        assert any("redis://higgsdemo-redis.higgsdemo.svc:6379/0" in note for note in done.notes)
        assert len(secret(plane, "higgsdemo")["redis-password"]) >= 20
        first = secret(plane, "higgsdemo")
        prepare(cluster, Preparation(redis_image="redis"))
        assert secret(plane, "higgsdemo") == first
        cluster.delete("/apis/apps/v1/namespaces/higgsdemo/deployments/higgsdemo-redis")
        wait_for(lambda: not cluster.get(pods)["items"], "the end of Redis")
        quota = {
            "apiVersion": "v1", "kind": "ResourceQuota",
            "metadata": {"name": "small", "namespace": "higgsdemo"},
            "spec": {"hard": {"pods": "2"}},
        }  # fmt: skip
        cluster.apply(quota)
        wanted = Preparation(image=Image("x"), timeout_s=6)
        with pytest.raises(TransientError, match="not on all nodes after 6 s") as caught:
            prepare(cluster, wanted)
        assert "2 of 5 nodes ready" in str(caught.value)
        assert str(caught.value).count("exceeded quota") == 1
        assert cluster.get(daemon_sets)["items"] == []


@pytest.fixture
def real(needs_real_nodes: None, real_clusters: Real) -> Iterator[tuple[Cluster, RealCluster]]:
    (one,) = real_clusters(1)
    with Cluster.open(one.name, one.control_plane.kubeconfig) as cluster:
        yield cluster, one
        for document in cluster.items("/api/v1/namespaces"):
            if document["metadata"]["name"].startswith("pull-"):
                cluster.delete(f"/api/v1/namespaces/{document['metadata']['name']}")


def pull(cluster: Cluster, name: str, image: str, **commands: tuple[str, ...]) -> Prepared:
    commands = {**SHELL_COMMANDS, **commands}
    return prepare(cluster, Preparation(name, Image(image, "Always", **commands), timeout_s=90))


@pytest.mark.slow
def test_a_real_node_pulls_runs_and_lets_go(
    real: tuple[Cluster, RealCluster], image_registry: Registry, tmp_path: Path
) -> None:
    cluster, _ = real
    pushed = image_registry.push(shell_image(tmp_path / "shell.oci", "pulled"), "pulled:1")
    done = pull(cluster, "pull-works", pushed)
    assert done.pulled == Pulled(1, 1)
    assert image_registry.pulls("pulled:1") >= 1
    assert cluster.get("/apis/apps/v1/namespaces/pull-works/daemonsets")["items"] == []


@pytest.mark.slow
def test_an_image_that_cannot_be_pulled_is_told_once_and_at_once(
    real: tuple[Cluster, RealCluster], image_registry: Registry
) -> None:
    cluster, _ = real
    with pytest.raises(UsageError, match="cannot be pulled") as caught:
        pull(cluster, "pull-absent", f"{image_registry.host}/absent:1")
    assert "0 of 1 nodes ready" in str(caught.value)
    assert "not found" in str(caught.value)
    assert cluster.get("/apis/apps/v1/namespaces/pull-absent/daemonsets")["items"] == []


@pytest.mark.slow
def test_an_image_that_does_not_run_is_told(
    real: tuple[Cluster, RealCluster], image_registry: Registry, tmp_path: Path
) -> None:
    cluster, _ = real
    pushed = image_registry.push(shell_image(tmp_path / "shell.oci", "fails"), "fails:1")
    image = Image(pushed, check=("sh", "-c", "echo no module; exit 3"), hold=("true",))
    with pytest.raises(UsageError, match="cannot run") as caught:
        prepare(cluster, Preparation("pull-fails", image, timeout_s=60))
    assert "the image does not run: exit status 3: no module" in str(caught.value)


def test_a_pod_of_the_pre_pull_may_do_little() -> None:
    from higgsdemo.clusters.documents import Scheduling, prepull

    pod = prepull("ns", Image("x"), Scheduling())["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    for container in pod["initContainers"] + pod["containers"]:
        assert container["securityContext"] == RESTRICTED
    assert "secret" not in json.dumps(pod).lower()


def test_redis_takes_its_password_from_the_secret_and_shows_it_to_nobody(tmp_path: Path) -> None:
    from higgsdemo.clusters.documents import Scheduling, redis

    pod = redis("ns", "redis", Scheduling())[0]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    shell, flag, script = container["command"]
    (tmp_path / "redis-password").write_text("s3cr3t-of-redis")
    binary = or_skip_program("redis-server", "valkey-server")

    def start(ports: list[int]) -> Server:
        local = (
            script.replace(labels.SECRETS_DIR, str(tmp_path))
            .replace("dir /data", f"dir {tmp_path}\\nport {ports[0]}\\nbind 127.0.0.1")
            .replace("exec redis-server", f"exec {binary}")
        )
        return spawn("redis", [shell, flag, local], tmp_path / "log", cwd=tmp_path)

    def ready(server: Server, ports: list[int]) -> bool:
        with socket.create_connection(("127.0.0.1", ports[0]), timeout=2) as connection:
            connection.sendall(b"PING\r\nAUTH s3cr3t-of-redis\r\nPING\r\nQUIT\r\n")
            said = b""
            while part := connection.recv(4096):
                said += part
        return said.startswith(b"-NOAUTH") and b"+OK\r\n+PONG" in said

    with started(start, ready) as (server, _):
        shown = Path(f"/proc/{server.pid}/cmdline").read_bytes()
        assert b"s3cr3t" not in shown
        assert b"s3cr3t" not in Path(f"/proc/{server.pid}/environ").read_bytes()


def or_skip_program(*names: str) -> str:
    for name in names:
        try:
            return program(name)
        except UnavailableError as error:
            missing = str(error)
    pytest.skip(missing)


def test_a_password_that_would_break_the_settings_of_redis(opened: Cluster, space: str) -> None:
    wanted = Preparation(space, credentials={"redis-password": b'a "b'}, redis_image="redis")
    with pytest.raises(UsageError, match="cannot be the password of a Redis"):
        prepare(opened, wanted)


@pytest.mark.slow
def test_the_image_of_workers_is_pulled_and_runs_with_what_prepare_allows_it(
    real: tuple[Cluster, RealCluster], image_registry: Registry, worker_image: WorkerImage
) -> None:
    cluster, _ = real
    pushed = image_registry.push(worker_image.archive, "worker:1")
    done = prepare(cluster, Preparation("pull-worker", Image(pushed), timeout_s=240))
    assert done.pulled == Pulled(1, 1)
