"""What the reconciliation shows: per cluster its pods, and what is not as it should be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from higgsdemo.executors.kubernetes.sites import Seen
from higgsdemo.executors.kubernetes.status import size
from higgsdemo.ledger import Counts


@dataclass(frozen=True)
class ClusterState:
    """A cluster at a moment. `indexes` are pods to be done, `completed` those that are.

    `silent_s`: since it was last heard. `waiting`: why pods do not start, each reason once.
    """

    name: str
    running: int = 0
    pending: int = 0
    succeeded: int = 0
    failed: int = 0
    indexes: int = 0
    completed: int = 0
    silent_s: float = 0.0
    given_up: bool = False
    problem: str = ""
    waiting: tuple[str, ...] = ()

    @property
    def line(self) -> dict[str, dict[str, int]]:
        """The state as the 2019 demo printed it; what was a Job there is an index here."""
        pods = {
            "Running": self.running,
            "Pending": self.pending,
            "Succeeded": self.succeeded,
            "Failed": self.failed,
        }
        return {
            "pods": {
                **{name: count for name, count in pods.items() if count},
                "total": sum(pods.values()),
            },
            "jobs": {"total": self.indexes, "succeeded": self.completed},
        }


@dataclass(frozen=True)
class State:
    """A run in its clusters at a moment. `words` are new since the last one: each is told once."""

    counts: Counts
    clusters: tuple[ClusterState, ...]
    words: tuple[str, ...] = ()

    @property
    def line(self) -> dict[str, dict[str, int]]:
        """All clusters together, as the 2019 demo printed one."""
        total: dict[str, dict[str, int]] = {"pods": {}, "jobs": {}}
        for cluster in self.clusters:
            for what, counted in cluster.line.items():
                for name, count in counted.items():
                    total[what][name] = total[what].get(name, 0) + count
        return total


def cluster_state(
    name: str,
    seen: Seen,
    jobs: Mapping[str, int],
    *,
    given_up: bool = False,
    waiting: Iterable[str] = (),
) -> ClusterState:
    """Sum what is known of the jobs of a cluster: their names, and how many indexes each has."""
    shown = [seen.jobs[job] for job in jobs if job in seen.jobs]
    return ClusterState(
        name=name,
        running=sum(job.ready for job in shown),
        pending=sum(max(0, job.active - job.ready) for job in shown),
        succeeded=sum(job.succeeded for job in shown),
        failed=sum(job.failed for job in shown),
        indexes=sum(jobs.values()),
        completed=sum(size(job.completed) for job in shown),
        silent_s=seen.silent_s,
        given_up=given_up,
        problem=seen.problem,
        waiting=tuple(waiting),
    )
