"""The tasks that are waited for, by job, kept in step with the ledger at the price of what is new.

Reading the placements of 26,920 tasks at each look would cost more than all else together. So
they are read when they are placed, judged or given up, and between that only results are looked
for. It holds for the one process that follows the run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from higgsdemo.executors.kubernetes.judge import Known
from higgsdemo.ledger import Ledger, news
from higgsdemo.ledger.placements import Open, Placements


class Waiting:
    """Knows which tasks wait for which job. Who changes placements or failures calls `renew`."""

    def __init__(self, ledger: Ledger, placements: Placements) -> None:
        self._ledger = ledger
        self._placements = placements
        self._renewed = False
        self._seen = 0  # sequence number of the last result taken off
        self._jobs: dict[int, dict[str, Open]] = {}
        self._job_of: dict[str, int] = {}
        self._changed: set[int] = set()
        self.known = Known({}, {})

    def renew(self) -> None:
        """Read everything anew at the next look."""
        self._renewed = False

    @property
    def count(self) -> int | None:
        """How many tasks wait for a job; None where that is not known without reading."""
        return len(self._job_of) if self._renewed else None

    def refresh(self) -> set[int]:
        """Take in what the ledger has got; return the jobs that wait for others than before."""
        if not self._renewed:
            self._read()
        else:
            for sequence, task in news.tasks_after(self._ledger, self._seen):
                self._seen = sequence
                self._drop(task)
        changed, self._changed = self._changed, set()
        return changed

    def of(self, job: int) -> Sequence[Open]:
        """Return the tasks that wait for a job, in their order."""
        return [*self._jobs.get(job, {}).values()]

    def note_running(self, began: Iterable[str], paused: Iterable[str]) -> None:
        """Note which tasks run now, and which wait instead."""
        for tasks, runs in ((began, True), (paused, False)):
            for task in tasks:
                mine = self._jobs[self._job_of[task]]
                mine[task] = dataclasses.replace(mine[task], running=runs)

    def _read(self) -> None:
        self._seen = news.last_arrival(self._ledger)
        before = self._jobs
        self._jobs = {}
        for each in self._placements.open():
            self._jobs.setdefault(each.job, {})[each.task_id] = each
        self._job_of = {task: job for job, mine in self._jobs.items() for task in mine}
        self._changed |= before.keys() | self._jobs.keys()
        self.known = Known(self._placements.tries(), self._placements.told())
        self._renewed = True

    def _drop(self, task: str) -> None:
        job = self._job_of.pop(task, None)
        if job is not None:
            del self._jobs[job][task]
            self._changed.add(job)
