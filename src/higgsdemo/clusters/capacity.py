"""What a cluster has room for: nodes that take work, their cores and memory."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from higgsdemo.errors import UsageError

if TYPE_CHECKING:
    from higgsdemo.clusters.api import Cluster

_QUANTITY = re.compile(r"([+-]?\d+(?:\.\d+)?)(?:([eE][+-]?\d+)|(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?")
_SUFFIXES: dict[str | None, float] = {
    None: 1.0,
    "m": 1e-3,
    **{letter: 1000.0 ** (n + 1) for n, letter in enumerate("kMGTPE")},
    **{f"{letter}i": 1024.0 ** (n + 1) for n, letter in enumerate("KMGTPE")},
}


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the nodes that take work can give to pods: cores, memory in bytes, pods at once."""

    nodes: int = 0
    cores: float = 0.0
    memory_bytes: int = 0
    pods: int = 0


def quantity(text: str | float) -> float:
    """Read a Kubernetes quantity: ``500m`` is 0.5, ``60Gi`` is 64424509440.

    Raises UsageError for what is none.
    """
    found = _QUANTITY.fullmatch(str(text).strip())
    if found is None:
        raise UsageError(
            f"not a Kubernetes quantity: {str(text)!r}", hint="write e.g. 500m, 2, 1500M or 2Gi"
        )
    number, exponent, suffix = found.groups()
    return float(number + exponent) if exponent else float(number) * _SUFFIXES[suffix]


def capacity(cluster: Cluster, tolerations: Sequence[Mapping[str, Any]] = ()) -> Capacity:
    """Return what the ready nodes can give to pods that have these `tolerations`.

    One request per 500 nodes. What runs there already is not subtracted: the scheduler knows.
    """
    total = Capacity()
    for node in cluster.items("/api/v1/nodes"):
        if not takes_work(node, tolerations):
            continue
        gives = (node.get("status") or {}).get("allocatable") or {}
        total = Capacity(
            total.nodes + 1,
            total.cores + quantity(gives.get("cpu", 0)),
            total.memory_bytes + int(quantity(gives.get("memory", 0))),
            total.pods + int(quantity(gives.get("pods", 0))),
        )
    return total


def takes_work(node: Mapping[str, Any], tolerations: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a node is ready and lets pods with these tolerations in."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    ready = all(each.get("status") == "True" for each in conditions if each.get("type") == "Ready")
    taints = (node.get("spec") or {}).get("taints") or ()
    barred = any(
        taint.get("effect") in ("NoSchedule", "NoExecute")
        and not any(_tolerated(taint, each) for each in tolerations)
        for taint in taints
    )
    return ready and not barred


def _tolerated(taint: Mapping[str, Any], toleration: Mapping[str, Any]) -> bool:
    """Whether a toleration fits a taint, by the scheduler's rules."""
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint.get("key"))
    return toleration.get("key") == taint.get("key") and (toleration.get("value") or "") == (
        taint.get("value") or ""
    )
