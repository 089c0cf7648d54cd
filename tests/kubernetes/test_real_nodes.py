"""Real nodes: what the pods' promises rest on is true of this cluster, too."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.kubernetes.binaries import installed
from tests.kubernetes.client import RefusedError, wait_for
from tests.kubernetes.fixtures import SHELL, RealCluster
from tests.kubernetes.images import image
from tests.kubernetes.jobs import RESTRICTED, ended, indexed_job, pod, run
from tests.kubernetes.registry import Registry
from tests.services.http_files import http_server
from tests.services.tcp_faults import tcp_faults

Clusters = Callable[[int], Sequence[RealCluster]]
pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(real_clusters: Clusters) -> RealCluster:
    return real_clusters(1)[0]


@pytest.fixture
def namespace(cluster: RealCluster) -> str:
    return cluster.client.namespace(**RESTRICTED)


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def log_of(cluster: RealCluster, namespace: str, index: int) -> str:
    """The log of the (only) pod of an index, through the API server."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    label = f"batch.kubernetes.io%2Fjob-completion-index%3D{index}"
    (found,) = cluster.client.items(f"{path}?labelSelector={label}")
    return cluster.client.send("GET", f"{path}/{found['metadata']['name']}/log").decode()


def test_a_restricted_pod_really_runs(cluster: RealCluster, namespace: str) -> None:
    script = "id -u; touch /x 2>&1; echo staged > /stage/f && cat /stage/f; head -1 /proc/mounts"
    spec = pod(SHELL, shell(script + "; grep . /proc/self/status | head -0; cat /proc/self/status"))
    status = run(cluster.client, namespace, indexed_job("one", spec, 2))
    assert status["completedIndexes"] == "0,1"
    said = log_of(cluster, namespace, 0)
    assert said.startswith("65532\n")
    assert "Read-only file system" in said
    assert "\nstaged\n" in said
    assert "\nCapEff:\t0000000000000000\n" in said
    assert "\nSeccomp:\t2\n" in said


def test_a_pod_as_root_is_refused(cluster: RealCluster, namespace: str) -> None:
    spec = pod(SHELL, shell("id"))
    spec["securityContext"] = {"runAsUser": 0}
    with pytest.raises(RefusedError, match='violates PodSecurity "restricted') as refused:
        cluster.client.create(
            f"/api/v1/namespaces/{namespace}/pods", {"metadata": {"name": "root"}, "spec": spec}
        )
    assert refused.value.status == 403


def test_more_memory_than_the_limit_kills(cluster: RealCluster, namespace: str) -> None:
    """A memory-backed emptyDir counts, too: 24 MB staged and 16 MB read do not fit into 32 MB."""
    script = "dd if=/dev/zero of=/stage/f bs=1M count=24 && dd if=/dev/zero of=/dev/null bs=16M"
    spec = pod(SHELL, shell(script), memory="32Mi")
    status = run(cluster.client, namespace, indexed_job("hungry", spec, 1))
    assert status["failedIndexes"] == "0"
    (found,) = cluster.client.items(f"/api/v1/namespaces/{namespace}/pods")
    state = found["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (state["exitCode"], state["reason"]) == (137, "OOMKilled")


def test_exit_65_fails_the_index_and_is_not_tried_again(
    cluster: RealCluster, namespace: str
) -> None:
    spec = pod(SHELL, shell("[ $JOB_COMPLETION_INDEX = 1 ] && exit 65; exit 0"))
    status = run(cluster.client, namespace, indexed_job("one", spec, 3, retries=5))
    assert (status["completedIndexes"], status["failedIndexes"]) == ("0,2", "1")
    assert len(cluster.client.items(f"/api/v1/namespaces/{namespace}/pods")) == 3


def test_pods_reach_this_machine(cluster: RealCluster, namespace: str, tmp_path: Path) -> None:
    with http_server(tmp_path) as server, tcp_faults(server.port, host=cluster.gateway) as door:
        (server.folder / "a").write_text("from outside")
        spec = pod(SHELL, shell(f"wget -q -O - http://{door.host}:{door.port}/a"))
        run(cluster.client, namespace, indexed_job("one", spec, 1))
        assert log_of(cluster, namespace, 0) == "from outside"


def test_images_are_really_pulled(
    cluster: RealCluster, namespace: str, image_registry: Registry, tmp_path: Path
) -> None:
    files = {"bin/sh": installed("busybox"), "bin/true": "sh"}  # not the image that is there
    archive = image(tmp_path / "image.oci", "ours", files, ["/bin/sh"])
    name = image_registry.push(archive, "ours:1")
    assert name not in cluster.node.images()
    spec = pod(name, shell("true"), pull="Always")
    run(cluster.client, namespace, indexed_job("there", spec, 1))
    assert name in cluster.node.images()
    cluster.node.forget(name)

    spec = pod(f"{image_registry.host}/ours:2", shell("true"))
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    cluster.client.create(path, indexed_job("missing", spec, 1))

    def reasons() -> set[str]:
        pods = cluster.client.items(f"/api/v1/namespaces/{namespace}/pods")
        states = [one["status"].get("containerStatuses", []) for one in pods]
        return {state[0]["state"].get("waiting", {}).get("reason", "") for state in states if state}

    wait_for(lambda: reasons() & {"ErrImagePull", "ImagePullBackOff"}, "the refusal")
    cluster.client.delete(f"{path}/missing")


def test_a_killed_kubelet_costs_no_pod(cluster: RealCluster, namespace: str) -> None:
    spec = pod(SHELL, shell("sleep 4; echo survived"))
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    cluster.client.create(path, indexed_job("one", spec, 1))
    (process,) = wait_for(lambda: cluster.node.pids("sleep 4"), "the pod")[:1]
    cluster.node.kubelet.kill()
    assert process in cluster.node.pids("sleep 4")
    cluster.node.kubelet.restart()
    assert ended(cluster.client, f"{path}/one")["completedIndexes"] == "0"
    assert log_of(cluster, namespace, 0) == "survived\n"
    assert len(cluster.client.items(f"/api/v1/namespaces/{namespace}/pods")) == 1


def test_a_killed_process_is_a_failed_pod(cluster: RealCluster, namespace: str) -> None:
    """Its index is run again, and done."""
    spec = pod(SHELL, shell("sleep 2; echo done"))
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    cluster.client.create(path, indexed_job("one", spec, 1, retries=1))
    cluster.node.kill_process("sh -c sleep 2; echo done")
    assert ended(cluster.client, f"{path}/one")["completedIndexes"] == "0"
    pods = cluster.client.items(f"/api/v1/namespaces/{namespace}/pods")
    codes = [
        one["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] for one in pods
    ]
    assert sorted(codes) == [0, 137]


def test_clusters_stand_side_by_side(real_clusters: Clusters) -> None:
    one, two = real_clusters(2)
    assert one.gateway != two.gateway
    assert {node["metadata"]["name"] for node in two.client.items("/api/v1/nodes")} == {
        two.node.name
    }
