"""Submitting a run: every cluster checked before anything is made, then all of them at once.

Killed and repeated, it changes nothing that is there: the ledger says what is planned, names and
contents follow from it, and objects are applied, not created.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TypeVar

from higgsdemo.clusters import labels
from higgsdemo.clusters.api import Cluster
from higgsdemo.clusters.capacity import Capacity, capacity, quantity
from higgsdemo.clusters.checks import (
    SUBMIT,
    WATCH,
    Demand,
    check_access,
    check_quota,
    check_version,
)
from higgsdemo.errors import CredentialsError, HiggsdemoError, UsageError
from higgsdemo.executors.kubernetes.documents import job_documents, memory_of
from higgsdemo.executors.kubernetes.names import job_name
from higgsdemo.executors.kubernetes.orders import apply_jobs
from higgsdemo.executors.kubernetes.settings import PodSettings
from higgsdemo.ledger.placements import JobState, NewJob, PlacedJob, Placements
from higgsdemo.model import Task
from higgsdemo.plan import slots_of

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Room:
    """What a cluster has room for: how many pods of a run at once; 0: not known."""

    version: str
    nodes: int = 0
    slots: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    """What was made in a cluster, and what it took."""

    cluster: str
    jobs: int
    tasks: int
    requests: int
    sent_bytes: int
    seconds: float


def everywhere(
    clusters: Mapping[str, Cluster], do: Callable[[Cluster], Value]
) -> tuple[dict[str, Value], dict[str, HiggsdemoError]]:
    """Do something in all clusters at once; return what came of it, and what failed where."""
    done: dict[str, Value] = {}
    failed: dict[str, HiggsdemoError] = {}
    with ThreadPoolExecutor(max(1, len(clusters)), thread_name_prefix="cluster") as threads:
        asked = {name: threads.submit(do, cluster) for name, cluster in clusters.items()}
        for name, answer in asked.items():
            try:
                done[name] = answer.result()
            except HiggsdemoError as error:
                failed[name] = error
    return done, failed


def look(clusters: Mapping[str, Cluster], settings: PodSettings) -> dict[str, Room]:
    """Check version, namespace and permissions of all clusters; return what they have room for.

    Raises the first refusal, with all clusters that refuse in its reason.
    """

    def check(cluster: Cluster) -> Room:
        version = check_version(cluster)
        check_access(cluster, settings.namespace, (*SUBMIT, *WATCH), "submit and watch runs")
        _check_prepared(cluster, settings)
        try:
            found = capacity(cluster, settings.tolerations)
        except CredentialsError:  # nodes are not everybody's to see
            return Room(version)
        return Room(version, found.nodes, _slots(found, settings))

    rooms, failed = everywhere(clusters, check)
    _raise_first(failed)
    return rooms


def _check_prepared(cluster: Cluster, settings: PodSettings) -> None:
    inside = f"/api/v1/namespaces/{settings.namespace}"
    with contextlib.suppress(CredentialsError):  # may not be seen; then the cluster will say
        if cluster.find(inside) is None:
            raise UsageError(
                f"cluster {cluster.name!r} has no namespace {settings.namespace!r}",
                where=cluster.server,
                hint=f"prepare it: higgsdemo prepare --cluster {cluster.name}"
                f" --namespace {settings.namespace}",
            )
    with contextlib.suppress(CredentialsError):
        if cluster.find(f"{inside}/serviceaccounts/{labels.SERVICE_ACCOUNT}") is None:
            raise UsageError(
                f"cluster {cluster.name!r} is not prepared for workers",
                why=f"namespace {settings.namespace!r} has no service account"
                f" {labels.SERVICE_ACCOUNT!r}: no pod could be made",
                where=cluster.server,
                hint=f"prepare it: higgsdemo prepare --cluster {cluster.name}"
                f" --namespace {settings.namespace}",
            )


def _slots(found: Capacity, settings: PodSettings) -> int:
    if not found.nodes:
        return 0
    nodes = found.nodes
    return slots_of(
        nodes,
        found.cores / nodes,
        found.memory_bytes / nodes,
        quantity(settings.cpu),
        settings.memory_bytes + settings.stage_bytes,
    )


def check_jobs(
    clusters: Mapping[str, Cluster],
    run_id: str,
    settings: PodSettings,
    jobs: Sequence[NewJob],
    tasks: Mapping[str, Task],
) -> None:
    """Check that the jobs fit into the quotas, and let each cluster try one without making it.

    Raises UsageError, or whatever a cluster refuses, with all that refuse in its reason.
    """

    def check(cluster: Cluster) -> None:
        mine = [
            _as_placed(run_id, number, job)
            for number, job in enumerate(jobs, start=1)
            if job.cluster == cluster.name
        ]
        if not mine:
            return
        # All documents once: what is too large for Kubernetes is found before anything is made.
        made = [job_documents(run_id, settings, job, tasks, "0") for job in mine]
        check_quota(
            cluster,
            settings.namespace,
            Demand(
                {
                    "jobs.batch": len(made),
                    "configmaps": 1 + sum(len(documents) - 1 for documents in made),
                },
                quantity(settings.cpu),
                memory_of(settings, mine[0]),
            ),
        )
        cluster.apply({**made[0][-1], "metadata": _unowned(made[0][-1])}, dry_run=True)

    _, failed = everywhere(clusters, check)
    _raise_first(failed)


def _unowned(document: Mapping[str, dict[str, object]]) -> dict[str, object]:
    return {key: value for key, value in document["metadata"].items() if key != "ownerReferences"}


def _as_placed(run_id: str, number: int, job: NewJob) -> PlacedJob:
    return PlacedJob(
        number,
        job.cluster,
        job_name(run_id, job.sample, number),
        job.sample,
        job.memory_bytes,
        job.parallelism,
        0.0,
        JobState.PLANNED,
        tuple(tuple(each) for each in job.indexes),
    )


def send(
    clusters: Mapping[str, Cluster],
    run_id: str,
    settings: PodSettings,
    placements: Placements,
    tasks: Mapping[str, Task],
) -> tuple[list[Sent], dict[str, HiggsdemoError]]:
    """Make the planned jobs in all clusters at once; return what was made, and what failed where.

    Call it from the thread that opened the ledger: it notes each cluster's jobs as they are there.
    """
    planned: dict[str, list[PlacedJob]] = {}
    for job in placements.jobs():
        if job.state is JobState.PLANNED and job.cluster in clusters:
            planned.setdefault(job.cluster, []).append(job)
    sent: list[Sent] = []
    failed: dict[str, HiggsdemoError] = {}
    made: dict[str, list[PlacedJob]] = {name: [] for name in planned}

    def work(cluster: Cluster, jobs: Sequence[PlacedJob]) -> Sent:
        began = time.monotonic()
        traffic = cluster.traffic
        before = traffic.requests, traffic.sent_bytes
        there = made[cluster.name]
        apply_jobs(cluster.apply, run_id, settings, jobs, tasks, there.append)
        return Sent(
            cluster.name,
            len(jobs),
            sum(len(indexed) for job in jobs for indexed in job.indexes),
            traffic.requests - before[0],
            traffic.sent_bytes - before[1],
            time.monotonic() - began,
        )

    with ThreadPoolExecutor(max(1, len(planned)), thread_name_prefix="submit") as threads:
        asked = {threads.submit(work, clusters[name], jobs): name for name, jobs in planned.items()}
        for answer in as_completed(asked):
            name = asked[answer]
            try:
                sent.append(answer.result())
            except HiggsdemoError as error:
                failed[name] = error
            for job in made[name]:
                placements.mark(job.number, JobState.PLACED)
    return sorted(sent, key=lambda one: one.cluster), failed


def take_back(
    clusters: Mapping[str, Cluster], run_id: str, namespace: str
) -> dict[str, HiggsdemoError]:
    """Remove all that was made for a run; return where that did not work."""

    def remove(cluster: Cluster) -> None:
        query = {"labelSelector": labels.selector(run_id), "propagationPolicy": "Background"}
        cluster.delete(f"/apis/batch/v1/namespaces/{namespace}/jobs", **query)
        cluster.delete(f"/api/v1/namespaces/{namespace}/configmaps", **query)

    return everywhere(clusters, remove)[1]


def _raise_first(failed: Mapping[str, HiggsdemoError]) -> None:
    if not failed:
        return
    _, first = next(iter(failed.items()))
    if len(failed) > 1:
        first.why = f"{first.why or first.what}; clusters that refuse: {', '.join(failed)}"
    raise first
