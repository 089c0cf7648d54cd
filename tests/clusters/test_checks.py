"""What is checked before anything is made."""

import json
from typing import Any

import pytest

from higgsdemo.clusters import Cluster
from higgsdemo.clusters.checks import (
    CLEANUP,
    PREPARE,
    SUBMIT,
    WATCH,
    Demand,
    Need,
    QuotaRoom,
    check_access,
    check_quota,
    check_version,
)
from higgsdemo.errors import CredentialsError, UsageError
from tests.clusters.scripted_api import Reply, ScriptedApi, refused


def version(minor: str) -> Reply:
    return Reply(document={"major": "1", "minor": minor})


@pytest.mark.parametrize(("minor", "lacks"), [("29+", "pod failure"), ("32", "limits per index")])
def test_an_old_cluster_is_told_what_it_lacks(
    cluster: Cluster, scripted: ScriptedApi, minor: str, lacks: str
) -> None:
    scripted.say(version(minor))
    with pytest.raises(UsageError, match=f"too old: 1.{minor[:2]}, needed is 1.33") as caught:
        check_version(cluster)
    assert lacks in str(caught.value)
    assert ("pod failure" in str(caught.value)) == (minor == "29+")


@pytest.mark.parametrize("minor", ["33", "33+", "36"])
def test_newer_ones_will_do(cluster: Cluster, scripted: ScriptedApi, minor: str) -> None:
    scripted.say(version(minor))
    assert check_version(cluster) == f"1.{minor[:2]}"


def test_each_verb_that_is_missing_is_named(cluster: Cluster, scripted: ScriptedApi) -> None:
    rules = [
        {"verbs": ["get", "list"], "apiGroups": ["batch"], "resources": ["jobs"]},
        {"verbs": ["*"], "apiGroups": [""], "resources": ["*"], "resourceNames": ["one"]},
    ]
    no, yes = {"status": {"allowed": False}}, {"status": {"allowed": True}}
    scripted.say(
        Reply(document={"status": {"resourceRules": rules}}),
        *[Reply(document=said) for said in (no, yes, no)],
    )
    needs = [
        Need("jobs", ("get", "create"), "batch"),
        Need("pods/log", ("get",)),
        Need("nodes", ("list",), everywhere=True),
    ]
    with pytest.raises(CredentialsError, match="does not permit you to submit") as caught:
        check_access(cluster, "ns", needs, "submit")
    said = "not permitted: create jobs.batch in namespace 'ns', list nodes"
    assert said in str(caught.value)
    asked = [json.loads(each.body)["spec"]["resourceAttributes"] for each in scripted.asked[1:]]
    assert asked == [
        {"verb": "create", "group": "batch", "resource": "jobs", "namespace": "ns"},
        {"verb": "get", "group": "", "resource": "pods", "subresource": "log", "namespace": "ns"},
        {"verb": "list", "group": "", "resource": "nodes"},
    ]


def test_nothing_is_asked_for_that_nobody_uses() -> None:
    """Admins had to permit the reading of logs, which no command does."""
    needs = {need.name: need.verbs for need in (*PREPARE, *SUBMIT, *WATCH, *CLEANUP)}
    assert "pods/log" not in needs
    assert needs["events"] == ("list",)


def quota(hard: dict[str, str], used: dict[str, str] | None = None, **spec: Any) -> Reply:
    status = {"hard": hard, "used": used or {}}
    return Reply(document={"items": [{"metadata": {"name": "q"}, "spec": spec, "status": status}]})


DEMAND = Demand({"jobs.batch": 3, "configmaps": 5}, 1.0, 2 * 2**30)


@pytest.mark.parametrize(
    ("hard", "used", "room"),
    [
        ({}, {}, None),
        ({"pods": "10"}, {"pods": "4"}, 6),
        ({"requests.cpu": "3500m"}, {}, 3),
        ({"limits.memory": "9Gi", "pods": "100"}, {"limits.memory": "1Gi"}, 4),
        ({"count/jobs.batch": "3", "services": "0"}, {}, None),
    ],
)
def test_how_many_pods_fit(
    cluster: Cluster,
    scripted: ScriptedApi,
    hard: dict[str, str],
    used: dict[str, str],
    room: int | None,
) -> None:
    scripted.say(quota(hard, used))
    assert check_quota(cluster, "ns", DEMAND).pods == room


@pytest.mark.parametrize(
    ("hard", "used", "said"),
    [
        ({"pods": "4"}, {"pods": "4"}, "pods: 4 of 4 used, quota 'q'; a pod wants 1"),
        ({"pods": "2"}, {"pods": "5"}, "pods: 5 of 2 used"),
        ({"requests.cpu": "500m"}, {}, "requests.cpu: 0 of 500m used"),
        ({"memory": "1Gi"}, {}, "memory: 0 of 1Gi used"),
        ({"count/jobs.batch": "3"}, {"count/jobs.batch": "1"}, "3 more jobs.batch wanted"),
        ({"configmaps": "4"}, {}, "5 more configmaps wanted"),
    ],
)
def test_a_quota_that_is_too_small(
    cluster: Cluster, scripted: ScriptedApi, hard: dict[str, str], used: dict[str, str], said: str
) -> None:
    scripted.say(quota(hard, used))
    with pytest.raises(UsageError, match="the quota of namespace 'ns' is too small") as caught:
        check_quota(cluster, "ns", DEMAND)
    assert said in str(caught.value)


def test_a_quota_of_some_pods_only_is_left_to_the_server(
    cluster: Cluster, scripted: ScriptedApi
) -> None:
    scripted.say(quota({"pods": "0"}, scopes=["BestEffort"]))
    assert check_quota(cluster, "ns", DEMAND) == QuotaRoom()


def test_quotas_that_may_not_be_seen(cluster: Cluster, scripted: ScriptedApi) -> None:
    message = 'User "e" cannot list resource "resourcequotas" in API group ""'
    scripted.say(refused(403, message, "Forbidden"))
    assert check_quota(cluster, "ns", DEMAND) == QuotaRoom()
