"""What pods are like, by the options of clusters and of storage; refused is what they cannot do."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from higgsdemo.cli.parts.beforehand import largest_staged
from higgsdemo.cli.parts.placing import Placing
from higgsdemo.cli.parts.storing import Storing
from higgsdemo.errors import UsageError
from higgsdemo.storage import has_secret
from higgsdemo.storage.urls import scheme_of

if TYPE_CHECKING:
    from higgsdemo.executors import Policy
    from higgsdemo.executors.kubernetes.settings import PodSettings
    from higgsdemo.model import Task

STAGE_BYTES = 4_000_000_000  # of memory for whole files, where no limit is given
_MEMORY_BYTES = 2_000_000_000  # of a pod besides, where no limit is given
_MOST_MEMORY = 4  # times as much, at most, for a task that had too little
# What pods need to know of our own environment: where things are, never who we are.
PASSED = (
    *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"),
    *("STORAGE_EMULATOR_HOST", "HIGGSDEMO_STORAGE_HOST", "HIGGSDEMO_ANONYMOUS"),
    *("HIGGSDEMO_CONNECTIONS", "HIGGSDEMO_STALL_S", "HIGGSDEMO_STAGGER_S"),
)


def pod_settings(
    placing: Placing,
    storage: Storing,
    policy: Policy,
    clusters: Sequence[str],
    tasks: Sequence[Task],
) -> PodSettings:
    """Return what pods are like. Raises UsageError for what pods cannot do."""
    from higgsdemo.executors.kubernetes.settings import SPOT, PodSettings

    if not placing.image:
        raise UsageError(
            "no image of the workers is named",
            hint="--image REGISTRY/worker:1, or HIGGSDEMO_IMAGE in the environment",
        )
    _check_sinks(placing)
    _check_inputs(placing, tasks)
    environment, files = _environment(storage, tasks)
    stage = storage.access().stage_in
    stage_bytes = 0 if stage is None else stage.limit_bytes or STAGE_BYTES
    _check_room(tasks, stage_bytes)
    memory = policy.memory_bytes or _MEMORY_BYTES
    return PodSettings(
        image=placing.image,
        sinks=placing.sinks,
        clusters=tuple(clusters),
        namespace=placing.namespace,
        cpu=placing.cpu,
        memory_bytes=memory,
        memory_cap_bytes=_MOST_MEMORY * memory,
        stage_bytes=stage_bytes,
        stage_folder="/dev/shm" if stage is None else str(stage.folder),
        retries=placing.backoff_limit,
        tries=policy.tries,
        skip_bad_files=policy.skip_bad_files,
        environment={**environment, **placing.environment},
        files=files,
        claims=placing.claims,
        resources=placing.resources,
        node_selector=placing.node_selector,
        tolerations=(*(SPOT if placing.spot else ()), *placing.tolerations),
        queue_name=placing.queue_name,
        pull_secret=placing.pull_secret,
        pull_policy=placing.pull_policy,
        tasks_per_pod=placing.tasks_per_pod,
        parallelism=placing.parallelism,
    )


def _environment(storage: Storing, tasks: Sequence[Task]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the variables of the workers, and the texts of the files that they are given."""
    from higgsdemo.executors.kubernetes.documents import TASKS_DIR, file_name

    files = {
        file_name(path): _read(Path(path)) for path in {t.certified for t in tasks if t.certified}
    }
    environment = {name: os.environ[name] for name in PASSED if os.environ.get(name)}
    _check_secrets(environment)
    environment |= dict(storage.plain)
    authority = environment.pop("HIGGSDEMO_STORAGE_CA", None)
    if authority:
        files["storage-ca.pem"] = _read(Path(authority))
        environment["HIGGSDEMO_STORAGE_CA"] = f"{TASKS_DIR}/storage-ca.pem"
    environment.pop("HIGGSDEMO_STAGE_IN", None)
    return environment, files


def _check_secrets(environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        if has_secret(value):
            raise UsageError(
                f"the address in {name} carries a secret",
                hint="pods read it from a mounted secret: higgsdemo prepare puts it there",
            )


def _check_sinks(placing: Placing) -> None:
    if not placing.sinks:
        raise UsageError(
            "results have no way back",
            hint="name a sink: --sink s3://BUCKET/PREFIX, --redis-host HOST, "
            "--output-bucket BUCKET",
        )
    for url in placing.sinks:
        if has_secret(url):
            raise UsageError(
                "the address of a sink carries a secret",
                hint="pods read it from a mounted secret: higgsdemo prepare puts it there",
            )
        if not _reached(placing, url):
            raise UsageError(
                "pods cannot deliver to a folder of this machine",
                where=url,
                hint="a claim of a shared disk can be mounted: --claim NAME:/PATH",
            )


def _check_inputs(placing: Placing, tasks: Sequence[Task]) -> None:
    for task in tasks:
        for file in task.files:
            if not _reached(placing, file.url):
                raise UsageError(
                    "pods cannot read files of this machine",
                    where=task.label,
                    hint="put them into a bucket: higgsdemo samples upload; or mount a claim "
                    "of a shared disk: --claim NAME:/PATH",
                )


def _reached(placing: Placing, url: str) -> bool:
    if scheme_of(url) not in (None, "file"):
        return True
    path = PurePosixPath(url.removeprefix("file://"))
    return any(path.is_relative_to(folder) for folder in placing.claims.values())


def _check_room(tasks: Sequence[Task], stage_bytes: int) -> None:
    size, url = largest_staged(tasks)
    if stage_bytes and size > stage_bytes:
        raise UsageError(
            "pods have no space to stage the files in",
            why=f"the largest has {size / 1e6:.1f} MB, their limit is {stage_bytes / 1e6:.1f} MB",
            where=url,
            hint="give them more, e.g. --stage-in /dev/shm:8GB, which is added to their memory; "
            "or leave --stage-in out to stream what is needed",
        )


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "cannot read a file that pods need", where=str(path), why=str(error)
        ) from error
