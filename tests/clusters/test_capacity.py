"""Room of a cluster: quantities as Kubernetes writes them, nodes that take work."""

from typing import Any

import pytest

from higgsdemo.clusters import Cluster
from higgsdemo.clusters.capacity import Capacity, capacity, quantity
from higgsdemo.errors import UsageError
from tests.clusters.scripted_api import Reply, ScriptedApi

TAINT = {"key": "real", "value": "true", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("text", "value"),
    [("500m", 0.5), ("2", 2), ("60Gi", 60 * 2**30), ("1500M", 1.5e9), ("1e3", 1000), ("0", 0),
     ("128974848", 128974848), ("1E", 1e18), (4, 4)],
)  # fmt: skip
def test_quantities(text: str | int, value: float) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize("text", ["", "two", "1 Gi", "1GB", "Gi", "1ki"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(UsageError, match="not a Kubernetes quantity"):
        quantity(text)


def node(ready: str = "True", **spec: Any) -> dict[str, Any]:
    gives = {"cpu": "3920m", "memory": "15Gi", "pods": "110"}
    conditions = [{"type": "Ready", "status": ready}]
    return {"spec": spec, "status": {"allocatable": gives, "conditions": conditions}}


def test_only_nodes_that_take_work_count(cluster: Cluster, scripted: ScriptedApi) -> None:
    cordoned = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    nodes = [node(), node(), node("Unknown"), node(taints=[TAINT]), node(taints=[cordoned])]
    scripted.say(Reply(document={"items": nodes}))
    assert capacity(cluster) == Capacity(2, 7.84, 30 * 2**30, 220)


@pytest.mark.parametrize(
    ("toleration", "count"),
    [
        ({"key": "real", "operator": "Exists"}, 1),
        ({"operator": "Exists"}, 1),
        ({"key": "real", "value": "true", "effect": "NoSchedule"}, 1),
        ({"key": "real", "value": "false"}, 0),
        ({"key": "real", "operator": "Exists", "effect": "NoExecute"}, 0),
        ({"key": "other", "operator": "Exists"}, 0),
    ],
)
def test_tolerations_let_in(
    cluster: Cluster, scripted: ScriptedApi, toleration: dict[str, str], count: int
) -> None:
    scripted.say(Reply(document={"items": [node(taints=[TAINT])]}))
    assert capacity(cluster, [toleration]).nodes == count
