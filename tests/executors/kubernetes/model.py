"""Clusters and a sink in memory, that do what the real ones do, at once: for many quick trials."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self

from higgsdemo.clusters.refusals import ClusterApiError
from higgsdemo.errors import HiggsdemoError, TransientError
from higgsdemo.executors.kubernetes.names import job_name
from higgsdemo.executors.kubernetes.pods import Ending
from higgsdemo.executors.kubernetes.reconcile import Manners, Reconciler
from higgsdemo.executors.kubernetes.settings import PodSettings
from higgsdemo.executors.kubernetes.shares import Target, balance, make_jobs
from higgsdemo.executors.kubernetes.sites import Seen
from higgsdemo.executors.kubernetes.status import JobStatus, format_indexes, parse_indexes
from higgsdemo.ledger import Collector, Ledger, Manifest
from higgsdemo.ledger.placements import Placements
from higgsdemo.model import Failure, Result, Task
from higgsdemo.sinks import Arrival, Page
from higgsdemo.sinks.parcel import pack
from tests.ledger.builders import SAMPLES, ZZ, make_task, result_of

RUN = "test"
NOW = Manners(patience_s=100.0, grace_s=0.0, wave_s=0.0, longest_wave_s=0.0)


class MemorySink:
    """A sink in memory. `lose` makes it come back empty."""

    url = "memory://"
    poll_s = 0.0
    is_record = True

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def deliver(self, outcome: Result | Failure, run_id: str = RUN) -> None:
        name, payload = pack(outcome, run_id)
        self.held.setdefault(name, payload)

    def has_result(self, run_id: str, task_id: str) -> bool:
        return any(name.startswith(f"{task_id}.") and "failed" not in name for name in self.held)

    def pages(
        self, run_id: str, after: str = "", known: Callable[[str], bool] = lambda _: False
    ) -> Iterator[Page]:
        new = [Arrival(name, held) for name, held in self.held.items() if not known(name)]
        if new:
            yield Page(tuple(new))

    def trim(self, run_id: str, cursor: str) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


class ModelJob:
    """A Job as its controller keeps it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.completions = document["spec"]["completions"]
        self.parallelism = document["spec"]["parallelism"]
        self.done: set[int] = set()
        self.failed: set[int] = set()
        self.endings: dict[int, Ending] = {}
        self.ended = ""
        self.suspended = False
        self.full = False  # its pods wait

    @property
    def left(self) -> list[int]:
        if self.ended:
            return []
        return [n for n in range(self.completions) if n not in self.done | self.failed]

    @property
    def active(self) -> list[int]:
        return [] if self.suspended else self.left[: self.parallelism]

    def status(self) -> JobStatus:
        active = len(self.active)
        finished = not self.left
        return JobStatus(
            name=self.document["metadata"]["name"],
            completions=self.completions,
            parallelism=self.parallelism,
            active=active,
            ready=0 if self.full else min(active, 3),
            succeeded=len(self.done),
            failed=len(self.failed),
            completed=parse_indexes(format_indexes(self.done)),
            failed_indexes=parse_indexes(format_indexes(self.failed)),
            suspended=self.suspended,
            ended=self.ended
            or (("FailedIndexes" if self.failed else "Complete") if finished else ""),
        )


class ModelSite:
    """A cluster. Silent, it shows what it last showed; what it does meanwhile, it does."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.jobs: dict[str, ModelJob] = {}
        self.maps: set[str] = set()
        self.silent_s = 0.0
        self.full = False  # no pod of it runs
        self.refuses: ClusterApiError | None = None
        self.refusal: HiggsdemoError | None = None  # the last answer, while it is silent
        self.applied = 0
        self.resting = False
        self.deaf = 0  # how many orders to change jobs fail
        self.told = 0  # how many jobs were told how many pods to run at once
        self._shown = Seen()
        self._unanswered: list[Future[None]] = []

    def seen(self) -> Seen:
        if not self.silent_s:
            for answer in self._unanswered:  # what was asked meanwhile, nobody heard
                if not answer.done():
                    answer.set_exception(TransientError("no answer"))
            self._unanswered = []
            for job in self.jobs.values():
                job.full = self.full
            shown = {name: job.status() for name, job in self.jobs.items()}
            self._shown = Seen(shown, float("inf"))
        return Seen(
            self._shown.jobs,
            self._shown.listed_at,
            self.silent_s,
            "no answer",
            self.refusal,
        )

    def make(
        self, documents: Callable[[Callable[[dict[str, Any]], dict[str, Any]]], None]
    ) -> Future[None]:
        answer: Future[None] = Future()
        if self.silent_s:
            self._unanswered.append(answer)  # it is waited for
            return answer
        if self.refuses is not None:
            answer.set_exception(self.refuses)
            return answer
        documents(self._apply)
        answer.set_result(None)
        return answer

    def _apply(self, document: dict[str, Any]) -> dict[str, Any]:
        self.applied += 1
        name = document["metadata"]["name"]
        if document["kind"] == "Job":
            self.jobs.setdefault(name, ModelJob(document))
        else:
            self.maps.add(name)
        return {**document, "metadata": {**document["metadata"], "uid": "uid"}}

    def endings(self, job: str, wanted: Sequence[int] | None) -> Future[dict[int, Ending | None]]:
        answer: Future[dict[int, Ending | None]] = Future()
        known = self.jobs[job].endings if job in self.jobs else {}
        if wanted is None:
            answer.set_result({-1: None, **known})
        else:
            answer.set_result({index: known.get(index) for index in wanted})
        return answer

    def why_waiting(self) -> Future[tuple[str, ...]]:
        answer: Future[tuple[str, ...]] = Future()
        answer.set_result(("Unschedulable: 0/3 nodes are available",))
        return answer

    def suspend(self, jobs: Iterable[str], *, hold: bool) -> Future[None]:
        answer: Future[None] = Future()
        if self.deaf:
            self.deaf -= 1
            answer.set_exception(TransientError("no answer"))
            return answer
        for name in jobs:
            if name in self.jobs:
                self.jobs[name].suspended = hold
        answer.set_result(None)
        return answer

    def set_parallelism(self, shares: Mapping[str, int]) -> Future[None]:
        answer: Future[None] = Future()
        if self.deaf:
            self.deaf -= 1
            answer.set_exception(TransientError("no answer"))
            return answer
        for name, share in shares.items():
            if name in self.jobs:  # heard, though the cluster may not be able to say so
                self.jobs[name].parallelism = share
                self.told += 1
        if self.silent_s:
            self._unanswered.append(answer)
        else:
            answer.set_result(None)
        return answer

    def rest(self) -> None:
        self.resting = True

    def close(self) -> None: ...


class World:
    """A run in clusters of this model, over a real ledger."""

    def __init__(
        self,
        folder: Path,
        tasks: Sequence[Task],
        clusters: Sequence[str] = ("one", "two"),
        slots: Mapping[str, int] | None = None,
        **more: Any,
    ) -> None:
        self.ledger = Ledger.create(folder / "ledger.sqlite", RUN, "digest")
        self.ledger.plan(tasks)
        names = {task.sample for task in tasks} - {sample.name for sample in SAMPLES}
        others = [dataclasses.replace(ZZ, name=name) for name in sorted(names)]
        self.manifest = Manifest(RUN, (*SAMPLES, *others), tuple(tasks))
        self.tasks = {task.id: task for task in tasks}
        self.sink = MemorySink()
        self.sites = {name: ModelSite(name) for name in clusters}
        self.slots = dict(slots or {})
        self.settings = PodSettings(
            image="worker:1", sinks=("s3://b",), clusters=tuple(clusters),
            memory_bytes=1000, memory_cap_bytes=4000,
            **{"retries": 0, "tries": 3, "tasks_per_pod": 1} | more,
        )  # fmt: skip
        self.placements = Placements(self.ledger)
        shares = balance(tasks, [Target(name, 4) for name in clusters])
        jobs = [
            job
            for cluster, mine in shares.items()
            for job in make_jobs(
                cluster,
                mine,
                memory_bytes=1000,
                slots=self.slots.get(cluster, 0),
                per_pod=self.settings.tasks_per_pod,
                parallelism=self.settings.parallelism,
            )
        ]
        self.placements.place(jobs, lambda sample, number: job_name(RUN, sample, number))
        self.restart()

    def restart(self, manners: Manners = NOW, **more: Any) -> None:
        """Begin the reconciliation anew, as another process would."""
        self.reconciler = Reconciler(
            self.ledger,
            self.manifest,
            self.settings,
            self.sites,
            lambda again: Collector(self.ledger, self.manifest, self.sink, again=again),
            manners=manners,
            slots=self.slots,
            **more,
        )

    def at_once(self) -> dict[str, int]:
        """Return how many pods the jobs of each cluster may run at once, as many as are left."""
        return {
            name: sum(min(job.parallelism, len(job.left)) for job in site.jobs.values())
            for name, site in self.sites.items()
        }

    def pods(self) -> list[tuple[ModelSite, ModelJob, int]]:
        """Return the pods that are there and not ended."""
        return [
            (site, job, index)
            for site in self.sites.values()
            for job in site.jobs.values()
            for index in job.active
            if not site.full
        ]

    def tasks_of(self, job: ModelJob, index: int) -> list[Task]:
        name = job.document["metadata"]["name"]
        (placed,) = [each for each in self.placements.jobs() if each.name == name]
        return [self.tasks[task_id] for task_id in placed.indexes[index]]

    def step(self, times: int = 1) -> Any:
        for _ in range(times):
            state = self.reconciler.step()
        return state


def finish(world: World, job: ModelJob, index: int) -> None:
    """Let a pod run well to its end: results are delivered, then it is done."""
    for task in world.tasks_of(job, index):
        world.sink.deliver(result_of(task))
    job.done.add(index)


def finish_all(world: World) -> None:
    """Let everything that is left run well, to the end."""
    for _ in range(60):
        world.step(3)
        if world.ledger.counts().ended:
            return
        for _, job, index in world.pods():
            finish(world, job, index)
    raise AssertionError(f"it does not end: {world.ledger.counts()}")


def of_samples(samples: int, each: int) -> list[Task]:
    """Return tasks of many samples: in a cluster, each is a job."""
    named = [dataclasses.replace(ZZ, name=f"S{number}") for number in range(samples)]
    return [make_task(number, sample) for sample in named for number in range(each)]
