"""Having jobs made: the documents of a job, applied one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from higgsdemo.clusters.refusals import ClusterApiError
from higgsdemo.executors.kubernetes.documents import anchor, job_documents
from higgsdemo.executors.kubernetes.settings import PodSettings
from higgsdemo.ledger.placements import PlacedJob
from higgsdemo.model import Task

Apply = Callable[[dict[str, Any]], dict[str, Any]]
_IMMUTABLE = 422


def apply_jobs(
    apply: Apply,
    run_id: str,
    settings: PodSettings,
    jobs: Sequence[PlacedJob],
    tasks: Mapping[str, Task],
    made: Callable[[PlacedJob], None] = lambda _: None,
) -> None:
    """Make jobs, or leave them: the object of the run first, a job's manifest before it.

    `made` hears of each job that is there, in order.
    """
    uid = str(apply(anchor(run_id, settings))["metadata"]["uid"])
    for job in jobs:
        for document in job_documents(run_id, settings, job, tasks, uid):
            try:
                apply(document)
            except ClusterApiError as error:
                if not (error.status == _IMMUTABLE and document.get("immutable")):
                    raise
                # It was made before, by another version that compresses otherwise: of these tasks.
        made(job)
