"""A cluster while it works on a run: watched by one thread, asked things by another.

The reconciliation never waits for a cluster: it looks at what is known, and asks. A cluster that
does not answer is silent, for as long as it takes; nothing else stops for it.
"""

from __future__ import annotations

import dataclasses
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from higgsdemo.clusters import labels
from higgsdemo.clusters.api import Cluster
from higgsdemo.clusters.refusals import ClusterApiError, Gone
from higgsdemo.errors import CredentialsError, HiggsdemoError, TransientError
from higgsdemo.executors.kubernetes.pods import (
    INDEX,
    Ending,
    creation_refused,
    ending,
    waiting_reason,
)
from higgsdemo.executors.kubernetes.status import JobStatus

Apply = Callable[[dict[str, Any]], dict[str, Any]]

WATCH_S = 60.0  # a watch is asked for anew at least so often: a sign of life
PAUSE_S = 1.0  # between two watches that ended early
REST_S = 30.0  # between two questions to a cluster that was given up
PODS_ASKED = 40  # indexes a request asks about
EVENTS_ASKED = 100


@dataclass(frozen=True)
class Seen:
    """What is known of the jobs of a run in a cluster.

    `jobs` by name, `known_since` the beginning of the list they are from (monotonic, s; 0: never
    seen); `silent_s` since the cluster was last heard; `problem` why, or what it refuses.
    """

    jobs: Mapping[str, JobStatus] = field(default_factory=dict)
    listed_at: float = 0.0
    silent_s: float = 0.0
    problem: str = ""
    refusal: HiggsdemoError | None = None


class Site(Protocol):
    """A cluster as the reconciliation sees it; everything asked is answered later."""

    name: str

    def seen(self) -> Seen:
        """Return what is known now."""
        ...

    def make(
        self, documents: Callable[[Callable[[dict[str, Any]], dict[str, Any]]], None]
    ) -> Future[None]:
        """Have documents applied: the callable is given the function that applies one."""
        ...

    def endings(self, job: str, wanted: Sequence[int] | None) -> Future[dict[int, Ending | None]]:
        """Ask how the last failed pods of these indexes (None: some) ended."""
        ...

    def why_waiting(self) -> Future[tuple[str, ...]]:
        """Ask why pods do not start: each reason once."""
        ...

    def suspend(self, jobs: Iterable[str], *, hold: bool) -> Future[None]:
        """Have jobs held, or let go on."""
        ...

    def set_parallelism(self, shares: Mapping[str, int]) -> Future[None]:
        """Have jobs run so many pods at once, by their names."""
        ...

    def rest(self) -> None:
        """Ask seldom from now on: it was given up, and is only to stop if it comes back."""
        ...

    def close(self) -> None:
        """End the threads; what is asked and not answered is forgotten."""
        ...


class ClusterSite:
    """A real cluster. `watch_s`: how long a watch is, and so how often a quiet one is heard, s."""

    def __init__(
        self, cluster: Cluster, namespace: str, run_id: str, watch_s: float = WATCH_S
    ) -> None:
        self.name = cluster.name
        self.cluster = cluster
        self._jobs_path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._pods_path = f"/api/v1/namespaces/{namespace}/pods"
        self._events_path = f"/api/v1/namespaces/{namespace}/events"
        self._selector = labels.selector(run_id)
        self._lock = threading.Lock()
        self._jobs: dict[str, JobStatus] = {}
        self._listed_at = 0.0
        self._heard_at = time.monotonic()
        self._problem = ""
        self._refusal: HiggsdemoError | None = None
        self._watch_s = max(1.0, watch_s)
        self._resting = False
        self._closed = threading.Event()
        # Two, so that a slow question does not stand in the way of making jobs.
        self._hands = ThreadPoolExecutor(2, thread_name_prefix=f"ask-{cluster.name}")
        # A daemon: a watch that hangs must not keep the program from ending.
        self._watcher = threading.Thread(
            target=self._follow, name=f"watch-{cluster.name}", daemon=True
        )
        self._watcher.start()

    def seen(self) -> Seen:
        """Return what is known now, see `Site.seen`."""
        with self._lock:
            return Seen(
                dict(self._jobs),
                self._listed_at,
                time.monotonic() - self._heard_at,
                self._problem,
                self._refusal,
            )

    def rest(self) -> None:
        """Ask seldom from now on, see `Site.rest`."""
        self._resting = True
        self.cluster.patience = dataclasses.replace(self.cluster.patience, total_s=0.0)  # one try

    def close(self) -> None:
        """End the threads, see `Site.close`."""
        self._closed.set()
        self._hands.shutdown(wait=False, cancel_futures=True)
        self.cluster.close()

    # -- asking -----------------------------------------------------------------------------------

    def make(
        self, documents: Callable[[Callable[[dict[str, Any]], dict[str, Any]]], None]
    ) -> Future[None]:
        """Have documents applied, see `Site.make`."""
        return self._hands.submit(documents, self.cluster.apply)

    def endings(self, job: str, wanted: Sequence[int] | None) -> Future[dict[int, Ending | None]]:
        """Ask how the last failed pods of these indexes ended, see `Site.endings`."""
        chosen = None if wanted is None else tuple(wanted)
        return self._hands.submit(self._endings, job, chosen)

    def _endings(self, job: str, wanted: Sequence[int] | None) -> dict[int, Ending | None]:
        found: dict[int, Ending | None] = dict.fromkeys(wanted or (-1,))
        for start in range(0, max(1, len(wanted or ())), PODS_ASKED):
            chosen = [str(index) for index in (wanted or ())[start : start + PODS_ASKED]]
            only = f",{INDEX} in ({','.join(chosen)})" if chosen else ""
            listed = self.cluster.get(
                self._pods_path,
                labelSelector=f"batch.kubernetes.io/job-name={job}{only}",
                fieldSelector="status.phase=Failed",
                limit=5 * PODS_ASKED,
            )
            for pod in listed.get("items") or ():
                told = ending(pod)
                before = found.get(told.index)
                known = wanted is None or told.index in found
                if known and (before is None or told.when >= before.when):
                    found[told.index] = told
        return found

    def why_waiting(self) -> Future[tuple[str, ...]]:
        """Ask why pods do not start, see `Site.why_waiting`."""
        return self._hands.submit(self._why_waiting)

    def _why_waiting(self) -> tuple[str, ...]:
        listed = self.cluster.get(
            self._pods_path,
            labelSelector=self._selector,
            fieldSelector="status.phase=Pending",
            limit=5,
        )
        reasons = [waiting_reason(pod) for pod in listed.get("items") or ()]
        if not listed.get("items"):
            reasons = self._why_none_is_made()
        return tuple(dict.fromkeys(filter(None, reasons)))

    def _why_none_is_made(self) -> list[str]:
        """Return why the API server lets no pod be made, of the newest such event."""
        listed = self.cluster.get(
            self._events_path,
            fieldSelector="type=Warning,reason=FailedCreate,involvedObject.kind=Job",
            limit=EVENTS_ASKED,
        )
        with self._lock:
            waiting = {name for name, job in self._jobs.items() if job.waits}
        mine = [
            event
            for event in listed.get("items") or ()
            if (event.get("involvedObject") or {}).get("name") in waiting
        ]
        newest = max(mine, key=lambda event: str(event.get("lastTimestamp") or ""), default=None)
        return [] if newest is None else [creation_refused(str(newest.get("message") or ""))]

    def suspend(self, jobs: Iterable[str], *, hold: bool) -> Future[None]:
        """Have jobs held, or let go on, see `Site.suspend`."""
        return self._hands.submit(self._change, {name: {"suspend": hold} for name in jobs})

    def set_parallelism(self, shares: Mapping[str, int]) -> Future[None]:
        """Have jobs run so many pods at once, see `Site.set_parallelism`."""
        changes = {name: {"parallelism": share} for name, share in shares.items()}
        return self._hands.submit(self._change, changes)

    def _change(self, specs: Mapping[str, dict[str, Any]]) -> None:
        for name, spec in specs.items():
            try:
                self.cluster.patch(f"{self._jobs_path}/{name}", {"spec": spec})
            except ClusterApiError as error:
                if error.status != 404:  # gone: nothing to change
                    raise

    # -- watching ---------------------------------------------------------------------------------

    def _follow(self) -> None:
        """List, then watch from there; list anew when the version is too old or the list stale."""
        version = ""
        pause = PAUSE_S
        while not self._closed.is_set():
            try:
                version = self._watch(version) if version else self._list()
                pause = PAUSE_S
            except Gone:  # and listed anew after a pause: a server may say so each time
                version, pause = "", PAUSE_S
            except TransientError as error:
                self._note(problem=error.why or error.what)
                version = ""
                pause = min(2 * pause, 30.0)
            except CredentialsError as error:
                self._note(problem=error.what, refusal=error)
                version, pause = "", 30.0
            except HiggsdemoError as error:
                self._note(problem=error.why or error.what)
                version = ""
                pause = min(2 * pause, 30.0)
            except Exception as error:  # noqa: BLE001 - a thread has nobody above it to tell
                if self._closed.is_set():
                    return
                self._note(problem=f"{type(error).__name__}: {error}")
                version = ""
                pause = min(2 * pause, 30.0)
            self._closed.wait(REST_S if self._resting else pause * random.uniform(0.5, 1))

    def _list(self) -> str:
        began = time.monotonic()
        jobs: dict[str, JobStatus] = {}
        query: dict[str, Any] = {"labelSelector": self._selector, "limit": 500}
        while True:
            page = self.cluster.get(self._jobs_path, **query)
            jobs |= {
                each["metadata"]["name"]: JobStatus.of(each) for each in page.get("items") or ()
            }
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                break
            query["continue"] = metadata["continue"]
        with self._lock:
            self._jobs = jobs
            self._listed_at = began
            self._heard_at = time.monotonic()
            self._problem, self._refusal = "", None
        return str(metadata.get("resourceVersion") or "")

    def _watch(self, version: str) -> str:
        """Follow the jobs from a version; return where to go on."""
        began = time.monotonic()
        for event in self.cluster.watch(
            self._jobs_path,
            selector=self._selector,
            version=version,
            timeout_s=self._watch_s,
            opened=self._note,  # where nothing happens, it is the only sign of life
        ):
            document = event["object"]
            version = str(document["metadata"].get("resourceVersion") or version)
            with self._lock:
                self._heard_at = time.monotonic()
                if event["type"] == "BOOKMARK":
                    continue
                name = document["metadata"]["name"]
                if event["type"] == "DELETED":
                    self._jobs.pop(name, None)
                else:
                    self._jobs[name] = JobStatus.of(document)
            if self._closed.is_set():
                break
        if time.monotonic() - began >= 0.9 * self._watch_s:
            self._note()  # it ended as asked, so the server is there
        return version

    def _note(self, problem: str = "", refusal: HiggsdemoError | None = None) -> None:
        with self._lock:
            self._problem, self._refusal = problem, refusal
            if not problem:
                self._heard_at = time.monotonic()
