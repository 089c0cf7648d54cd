"""How a run's pods are made: written into its record, so that any process makes them the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from higgsdemo.errors import RunError

KEY = "kubernetes"
"""Where the settings are in run.json."""


@dataclass(frozen=True)
class PodSettings:
    """What pods of a run are like.

    Parameters
    ----------
    image : the worker image
    sinks : where results go; no secrets in them
    clusters : the contexts that may be given tasks, in order
    namespace : where everything is made
    cpu : cores a pod asks for and may use, as Kubernetes writes it
    memory_bytes : of a pod, asked for and the limit, without what is staged in
    memory_cap_bytes : most memory a task is given after it was killed for it
    stage_bytes : of a memory-backed folder for whole files, added to the memory; 0: streaming
    stage_folder : where that folder is in a pod
    retries : how often the cluster tries an index again before it counts as failed
    tries : failed attempts a task may have in all
    skip_bad_files : go on without files that cannot be read
    environment : variables of the worker, none of them secret
    files : small files that pods need (certified sections, certificates), by name
    claims : persistent volume claims to mount, by name, and where
    resources : extended resources of a pod, e.g. {"nvidia.com/gpu": "1"}
    node_selector, tolerations, pull_secret, pull_policy : as in a pod
    queue_name : of Kueue
    """

    image: str
    sinks: tuple[str, ...]
    clusters: tuple[str, ...]
    namespace: str = "higgsdemo"
    cpu: str = "1"
    memory_bytes: int = 2_000_000_000
    memory_cap_bytes: int = 8_000_000_000
    stage_bytes: int = 0
    stage_folder: str = "/stage"
    retries: int = 2
    tries: int = 3
    skip_bad_files: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, str] = field(default_factory=dict)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    queue_name: str = ""
    pull_secret: str = ""
    pull_policy: str = "IfNotPresent"
    tasks_per_pod: int = 0  # 0: as many as make start-up a small part of a pod's life
    parallelism: int = 0  # pods at once in a cluster; 0: as many as have room

    def to_json(self) -> dict[str, Any]:
        """Return the settings as a JSON-ready document."""
        return dataclasses.asdict(self)

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> PodSettings:
        """Read the settings from the record of a run; RunError if it has none."""
        document = record.get(KEY)
        if not isinstance(document, Mapping):
            raise RunError(
                f"run {record.get('id')} was not submitted to clusters",
                hint=f"go on with it here: higgsdemo resume {record.get('id')}",
            )
        known = {each.name for each in dataclasses.fields(cls)}
        fields = {key: value for key, value in document.items() if key in known}
        for key in ("sinks", "clusters", "tolerations"):
            fields[key] = tuple(fields.get(key, ()))
        return cls(**fields)


SPOT: tuple[Mapping[str, Any], ...] = (
    {"key": "cloud.google.com/gke-spot", "operator": "Exists", "effect": "NoSchedule"},
    {"key": "cloud.google.com/gke-preemptible", "operator": "Exists", "effect": "NoSchedule"},
    {"key": "kubernetes.azure.com/scalesetpriority", "operator": "Exists", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/spot", "operator": "Exists", "effect": "NoSchedule"},
)
"""Taints of machines that may be taken away: tasks may run there, since that is not counted."""
