"""Clusters that are full while others have nothing to do: their tasks go to those.

Full is a cluster that has pods to run and has run none for a while, whatever the reason: no node
has room, a quota is used up, no image can be pulled.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from higgsdemo.executors.kubernetes.followed import Followed
from higgsdemo.executors.kubernetes.placing import ANSWERS_S, Placer
from higgsdemo.executors.kubernetes.sites import Seen
from higgsdemo.ledger.placements import JobState


class Relief:
    """Gives up full clusters while others are idle. `full_s`: how long no pod of it has run, s."""

    def __init__(self, placer: Placer, full_s: float) -> None:
        self._placer = placer
        self._full_s = full_s
        # Of each cluster, how many pods had ended when one was last seen to run or to end; when.
        self._moved: dict[str, tuple[int, float]] = {}

    def follow(self, seen: Mapping[str, Seen], reasons: Mapping[str, tuple[str, ...]]) -> None:
        """Look at all clusters; `reasons` are why pods wait in them, as far as it is known."""
        now = time.monotonic()
        answering = {
            name: what
            for name, what in seen.items()
            if name not in self._placer.given_up and what.listed_at and what.silent_s < ANSWERS_S
        }
        busy = {job.placed.cluster for job in self._placer.jobs.values() if _may_go_on(job, seen)}
        idle = sorted(answering.keys() - busy)
        for name, what in answering.items():
            jobs = [job for job in what.jobs.values() if not job.ended]
            wanted = any(job.parallelism and not job.suspended for job in jobs)
            ended = sum(job.succeeded + job.failed for job in what.jobs.values())
            before = self._moved.get(name)
            if not wanted or any(job.ready for job in jobs) or before is None or before[0] != ended:
                self._moved[name] = ended, now
            elif idle and now - before[1] >= self._full_s:
                why = "; ".join(reasons.get(name, ())) or "no reason is known"
                self._placer.give_up(
                    name,
                    f"none of its pods has run for {self._full_s:.0f} s ({why}),"
                    f" and {', '.join(idle)} {'has' if len(idle) == 1 else 'have'} nothing to do",
                )
                return  # what the others have to do now is another matter


def _may_go_on(job: Followed, seen: Mapping[str, Seen]) -> bool:
    """Whether a job has or may have pods: it is planned, or there and not ended."""
    if job.placed.state is JobState.PLANNED or job.making is not None:
        return True
    what = seen.get(job.placed.cluster)
    status = what.jobs.get(job.placed.name) if what else None
    return status is not None and not status.ended
