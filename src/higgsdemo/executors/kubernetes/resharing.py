"""Pods at once, shared anew among the jobs of a cluster as others end.

A job is only ever given more: with less, a cluster would end pods that are under way. What a job
may and cannot use, since fewer of its indexes are left, is free for the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from higgsdemo.errors import HiggsdemoError
from higgsdemo.executors.kubernetes.followed import Followed
from higgsdemo.executors.kubernetes.placing import Placer
from higgsdemo.executors.kubernetes.settings import PodSettings
from higgsdemo.executors.kubernetes.shares import pods_at_once, share_out
from higgsdemo.executors.kubernetes.sites import Seen, Site
from higgsdemo.executors.kubernetes.status import JobStatus, size
from higgsdemo.ledger.placements import JobState

MUCH = 0.25  # of what may run at once: so much is given away at once, less when a job ends
HEARD_S = 10.0  # what a cluster that is silent for longer has, is not known
ASKED_AGAIN_S = 30.0  # after this a cluster that said no, or did not do it, is asked again


@dataclass(frozen=True, slots=True)
class Going:
    """A job that has not ended: `share` pods at once, `left` indexes that are not done or failed.

    One that the cluster does not have yet cannot be told, and keeps its share.
    """

    name: str
    share: int
    left: int
    can_be_told: bool = True


def larger_shares(
    at_once: int, jobs: Sequence[Going], *, one_ended: bool, only_idle: bool = False
) -> dict[str, int]:
    """Return the new shares of the jobs that get more, so that `at_once` pods run at most.

    Jobs that have none come first, in proportion to what is left of them; then the one that would
    take longest with what it has: so few are told. Unless a job has none or `one_ended`, little is
    left lying until it is much. With `only_idle`, those that have some keep what they have.
    """
    room = at_once - sum(min(job.share, job.left) for job in jobs)
    asking = [job for job in jobs if job.can_be_told and job.left > job.share]
    idle = [job for job in asking if not job.share]
    if room <= 0 or not (idle or one_ended or room >= MUCH * at_once):
        return {}
    first = share_out(room, [job.left for job in idle])
    shares = {job.name: share for job, share in zip(idle, first, strict=True) if share}
    room -= sum(first)
    busy = [] if only_idle else [job for job in asking if job.share]
    for job in sorted(busy, key=lambda job: -job.left / job.share):
        more = min(room, job.left - job.share)
        if more:
            shares[job.name] = job.share + more
            room -= more
    return shares


@dataclass(frozen=True, slots=True)
class _Asked:
    at: float  # monotonic, s
    shares: Mapping[str, int]
    answer: Future[None]


class Resharer:
    """Gives what jobs have no use for to other jobs of the same cluster.

    It keeps nothing that matters: what each job may do is read from the cluster.
    """

    def __init__(
        self,
        placer: Placer,
        sites: Mapping[str, Site],
        settings: PodSettings,
        slots: Mapping[str, int],
        say: Callable[[str], None],
    ) -> None:
        self._placer = placer
        self._sites = sites
        self._say = say
        self._at_once = {
            name: pods_at_once(slots.get(name, 0), settings.parallelism) for name in sites
        }
        # Kueue stops a job that is changed while it runs, and has it wait in the queue again.
        self._only_idle = bool(settings.queue_name)
        self._asked: dict[str, _Asked] = {}
        self._ended: dict[str, int] = {}  # jobs that had ended when shares were last looked at

    def follow(self, seen: Mapping[str, Seen]) -> None:
        """Look at the jobs of all clusters; have those that can use more get it."""
        for name, what in seen.items():
            if not self._at_once[name] or name in self._placer.given_up:
                continue
            if what.listed_at and what.silent_s <= HEARD_S and self._is_over(name, what):
                self._reshare(name, what)

    def _reshare(self, cluster: str, seen: Seen) -> None:
        going: list[Going] = []
        ended = 0
        for job in self._placer.jobs.values():
            if job.placed.cluster != cluster:
                continue
            status = seen.jobs.get(job.placed.name)
            job.seen = job.seen or status is not None
            if job.is_gone(seen) if status is None else status.ended:
                ended += 1
            else:
                going.append(_going(job, status))
        shares = larger_shares(
            self._at_once[cluster],
            going,
            one_ended=ended > self._ended.get(cluster, 0),
            only_idle=self._only_idle,
        )
        self._ended[cluster] = ended
        if shares:
            answer = self._sites[cluster].set_parallelism(shares)
            self._asked[cluster] = _Asked(time.monotonic(), shares, answer)

    def _is_over(self, cluster: str, seen: Seen) -> bool:
        """Whether nothing is asked of a cluster that is not answered and seen to be so."""
        asked = self._asked.get(cluster)
        if asked is None:
            return True
        if not asked.answer.done():
            return False
        try:
            asked.answer.result()
        except HiggsdemoError as error:
            self._say(f"cluster {cluster}: jobs get no more pods: {error.why or error.what}")
        now = [(seen.jobs.get(name), share) for name, share in asked.shares.items()]
        done = all(job is None or job.ended or job.parallelism == share for job, share in now)
        if done or time.monotonic() - asked.at > ASKED_AGAIN_S:
            del self._asked[cluster]
            return True
        return False


def _going(job: Followed, status: JobStatus | None) -> Going:
    placed = job.placed
    if status is None:
        return Going(placed.name, placed.parallelism, len(placed.indexes), can_be_told=False)
    left = status.completions - size(status.completed) - size(status.failed_indexes)
    told = placed.state is JobState.PLACED and job.making is None
    return Going(placed.name, status.parallelism, left, can_be_told=told)
