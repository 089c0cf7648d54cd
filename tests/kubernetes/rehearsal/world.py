"""The world of the rehearsal: control planes with simulated nodes, measured from outside."""

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.kubernetes.client import wait_for, write_kubeconfig
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.kwok import kwok_cluster
from tests.kubernetes.stages import Stages

NAMESPACE = "higgsdemo"
ACCOUNT = "higgsdemo-worker"
# n1-highmem-16: what such a node leaves to pods
CPU, MEMORY = "15890m", "96Gi"
SLOTS = 16  # pods of 0.9 cores and 6 GiB on one
NODES = 660
BAD_INPUT = (13, 113, 1113)  # indexes of every job: exit 65, for good
TRANSIENT = (17, 217)  # exit 75 each time
PREEMPTED = (19, 119, 519, 1519, 2519)  # taken away at the first try

STAGES = Stages(run_ms=(1000, 6000), bad_input=BAD_INPUT, transient=TRANSIENT, preempted=PREEMPTED)

CALM = Stages(run_ms=STAGES.run_ms)


def worker_setup(cluster: ControlPlane) -> None:
    """Make what `higgsdemo prepare` makes and pods refer to."""
    inside = f"/api/v1/namespaces/{cluster.client.namespace(NAMESPACE)}"
    cluster.client.create(f"{inside}/serviceaccounts", {"metadata": {"name": ACCOUNT}})


@contextmanager
def world(
    folder: Path, names: Sequence[str], nodes: int, stages: Stages = STAGES
) -> Iterator[list[ControlPlane]]:
    """Start clusters that share `nodes` simulated nodes."""
    each = [nodes // len(names) + (number < nodes % len(names)) for number in range(len(names))]
    with ExitStack() as stack:
        clusters = []
        for name, count in zip(names, each, strict=True):
            shape = f"{count}:{CPU}:{MEMORY}"
            clusters.append(stack.enter_context(kwok_cluster(name, folder, shape, stages)))
            worker_setup(clusters[-1])
        yield clusters


def nodes_for(tasks: int, of: int) -> int:
    """Return how many nodes keep the demo's ratio of tasks to nodes, at least one a cluster."""
    return max(3, math.ceil(NODES * tasks / of))


def join_kubeconfigs(clusters: Sequence[ControlPlane], file: Path) -> Path:
    """Write one kubeconfig with a context for each cluster."""
    return write_kubeconfig(file, [cluster.context() for cluster in clusters])  # type: ignore[misc]


class Meter:
    """CPU and memory of the control planes' processes, also of those that were killed since."""

    def __init__(self, clusters: Sequence[ControlPlane]) -> None:
        self._clusters = clusters
        self._cpu: dict[tuple[str, str], float] = {}
        self._memory: dict[tuple[str, str], int] = {}

    def look(self) -> None:
        """Note where they are now."""
        for cluster in self._clusters:
            for part in cluster.parts:
                key = (cluster.name, part.name)
                try:
                    process = psutil.Process(part.process.pid)
                    times, memory = process.cpu_times(), process.memory_info().rss
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
                self._cpu[key] = max(self._cpu.get(key, 0.0), times.user + times.system)
                self._memory[key] = max(self._memory.get(key, 0), memory)

    def figures(self) -> dict[str, Any]:
        """Return CPU seconds and largest memory: of all, and of each kind of process."""
        kinds = sorted({part for _, part in self._cpu})
        return {
            "cpu_s": sum(self._cpu.values()),
            "memory_bytes": sum(self._memory.values()),
            "parts": {
                kind: {
                    "cpu_s": sum(cpu for (_, part), cpu in self._cpu.items() if part == kind),
                    "memory_bytes": sum(
                        size for (_, part), size in self._memory.items() if part == kind
                    ),
                }
                for kind in kinds
            },
        }


def etcd_bytes(cluster: ControlPlane) -> int:
    """Return the size of a cluster's etcd on disk."""
    return sum(
        file.stat().st_size
        for file in cluster.folder.rglob("etcd/member/snap/db")
        if file.is_file()
    )


def floor(folder: Path, tasks: int, nodes: int) -> dict[str, Any]:
    """Measure the controller's own floor: one Indexed Job of as many pods, alone, one cluster."""
    with world(folder, ["floor"], nodes) as (cluster,):
        job = plain_job("floor", tasks, min(tasks, nodes * SLOTS))
        path = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
        meter = Meter([cluster])
        began = time.monotonic()
        cluster.client.create(path, job)

        def ended() -> bool:
            meter.look()
            status = cluster.client.get(f"{path}/floor").get("status") or {}
            kinds = {
                one["type"] for one in status.get("conditions") or [] if one["status"] == "True"
            }
            return bool(kinds & {"Complete", "Failed"})

        wait_for(ended, "one Indexed Job alone", seconds=3600, pause=1.0)
        return {
            "seconds": time.monotonic() - began,
            "tasks": tasks,
            "nodes": nodes,
            "etcd_bytes": etcd_bytes(cluster),
            "control_plane": meter.figures(),
        }


def plain_job(name: str, completions: int, parallelism: int) -> dict[str, Any]:
    """Return an Indexed Job of pods that do nothing, with the rules of ours."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "completionMode": "Indexed",
            "completions": completions,
            "parallelism": parallelism,
            "backoffLimitPerIndex": 2,
            "maxFailedIndexes": completions,
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    },
                    {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [65]}},
                ]
            },
            "template": {"spec": plain_pod()},
        },
    }


def plain_pod() -> dict[str, Any]:
    """Return a pod as large as one of the demo."""
    resources = {"cpu": "900m", "memory": "6Gi"}
    return {
        "restartPolicy": "Never",
        "containers": [
            {
                "name": "worker",
                "image": "localhost/worker:1",
                "resources": {"requests": resources, "limits": resources},
            }
        ],
    }


def read_lines(file: Path) -> list[dict[str, Any]]:
    """Return what our process told so far."""
    text = file.read_text() if file.exists() else ""
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]
