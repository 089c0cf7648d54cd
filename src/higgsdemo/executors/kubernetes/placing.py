"""Placing tasks that no job has, and having clusters make the jobs that the ledger planned."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from higgsdemo.errors import HiggsdemoError, TransientError
from higgsdemo.executors.drive import Policy
from higgsdemo.executors.kubernetes.followed import Followed
from higgsdemo.executors.kubernetes.names import job_name
from higgsdemo.executors.kubernetes.orders import apply_jobs
from higgsdemo.executors.kubernetes.settings import PodSettings
from higgsdemo.executors.kubernetes.shares import Target, balance, make_jobs
from higgsdemo.executors.kubernetes.sites import Apply, Seen, Site
from higgsdemo.executors.kubernetes.waiting import Waiting
from higgsdemo.ledger.placements import JobState, NewJob, PlacedJob, Placements
from higgsdemo.model import Task

ANSWERS_S = 30.0  # a cluster heard within this time is given tasks before others

Say = Callable[[str], None]


class Placer:
    """Gives tasks to clusters. `jobs` and `waiting` are shared with whoever follows them."""

    def __init__(
        self,
        run_id: str,
        tasks: Mapping[str, Task],
        settings: PodSettings,
        policy: Policy,
        placements: Placements,
        waiting: Waiting,
        sites: Mapping[str, Site],
        slots: Mapping[str, int],
        say: Say,
        *,
        wave_s: float,
        longest_wave_s: float,
    ) -> None:
        self._run_id = run_id
        self._tasks = tasks
        self._settings = settings
        self._policy = policy
        self._placements = placements
        self.waiting = waiting
        self._sites = sites
        self._slots = slots
        self._say = say
        self._first_wave_s = self._wave_s = wave_s
        self._longest_wave_s = longest_wave_s
        self._next_wave = 0.0
        self._next_if_idle = 0.0  # where the clusters have nothing else to do
        self.jobs = {job.number: Followed(job) for job in placements.jobs()}
        self.given_up = {
            job.placed.cluster
            for job in self.jobs.values()
            if job.placed.state is JobState.GIVEN_UP
        }
        for cluster in self.given_up & set(sites):
            sites[cluster].rest()

    def give_up(self, cluster: str, why: str) -> None:
        """Take all unfinished tasks from a cluster; they go to others. Results still count."""
        count = self._placements.give_up(cluster, why)
        self.waiting.renew()
        self.given_up.add(cluster)
        for job in self.jobs.values():
            if job.placed.cluster == cluster:
                job.mark(JobState.GIVEN_UP)
                job.forget()
                if job.making is not None:
                    job.making.cancel()  # what it is not at yet
        if cluster in self._sites:
            self._sites[cluster].rest()
        self._next_wave = 0.0
        self._say(f"cluster {cluster} is given up: {why}; {count} tasks go to others")

    def place_anew(self, seen: Mapping[str, Seen]) -> None:
        """Give tasks that no job has to clusters that answer, as further jobs."""
        now = time.monotonic()
        if now < min(self._next_wave, self._next_if_idle):
            return
        self._next_if_idle = now + self._first_wave_s
        unfinished = self._placements.unfinished()
        if self.waiting.count == unfinished:
            return  # a job has each of them
        free = self._placements.free()
        if not free or (now < self._next_wave and len(free) < unfinished):
            return
        names = [name for name in self._sites if name not in self.given_up]
        answering = [
            name for name in names if seen[name].silent_s < ANSWERS_S and seen[name].listed_at
        ]
        chosen = answering or names
        if not chosen:
            self._say(f"no cluster is left for {len(free)} tasks")
            return
        targets = [Target(name, self._slots.get(name, 0)) for name in chosen]
        placed = self._placements.place(
            self._new_jobs(free, targets),
            lambda sample, number: job_name(self._run_id, sample, number),
        )
        self.waiting.renew()
        self.jobs |= {job.number: Followed(job) for job in placed}
        where = ", ".join(dict.fromkeys(job.cluster for job in placed))
        self._say(f"{len(free)} tasks are placed anew, job {placed[-1].number}: {where}")
        self._next_wave = now + self._wave_s
        self._wave_s = min(2 * self._wave_s, self._longest_wave_s)

    def _new_jobs(self, free: Sequence[str], targets: Sequence[Target]) -> list[NewJob]:
        kills = self._placements.kills()
        by_memory: dict[int, list[Task]] = {}
        for task_id in free:
            memory = self._policy.memory(kills.get(task_id, 0))
            by_memory.setdefault(memory, []).append(self._tasks[task_id])
        return [
            job
            for memory, tasks in sorted(by_memory.items())
            for cluster, mine in balance(tasks, targets).items()
            for job in make_jobs(
                cluster,
                mine,
                memory_bytes=memory,
                slots=self._slots.get(cluster, 0),
                # What was killed for memory is done alone, so that it is known what it needs.
                per_pod=1 if memory > self._settings.memory_bytes else self._settings.tasks_per_pod,
                parallelism=self._settings.parallelism,
                later=True,
            )
        ]

    def make_planned(self) -> None:
        """Have clusters make the jobs that are planned, and hear what became of those asked."""
        for job in self.jobs.values():
            cluster = job.placed.cluster
            if job.making is not None and job.making.done():
                self._hear(job)
            elif (
                job.making is None
                and job.placed.state is JobState.PLANNED
                and cluster in self._sites
                and cluster not in self.given_up
            ):
                job.making = self._sites[cluster].make(self._order(job.placed))

    def _hear(self, job: Followed) -> None:
        making, job.making = job.making, None
        cluster = job.placed.cluster
        assert making is not None
        if making.cancelled():
            return
        try:
            making.result()
            self.mark_placed(job)
        except TransientError as error:
            self._say(f"cluster {cluster}: {error.why or error.what}")
        except HiggsdemoError as error:
            self._say(f"cluster {cluster} refuses job {job.placed.name}: {error}")
            if cluster not in self.given_up:
                self.give_up(cluster, error.why or error.what)

    def mark_placed(self, job: Followed) -> None:
        """Note that a cluster has a job."""
        if job.placed.cluster not in self.given_up:
            job.mark(JobState.PLACED)
            self._placements.mark(job.placed.number, JobState.PLACED)

    def _order(self, job: PlacedJob) -> Callable[[Apply], None]:
        return lambda apply: apply_jobs(apply, self._run_id, self._settings, [job], self._tasks)
