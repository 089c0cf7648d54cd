"""Simulated nodes: pods end exactly as the stages say, and Kubernetes counts them so."""

from collections.abc import Callable

import pytest

from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.jobs import RESTRICTED, indexed_job, pod, run
from tests.kubernetes.kwok import ready_nodes
from tests.kubernetes.stages import Stages

Start = Callable[..., ControlPlane]


@pytest.mark.slow
def test_indexes_end_as_the_stages_say(kwok_cluster: Start) -> None:
    stages = Stages((200, 800), bad_input=[13], transient=[17], preempted=[19, 20])
    client = kwok_cluster("3:16:60Gi", stages).client
    assert len(ready_nodes(client)) == 3
    namespace = client.namespace(**RESTRICTED)
    status = run(client, namespace, indexed_job("one", pod("any", ["any"]), 24))
    assert status["failedIndexes"] == "13,17"
    assert status["succeeded"] == 22
    assert status["completedIndexes"] == "0-12,14-16,18-23"
    pods = client.items(f"/api/v1/namespaces/{namespace}/pods")
    codes = [
        pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] for pod in pods
    ]
    assert sorted(codes) == [0] * 22 + [65, 75, 143, 143]
