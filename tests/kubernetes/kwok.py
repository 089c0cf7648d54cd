"""Simulated nodes: pods are scheduled on them and end as the stages say, and nothing runs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.kubernetes.binaries import built
from tests.kubernetes.client import Client, Document, wait_for
from tests.kubernetes.control_plane import ControlPlane, control_plane
from tests.kubernetes.part import Part
from tests.kubernetes.stages import Stages
from tests.services.process import LOOPBACK, free_ports

MARK = "kwok.x-k8s.io/node"
# With the 4 of its default, on a busy API server, pods end late: KWOK is then what is measured, and
# it falls so far behind that its watch is ended and all pods are listed anew, again and again.
OPTIONS = {
    "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
    "kind": "KwokConfiguration",
    "options": {
        "podPlayStageParallelism": 64,
        # What a configuration leaves out is 0, and no default.
        "nodePlayStageParallelism": 4,
        "nodeLeaseParallelism": 4,
        "podsOnNodeSyncParallelism": 1,
    },
}


@dataclass(frozen=True)
class Shape:
    """How many nodes, and what each has: "66:16:60Gi"."""

    nodes: int
    cpu: str
    memory: str

    @classmethod
    def read(cls, text: str) -> "Shape":
        """Read NODES:CPU:MEMORY."""
        nodes, cpu, memory = text.split(":")
        return cls(int(nodes), cpu, memory)

    def documents(self, first: int = 0) -> Iterator[Document]:
        """Return the nodes as the API takes them."""
        resources = {"cpu": self.cpu, "memory": self.memory, "pods": "250"}
        for number in range(first, first + self.nodes):
            name = f"kwok-{number:04d}"
            labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
            yield {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": name, "annotations": {MARK: "fake"}, "labels": labels},
                "status": {"allocatable": resources, "capacity": resources},
            }


def ready_nodes(client: Client) -> list[str]:
    """Return the names of the nodes on which pods may be placed."""
    return [
        node["metadata"]["name"]
        for node in client.items("/api/v1/nodes")
        if not node["spec"].get("taints")
        and any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in node["status"].get("conditions", [])
        )
    ]


@contextmanager
def kwok_cluster(
    name: str,
    folder: Path,
    shape: str = "4:8:32Gi",
    stages: Stages | None = None,
    *,
    requests_per_s: int = 400,
) -> Iterator[ControlPlane]:
    """Start a cluster of simulated nodes of a shape; pods end as the stages say."""
    with control_plane(name, folder, requests_per_s=requests_per_s) as cluster:
        config = cluster.folder / "kwok.yaml"
        documents = [OPTIONS, *(stages or Stages()).documents()]
        config.write_text("---\n".join(json.dumps(one) + "\n" for one in documents))
        kwok = Part(
            "kwok",
            [
                built("kwok"), "--kubeconfig", cluster.kubeconfig, "--config", config,
                "--manage-all-nodes=false",
                "--manage-nodes-with-annotation-selector", f"{MARK}=fake",
                "--server-address", f"{LOOPBACK}:{free_ports(1)[0]}",
                "--node-lease-duration-seconds", "40",
            ],
            cluster.folder,
        )  # fmt: skip
        cluster.parts.append(kwok)
        kwok.start()
        wanted = Shape.read(shape)
        for node in wanted.documents():
            cluster.client.create("/api/v1/nodes", node)
        wait_for(lambda: len(ready_nodes(cluster.client)) == wanted.nodes, "the simulated nodes")
        yield cluster
