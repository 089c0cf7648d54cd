"""What is made in a cluster for a run, as documents: pure functions of the ledger and the settings.

ConfigMap <run>            stands for the run; owns the rest, so that deleting it deletes all;
                           holds small files that pods need
ConfigMap <job>-tasks-<n>  a part of a job's manifest
Job <job>                  Indexed: one pod an index, one or more tasks a pod
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import higgsdemo
from higgsdemo.clusters import labels
from higgsdemo.errors import UsageError
from higgsdemo.executors.kubernetes import names
from higgsdemo.executors.kubernetes.settings import PodSettings
from higgsdemo.ledger.placements import PlacedJob
from higgsdemo.model import Task
from higgsdemo.worker.blocks import pack_blocks
from higgsdemo.worker.settings import ENVIRONMENT, EXIT_CODES

Document = dict[str, Any]

TASKS_DIR = "/etc/higgsdemo/tasks"
CONTAINER = "worker"
USER = 65532  # nobody in particular, and not root; owns nothing in the image
MAP_BYTES = 950_000  # of a ConfigMap; with the rest of the object it must stay under 1 MiB
MOST_MAPS = 16  # parts of a manifest that all pods of a job mount
GRACE_S = 10  # a worker told to end does so at once
_ANNOTATION = "batch.kubernetes.io/job-index"


def anchor(run_id: str, settings: PodSettings) -> Document:
    """Return the object that stands for the run in a cluster."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": names.run_name(run_id),
            "namespace": settings.namespace,
            "labels": labels.ours(run_id),
        },
        "data": {"run": run_id, "higgsdemo": higgsdemo.__version__, **settings.files},
    }


def job_documents(
    run_id: str,
    settings: PodSettings,
    job: PlacedJob,
    tasks: Mapping[str, Task],
    owner_uid: str,
) -> list[Document]:
    """Return a job and, before it, the parts of its manifest. `owner_uid` is the anchor's."""
    shipped = [
        [_shipped(tasks[task_id], settings) for task_id in indexed] for indexed in job.indexes
    ]
    metadata = {
        "namespace": settings.namespace,
        "labels": {**labels.ours(run_id), labels.SAMPLE: names.label(job.sample)},
        "ownerReferences": [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "name": names.run_name(run_id),
                "uid": owner_uid,
            }
        ],
    }
    maps = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {**metadata, "name": names.tasks_name(job.name, number)},
            "immutable": True,  # so that no kubelet watches it
            "binaryData": content,
        }
        for number, content in enumerate(_parts(run_id, job, shipped))
    ]
    return [*maps, _job(run_id, settings, job, metadata, len(maps))]


def _parts(run_id: str, job: PlacedJob, shipped: Sequence[Sequence[Task]]) -> list[dict[str, str]]:
    """Distribute the blocks of a manifest over as few ConfigMaps as hold them."""
    parts: list[dict[str, str]] = []
    room = 0
    for name, block in pack_blocks(run_id, shipped):
        if len(block) > room:
            parts.append({})
            room = MAP_BYTES
        parts[-1][name] = base64.b64encode(block).decode()
        room -= len(block)
    if len(parts) > MOST_MAPS or len(shipped) > names.MOST_INDEXES:
        raise UsageError(
            f"job {job.name} has more tasks than a Job may have",
            why=f"{len(shipped)} indexes in {len(parts)} ConfigMaps; at most {names.MOST_INDEXES} "
            f"and {MOST_MAPS}",
            hint="put several files into a task: --files-per-task",
        )
    return parts


def _shipped(task: Task, settings: PodSettings) -> Task:
    """Return a task as pods read it: files that travel with it are where they are mounted."""
    if task.certified is None:
        return task
    name = file_name(task.certified)
    if name not in settings.files:
        return task
    return dataclasses.replace(task, certified=f"{TASKS_DIR}/{name}")


def file_name(path: str) -> str:
    """Name a small file that travels with the run."""
    return f"file-{hashlib.sha256(path.encode()).hexdigest()[:12]}"


def _job(
    run_id: str, settings: PodSettings, job: PlacedJob, metadata: Document, maps: int
) -> Document:
    marks = dict(metadata["labels"])
    if settings.queue_name:
        metadata = {
            **metadata,
            "labels": {**marks, "kueue.x-k8s.io/queue-name": settings.queue_name},
        }
    completions = len(job.indexes)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            **metadata,
            "name": job.name,
            "annotations": {
                "higgsdemo/run": run_id,
                "higgsdemo/sample": job.sample,
                "higgsdemo/tasks": str(sum(len(tasks) for tasks in job.indexes)),
            },
        },
        "spec": {
            "completionMode": "Indexed",
            "completions": completions,
            "parallelism": min(job.parallelism, completions),
            "backoffLimitPerIndex": settings.retries,
            # A fuse: an image or a site that is broken does not burn through all of the tasks.
            "maxFailedIndexes": most_failed(completions),
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": failure_rules()},
            "template": {
                "metadata": {"labels": marks},
                "spec": _pod(run_id, settings, job, maps),
            },
        },
    }


def most_failed(completions: int) -> int:
    """Return how many indexes of a job may fail before it is ended."""
    return min(completions, max(20, completions // 5))


def failure_rules() -> list[Document]:
    """Return what the Job controller does with a pod that failed, by our exit codes.

    Killed for memory fails the index: it is done again with more, which only the ledger knows.
    """
    codes = {str(cause): code for cause, code in EXIT_CODES.items()}

    def on(action: str, *causes: str) -> Document:
        values = sorted(codes[cause] for cause in causes)
        exit_codes = {"containerName": CONTAINER, "operator": "In", "values": values}
        return {"action": action, "onExitCodes": exit_codes}

    taken_away = {"type": "DisruptionTarget", "status": "True"}
    return [
        {"action": "Ignore", "onPodConditions": [taken_away]},
        on("FailIndex", "bad-input", "resources"),
        on("FailJob", "bug", "credentials"),
    ]


def memory_of(settings: PodSettings, job: PlacedJob) -> int:
    """Return the memory of a pod in bytes, with what it stages in."""
    return job.memory_bytes + settings.stage_bytes


def _pod(run_id: str, settings: PodSettings, job: PlacedJob, maps: int) -> Document:
    memory = str(memory_of(settings, job))
    volumes: list[Document] = [
        {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
        {
            "name": "tasks",
            "projected": {
                "defaultMode": 0o444,
                "sources": [
                    {"configMap": {"name": name}}
                    for name in (
                        *((names.run_name(run_id),) if settings.files else ()),
                        *(names.tasks_name(job.name, number) for number in range(maps)),
                    )
                ],
            },
        },
        {
            "name": "secrets",
            "secret": {
                "secretName": labels.CREDENTIALS,
                "optional": True,  # public data into a Redis without a password needs none
                "defaultMode": 0o440,
            },
        },
    ]
    mounts: list[Document] = [
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "tasks", "mountPath": TASKS_DIR, "readOnly": True},
        {"name": "secrets", "mountPath": labels.SECRETS_DIR, "readOnly": True},
    ]
    if settings.stage_bytes:
        staged = {"medium": "Memory", "sizeLimit": str(settings.stage_bytes)}
        volumes.append({"name": "stage", "emptyDir": staged})
        mounts.append({"name": "stage", "mountPath": settings.stage_folder})
    for number, (claim, folder) in enumerate(sorted(settings.claims.items())):
        volumes.append({"name": f"claim-{number}", "persistentVolumeClaim": {"claimName": claim}})
        mounts.append({"name": f"claim-{number}", "mountPath": folder})
    resources = {"cpu": settings.cpu, "memory": memory, **settings.resources}
    pod: Document = {
        "restartPolicy": "Never",
        "serviceAccountName": labels.SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": CONTAINER,
                "image": settings.image,
                "imagePullPolicy": settings.pull_policy,
                "command": ["python3", "-P", "-m", "higgsdemo.worker"],
                "args": [
                    *("--tasks", TASKS_DIR, "--run", run_id),
                    *(word for url in settings.sinks for word in ("--sink", url)),
                ],
                "env": _environment(settings),
                "resources": {"requests": resources, "limits": resources},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": mounts,
                # The end of the log becomes the pod's last word: what was not delivered is there.
                "terminationMessagePolicy": "FallbackToLogsOnError",
            }
        ],
        "volumes": volumes,
    }
    optional: Document = {
        "nodeSelector": dict(settings.node_selector),
        "tolerations": [dict(each) for each in settings.tolerations],
        "imagePullSecrets": [{"name": settings.pull_secret}] if settings.pull_secret else [],
    }
    return pod | {key: value for key, value in optional.items() if value}


def _environment(settings: PodSettings) -> list[Document]:
    stage = settings.stage_bytes
    variables = {
        **ENVIRONMENT,
        "HOME": "/tmp",
        "HIGGSDEMO_SECRETS_DIR": labels.SECRETS_DIR,
        **({"HIGGSDEMO_STAGE_IN": f"{settings.stage_folder}:{stage}"} if stage else {}),
        **settings.environment,
    }
    plain: list[Document] = [
        {"name": name, "value": value} for name, value in sorted(variables.items())
    ]
    counted = {
        "HIGGSDEMO_FAILURES": f"{_ANNOTATION}-failure-count",
        "HIGGSDEMO_FAILURES_IGNORED": f"{_ANNOTATION}-ignored-failure-count",
    }
    return plain + [
        {
            "name": name,
            "valueFrom": {"fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}},
        }
        for name, annotation in counted.items()
    ]
