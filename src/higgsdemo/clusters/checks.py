"""What is checked before anything is made: version, permissions, quotas."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from higgsdemo.clusters.api import Cluster
from higgsdemo.clusters.capacity import quantity
from higgsdemo.clusters.refusals import DeniedError
from higgsdemo.errors import CredentialsError, UsageError

OLDEST = (1, 33)
# What we use, and the version in which it became stable: kubernetes.io, "Jobs" and the KEPs named.
_FEATURES = {
    (1, 31): "pod failure policies of Jobs (KEP 3329)",
    (1, 33): "back-off limits per index of Indexed Jobs (KEP 3850)",
}


@dataclass(frozen=True, slots=True)
class Need:
    """A permission: verbs on a kind, in the namespace or (`everywhere`) in the whole cluster."""

    resource: str
    verbs: tuple[str, ...]
    group: str = ""
    everywhere: bool = False

    @property
    def name(self) -> str:
        """What admins call it: ``jobs.batch``."""
        return f"{self.resource}.{self.group}" if self.group else self.resource


_WRITE = ("create", "patch")
PREPARE = (
    Need("serviceaccounts", _WRITE),
    Need("secrets", ("get", *_WRITE)),
    Need("networkpolicies", _WRITE, "networking.k8s.io"),
    Need("daemonsets", ("get", "list", "watch", "delete", *_WRITE), "apps"),
    Need("pods", ("list",)),
    Need("events", ("list",)),
)
PREPARE_REDIS = (
    Need("deployments", ("get", "list", "watch", *_WRITE), "apps"),
    Need("services", _WRITE),
)
GRANT = (
    Need("roles", _WRITE, "rbac.authorization.k8s.io"),
    Need("rolebindings", _WRITE, "rbac.authorization.k8s.io"),
)
SUBMIT = (
    Need("namespaces", ("get",)),  # this one alone
    Need("jobs", ("get", "list", *_WRITE, "deletecollection"), "batch"),
    Need("configmaps", ("get", "list", *_WRITE, "deletecollection")),
    Need("resourcequotas", ("list",)),
)
# Not needed, but with it `submit` sees beforehand that a cluster is not prepared.
LOOK = (Need("serviceaccounts", ("get",)),)
WATCH = (
    Need("jobs", ("get", "list", "watch"), "batch"),
    Need("pods", ("get", "list")),
    Need("events", ("list",)),
)
CLEANUP = (
    Need("jobs", ("list", "deletecollection"), "batch"),
    Need("pods", ("list", "deletecollection")),
    Need("configmaps", ("list", "deletecollection")),
)


def check_version(cluster: Cluster) -> str:
    """Return the version of the API server, e.g. ``1.36``.

    Raises UsageError for one that is too old, with what it lacks. One request.
    """
    said = cluster.get("/version")
    found = tuple(int(re.sub(r"\D.*", "", str(said.get(key))) or 0) for key in ("major", "minor"))
    if found < OLDEST:
        lacks = [what for since, what in _FEATURES.items() if found < since]
        raise UsageError(
            f"the Kubernetes of cluster {cluster.name!r} is too old: "
            f"{found[0]}.{found[1]}, needed is {OLDEST[0]}.{OLDEST[1]}",
            why=f"it lacks {' and '.join(lacks)}",
            where=cluster.server,
            hint="upgrade its control plane, or leave this cluster out",
        )
    return f"{found[0]}.{found[1]}"


def missing_access(cluster: Cluster, namespace: str, needs: Iterable[Need]) -> tuple[str, ...]:
    """Return what is not permitted, e.g. ``create jobs.batch in namespace 'higgsdemo'``.

    One request shows all rules of a namespace; only what they do not grant is asked one by one
    (SelfSubjectAccessReview), as some authorisers do not list their rules.
    """
    wanted = list(dict.fromkeys((need, verb) for need in needs for verb in need.verbs))
    rules: Sequence[Mapping[str, Any]] = ()
    if any(not need.everywhere for need, _ in wanted):
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "metadata": {},
            "spec": {"namespace": namespace},
        }
        rules = (cluster.create(review).get("status") or {}).get("resourceRules") or ()
    return tuple(
        f"{verb} {need.name}" + ("" if need.everywhere else f" in namespace {namespace!r}")
        for need, verb in wanted
        if not (not need.everywhere and _granted(rules, need, verb))
        and not _allowed(cluster, namespace, need, verb)
    )


def check_access(cluster: Cluster, namespace: str, needs: Iterable[Need], doing: str) -> None:
    """Raise CredentialsError unless all is permitted: each verb and what on is named."""
    missing = missing_access(cluster, namespace, needs)
    if missing:
        raise CredentialsError(
            f"cluster {cluster.name!r} does not permit you to {doing}",
            why=f"not permitted: {', '.join(missing)}",
            where=cluster.server,
            hint="ask its admin for these, or to run `higgsdemo prepare --grant USER` for you",
        )


def _granted(rules: Iterable[Mapping[str, Any]], need: Need, verb: str) -> bool:
    def has(rule: Mapping[str, Any], key: str, value: str) -> bool:
        return bool({"*", value} & set(rule.get(key) or ()))

    return any(
        has(rule, "verbs", verb)
        and has(rule, "apiGroups", need.group)
        and has(rule, "resources", need.resource)
        and not rule.get("resourceNames")
        for rule in rules
    )


def _allowed(cluster: Cluster, namespace: str, need: Need, verb: str) -> bool:
    resource, _, subresource = need.resource.partition("/")
    asked = {"verb": verb, "group": need.group, "resource": resource}
    if subresource:
        asked["subresource"] = subresource
    if not need.everywhere:
        asked["namespace"] = namespace
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "metadata": {},
        "spec": {"resourceAttributes": asked},
    }
    return bool((cluster.create(review).get("status") or {}).get("allowed"))


@dataclass(frozen=True, slots=True)
class Demand:
    """What a plan wants of a namespace: objects by kind, and what one pod asks for."""

    objects: Mapping[str, int]  # {"jobs.batch": 3, "configmaps": 7}
    cores_per_pod: float = 0.0
    memory_bytes_per_pod: int = 0


@dataclass(frozen=True, slots=True)
class QuotaRoom:
    """How many pods the quotas let run at once (None: any number), and what sets that limit."""

    pods: int | None = None
    limit: str = ""


def check_quota(cluster: Cluster, namespace: str, demand: Demand) -> QuotaRoom:
    """Return how many pods of the plan fit at once into the quotas of a namespace.

    Raises UsageError where its objects do not fit, or not even one pod. One request. A namespace
    whose quotas may not be seen counts as having none: the API server will say.
    """
    per_pod = {
        "pods": 1.0,
        "count/pods": 1.0,
        **dict.fromkeys(("cpu", "requests.cpu", "limits.cpu"), demand.cores_per_pod),
        **dict.fromkeys(
            ("memory", "requests.memory", "limits.memory"), float(demand.memory_bytes_per_pod)
        ),
    }
    objects: dict[str, float] = {}
    for kind, count in demand.objects.items():
        objects |= {f"count/{kind}": count, kind: count}
    room = QuotaRoom()
    try:
        quotas = list(cluster.items(f"/api/v1/namespaces/{namespace}/resourcequotas"))
    except DeniedError:
        return room
    for quota in quotas:
        name = quota["metadata"]["name"]
        if (quota.get("spec") or {}).get("scopes") or (quota.get("spec") or {}).get(
            "scopeSelector"
        ):
            continue  # of some pods only: which ones, the API server knows
        status = quota.get("status") or {}
        hard = status.get("hard") or (quota.get("spec") or {}).get("hard") or {}
        for resource, most in hard.items():
            used = (status.get("used") or {}).get(resource, 0)
            left = quantity(most) - quantity(used)
            told = f"{resource}: {used} of {most} used, quota {name!r}"
            wanted = objects.get(resource, 0)
            if left < wanted:
                more = f"{wanted:g} more {resource.removeprefix('count/')} wanted"
                raise _too_small(cluster, namespace, f"{told}; {more}")
            share = per_pod.get(resource)
            if share:
                pods = int(left // share)
                if pods < 1:  # used up, or more used than a later quota allows
                    raise _too_small(cluster, namespace, f"{told}; a pod wants {share:g}")
                if room.pods is None or pods < room.pods:
                    room = QuotaRoom(pods, told)
    return room


def _too_small(cluster: Cluster, namespace: str, why: str) -> UsageError:
    return UsageError(
        f"the quota of namespace {namespace!r} is too small in cluster {cluster.name!r}",
        why=why,
        where=cluster.server,
        hint="clean up what is not needed (higgsdemo cleanup), or ask its admin for more",
    )
