"""Indexed Jobs for the tests, of pods as a namespace that enforces `restricted` admits them."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.kubernetes.client import Client, Document, wait_for

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}  # labels of a namespace
NOBODY = 65532
POLICY = {
    "rules": [
        {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [65]}},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
    ]
}


def pod(
    image: str, command: Sequence[str], *, memory: str = "64Mi", pull: str = "IfNotPresent"
) -> Document:
    """Return the spec of a pod."""
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": pull,
        "command": list(command),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {"requests": {"cpu": "50m", "memory": memory}, "limits": {"memory": memory}},
        "volumeMounts": [{"name": "stage", "mountPath": "/stage"}],
    }
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": NOBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "stage", "emptyDir": {"medium": "Memory", "sizeLimit": "32Mi"}}],
    }


def indexed_job(name: str, spec: Mapping[str, Any], completions: int, retries: int = 0) -> Document:
    """Return a Job whose pods have numbers; all may run at once."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "completions": completions,
            "parallelism": completions,
            "completionMode": "Indexed",
            "backoffLimitPerIndex": retries,
            "podFailurePolicy": POLICY,
            "template": {"spec": spec},
        },
    }


def run(client: Client, namespace: str, job: Mapping[str, Any], seconds: float = 60) -> Document:
    """Create a Job, wait until it has ended, and return its status."""
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    client.create(path, job)
    return ended(client, f"{path}/{job['metadata']['name']}", seconds)


def ended(client: Client, path: str, seconds: float = 60) -> Document:
    """Wait until a Job has ended, and return its status."""

    def look() -> Document | None:
        status: Document = client.get(path)["status"]
        done = {one["type"] for one in status.get("conditions", []) if one["status"] == "True"}
        return status if done & {"Complete", "Failed"} else None

    try:
        found: Document = wait_for(look, f"the end of {path}", seconds)
    except AssertionError as error:
        pods = client.items(f"{path.rpartition('/jobs/')[0].replace('apis/batch', 'api')}/pods")
        raise AssertionError(f"{error}\n{[one['status'] for one in pods]}") from None
    return found
