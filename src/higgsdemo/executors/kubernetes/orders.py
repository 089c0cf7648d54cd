"""Having jobs made: their documents, applied one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from higgsdemo.clusters.refusals import ClusterApiError
from higgsdemo.executors.kubernetes.documents import anchor, job_documents
from higgsdemo.executors.kubernetes.settings import PodSettings
from higgsdemo.ledger.placements import PlacedJob
from higgsdemo.model import Task

Apply = Callable[[dict[str, Any]], dict[str, Any]]
AT_ONCE = 8  # requests; what a client of Kubernetes may have under way without being slowed down
_IMMUTABLE = 422


def apply_jobs(
    apply: Apply,
    run_id: str,
    settings: PodSettings,
    jobs: Sequence[PlacedJob],
    tasks: Mapping[str, Task],
    made: Callable[[PlacedJob], None] = lambda _: None,
) -> None:
    """Make jobs, or leave them: the object of the run first, then all manifests, then the jobs.

    Pods begin with the first job, and keep a control plane busy: by then little is left to ask it,
    and that at once. `made` hears of each job that is there, from several threads. Where one cannot
    be made, the others are, and its error is raised.
    """

    def put(document: dict[str, Any]) -> None:
        try:
            apply(document)
        except ClusterApiError as error:
            if not (error.status == _IMMUTABLE and document.get("immutable")):
                raise
            # It was made before, by another version that compresses otherwise: of these tasks.

    def make(job: PlacedJob, document: dict[str, Any]) -> None:
        put(document)
        made(job)

    uid = str(apply(anchor(run_id, settings))["metadata"]["uid"])
    documents = [job_documents(run_id, settings, job, tasks, uid) for job in jobs]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="apply") as hands:
        for _ in hands.map(put, [one for *manifests, _ in documents for one in manifests]):
            pass
        for _ in hands.map(make, jobs, [document for *_, document in documents]):
            pass
