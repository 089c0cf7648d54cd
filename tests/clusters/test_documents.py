"""What `prepare` puts into a cluster, looked at as documents."""

import ipaddress
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.clusters import labels
from higgsdemo.clusters.documents import Scheduling, network_policy, redis, submitter
from tests.cli.conftest import higgsdemo
from tests.clusters.scripted_api import Reply, ScriptedApi

__all__ = ["higgsdemo"]
METADATA = ["169.254.169.254", "fd00:ec2::254", "fd20:ce::254"]
STORAGE = [80, 443, 1094, 1095, 6379]


def egress(policy: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rule of names, and the rule of everything else."""
    names, others = policy["spec"]["egress"]
    return names, others


def reached(policy: Mapping[str, Any], address: str, port: int) -> bool:
    """Whether a pod under the policy may connect to an address outside, as Kubernetes reads it."""
    at = ipaddress.ip_address(address)

    def is_in(block: Mapping[str, Any]) -> bool:
        said = (block["cidr"], *block.get("except", ()))
        networks = [ipaddress.ip_network(each) for each in said]
        inside, *excepted = [at.version == one.version and at in one for one in networks]
        return inside and not any(excepted)

    return any(
        any((each["port"], each["protocol"]) == (port, "TCP") for each in rule["ports"])
        and ("to" not in rule or any(is_in(to["ipBlock"]) for to in rule["to"] if "ipBlock" in to))
        for rule in policy["spec"]["egress"]
    )


def chosen(policy: Mapping[str, Any], pod_labels: Mapping[str, str]) -> bool:
    """Whether the policy is for a pod with these labels."""
    selector = policy["spec"]["podSelector"]
    wanted, unwanted = selector["matchLabels"], selector["matchExpressions"]
    assert {one["operator"] for one in unwanted} == {"NotIn"}
    return all(pod_labels.get(key) == text for key, text in wanted.items()) and not any(
        pod_labels.get(one["key"]) in one["values"] for one in unwanted
    )


def test_nobody_may_connect_to_our_pods() -> None:
    policy = network_policy("ns")
    assert policy["metadata"]["namespace"] == "ns"
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy["spec"]  # no rule: none is let in


def test_it_is_for_the_pods_of_runs_and_not_for_redis() -> None:
    policy = network_policy("ns")
    pods = redis("ns", "image", Scheduling())[0]["spec"]["template"]["metadata"]["labels"]
    assert chosen(policy, labels.ours("run"))
    assert chosen(policy, labels.ours())
    assert not chosen(policy, pods)
    assert not chosen(policy, {"app": "of others"})


@pytest.mark.parametrize("port", STORAGE)
def test_storage_is_reached_and_the_metadata_of_a_cloud_is_not(port: int) -> None:
    policy = network_policy("ns")
    assert reached(policy, "188.184.9.234", port)
    assert reached(policy, "2001:1458:d00:3b::100:222", port)
    for address in METADATA:
        assert not reached(policy, address, port)


def test_ports() -> None:
    names, others = egress(network_policy("ns"))
    assert [(each["port"], each["protocol"]) for each in names["ports"]] == [
        (53, "UDP"),
        (53, "TCP"),
    ]
    assert [each["port"] for each in others["ports"]] == STORAGE
    more = egress(network_policy("ns", (9000, 443, 9000)))[1]
    assert [each["port"] for each in more["ports"]] == [*STORAGE, 9000]
    assert not reached(network_policy("ns"), "188.184.9.234", 9000)
    assert reached(network_policy("ns", (9000,)), "188.184.9.234", 9000)
    assert not reached(network_policy("ns", (9000,)), METADATA[0], 9000)
    assert {"namespaceSelector": {}} in others["to"]  # pods of the cluster, a Redis among them


def test_prepare_puts_it_there_with_the_ports_of_the_command(
    higgsdemo: Any,
    tmp_path: Path,
    scripted: ScriptedApi,
) -> None:
    ready = {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    scripted.say(
        Reply(document={"major": "1", "minor": "34"}),
        Reply(document={"metadata": ready}),
        Reply(document={"status": {"resourceRules": [everything]}}),
    )
    words = ("--cluster", "scripted", "--kubeconfig", scripted.kubeconfig(tmp_path))
    said = higgsdemo("prepare", *words, "--egress-port", 9000, "--namespace", "ns")
    assert said.status == 0, said.err
    (sent,) = [json.loads(each.body) for each in scripted.asked if "networkpolicies" in each.target]
    assert sent == network_policy("ns", (9000,))


def test_who_is_granted_a_role_may_do_what_runs_need_and_no_more() -> None:
    role, binding = submitter("ns", ["me"])
    may = {each for rule in role["rules"] for each in rule["resources"]}
    needed = {"configmaps", "events", "jobs", "namespaces", "pods", "resourcequotas"}
    assert may == needed | {"serviceaccounts"}
    (accounts,) = [rule for rule in role["rules"] if rule["resources"] == ["serviceaccounts"]]
    assert accounts["verbs"] == ["get"]  # whether the cluster is prepared, seen beforehand
    assert [each["name"] for each in binding["subjects"]] == ["me"]
