"""Every kind of object an API server has, in two requests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from higgsdemo.clusters import paths
from higgsdemo.clusters.api import Cluster

# Kubernetes >= 1.30: all groups, versions and resources in one document each.
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind: where it is listed, and what may be done with it."""

    api_version: str
    plural: str
    namespaced: bool
    verbs: frozenset[str]

    @property
    def name(self) -> str:
        """What `kubectl get` takes: ``jobs.batch``."""
        group, slash, _ = self.api_version.partition("/")
        return f"{self.plural}.{group}" if slash else self.plural

    def path(self, namespace: str = "") -> str:
        """Return the path of all objects of this kind, in one namespace or everywhere."""
        return paths.collection(self.api_version, self.plural, namespace if self.namespaced else "")


def kinds(cluster: Cluster) -> tuple[Kind, ...]:
    """Return all kinds whose objects can be deleted, each in the version its group prefers."""
    return tuple(
        kind
        for root in ("/api", "/apis")
        for group in cluster.get_as(_AGGREGATED, root).get("items") or ()
        for kind in _of_group(group)
        if {"list", "delete"} <= kind.verbs  # what cannot be deleted is a view of something else
    )


def _of_group(group: dict[str, Any]) -> Iterator[Kind]:
    """Yield the kinds of a group; those of several versions in the first, the preferred one."""
    name = (group.get("metadata") or {}).get("name") or ""
    seen: set[str] = set()
    for version in group.get("versions") or ():
        api_version = f"{name}/{version['version']}" if name else str(version["version"])
        for resource in version.get("resources") or ():
            plural = str(resource["resource"])
            if plural not in seen:
                seen.add(plural)
                namespaced = resource.get("scope") == "Namespaced"
                verbs = frozenset(map(str, resource.get("verbs") or ()))
                yield Kind(api_version, plural, namespaced, verbs)
