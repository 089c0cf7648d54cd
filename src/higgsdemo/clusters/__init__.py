"""Kubernetes clusters: reaching them, checking, preparing and tidying them up.

A cluster is a context of a kubeconfig. The official `kubernetes` package reads the configuration
and signs in; requests and answers are plain JSON, counted one by one (promise P7).

What needs that package (the extra `kubernetes`) is imported when it is first asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from higgsdemo.clusters.mapping import ClusterEntry, read_mapping
from higgsdemo.errors import UsageError

if TYPE_CHECKING:
    from higgsdemo.clusters.api import Cluster
    from higgsdemo.clusters.chosen import cluster_names, open_clusters, several
    from higgsdemo.clusters.contexts import IN_CLUSTER, context_names
    from higgsdemo.clusters.refusals import ClusterApiError, DeniedError, Gone
    from higgsdemo.clusters.wire import Patience, Traffic

__all__ = [
    "IN_CLUSTER",
    "Cluster",
    "ClusterApiError",
    "ClusterEntry",
    "DeniedError",
    "Gone",
    "Patience",
    "Traffic",
    "cluster_names",
    "context_names",
    "open_clusters",
    "read_mapping",
    "several",
]

_HOMES = {
    "IN_CLUSTER": "contexts",
    "Cluster": "api",
    "ClusterApiError": "refusals",
    "DeniedError": "refusals",
    "Gone": "refusals",
    "Patience": "wire",
    "Traffic": "wire",
    "cluster_names": "chosen",
    "context_names": "contexts",
    "open_clusters": "chosen",
    "several": "chosen",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if importlib.util.find_spec("kubernetes") is None:
        raise UsageError(
            "a package is missing: kubernetes",
            hint="install it: pip install 'higgsdemo[kubernetes]'",
        )
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
