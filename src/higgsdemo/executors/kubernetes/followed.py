"""A job as one process follows it: what was asked of its cluster, and which tasks are suspect."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from higgsdemo.errors import HiggsdemoError
from higgsdemo.executors.kubernetes.pods import Ending
from higgsdemo.executors.kubernetes.sites import Seen, Site
from higgsdemo.executors.kubernetes.status import JobStatus, indexes
from higgsdemo.ledger.placements import JobState, Open, PlacedJob, Verdict

ASKED_AT_ONCE = 200  # failed indexes whose pods are asked about at a time


@dataclass
class Followed:
    """A job, and what this process knows of it beyond the ledger. Times are monotonic, s."""

    placed: PlacedJob
    applied_at: float = 0.0  # 0: before this process began
    seen: bool = False
    making: Future[None] | None = None
    asking: Future[dict[int, Ending | None]] | None = None
    endings: dict[int, Ending | None] = field(default_factory=dict)
    suspects: dict[str, float] = field(default_factory=dict)  # task -> since when
    judged: JobStatus | None = None  # the status that was looked at last

    def has_news(self, status: JobStatus | None) -> bool:
        """Whether there may be anything to do: another status, or something still in question."""
        settled = self.placed.state is JobState.PLACED and self.asking is None
        return not settled or bool(self.suspects) or status is None or status != self.judged

    def mark(self, state: JobState) -> None:
        """Note how far the job is."""
        self.placed = dataclasses.replace(self.placed, state=state)
        if state is JobState.PLACED:
            self.applied_at = time.monotonic()

    def forget(self) -> None:
        """Nothing of it is waited for."""
        self.suspects.clear()
        self.endings.clear()

    def is_gone(self, seen: Seen) -> bool:
        """Whether a cluster has the job no more: seen once, or listed after it was made."""
        listed = seen.listed_at > 0 and (self.seen or seen.listed_at > self.applied_at)
        return listed and self.placed.state is JobState.PLACED

    def suspect(self, found: Iterable[Verdict]) -> None:
        """Note which tasks have ended without a result, as far as one knows now."""
        now = time.monotonic()
        self.suspects = {
            task: self.suspects.get(task, now) for task in {each.task_id for each in found}
        }

    def wants_look(self, looked_at: float, grace_s: float) -> bool:
        """Whether a look at the sinks now would settle a suspicion."""
        now = time.monotonic()
        return any(since + grace_s <= now and looked_at < since + grace_s for since in self.since)

    @property
    def since(self) -> set[float]:
        """When tasks became suspect."""
        return set(self.suspects.values())

    def ripe(self, looked_at: float, grace_s: float) -> set[str]:
        """Return the tasks whose result was looked for long enough after they were suspected."""
        return {task for task, since in self.suspects.items() if looked_at >= since + grace_s}

    def ask(self, site: Site, wanted: Sequence[int] | None) -> None:
        """Take what was answered about failed pods, and ask about those not known."""
        if self.asking is not None and self.asking.done():
            with contextlib.suppress(HiggsdemoError):
                self.endings |= self.asking.result()
            self.asking = None
        if self.asking is not None:
            return
        if wanted is None:
            if not self.endings:
                self.asking = site.endings(self.placed.name, None)
            return
        missing = [index for index in wanted if index not in self.endings][:ASKED_AT_ONCE]
        if missing:
            self.asking = site.endings(self.placed.name, missing)


def everything(status: JobStatus | None) -> dict[int, Ending | None]:
    """Return endings that make each failed index a suspect, whatever is known of its pod."""
    if status is None:
        return {}
    return {-1: None, **dict.fromkeys(indexes(status.failed_indexes))}


def starts(
    job: PlacedJob, status: JobStatus | None, waiting: Sequence[Open]
) -> tuple[list[tuple[str, str]], list[str]]:
    """Return which tasks run as far as one can tell, (task id, place): a Job begins in order.

    The second are those that were called running and are not.
    """
    if status is None:
        return [], []
    ended = indexes(status.completed) | indexes(status.failed_indexes)
    running: set[int] = set()
    began: list[tuple[str, str]] = []
    paused: list[str] = []
    for each in waiting:
        runs = (
            each.position not in ended
            and each.position not in running
            and len(running) < status.ready
        )
        if runs:
            running.add(each.position)
            if not each.running:
                began.append((each.task_id, f"{job.cluster}/{job.name}/{each.position}"))
        elif each.running:
            paused.append(each.task_id)
    return began, paused
