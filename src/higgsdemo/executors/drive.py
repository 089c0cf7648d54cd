"""Driving a run: tasks from the ledger to an engine, outcomes from the engine to the ledger.

The same for every engine. The ledger is written before anything is told to anyone, so the
process may be killed at any instruction (promise P3).
"""

from __future__ import annotations

import heapq
import random
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from higgsdemo.errors import Cause
from higgsdemo.executors.protocol import Event, Executor, Started
from higgsdemo.ledger import Counts, Delivery, Ledger
from higgsdemo.model import Failure, Result, Task

# What no further attempt can mend, and of that, what concerns all tasks alike.
FINAL = frozenset({Cause.BAD_INPUT, Cause.BUG, Cause.CREDENTIALS})
AT_ONCE = frozenset({Cause.BUG, Cause.CREDENTIALS})


@dataclass(frozen=True)
class Policy:
    """What to do about failures.

    `tries` bounds the failed attempts that count against a task; `memory_bytes` is a task's
    first limit, doubled after each attempt killed for memory up to `memory_cap_bytes` (0: no
    limit). Back-off before a further attempt: `backoff_s` doubled with each try, at most
    `backoff_cap_s`, half of it random.
    """

    tries: int = 3
    skip_bad_files: bool = False
    memory_bytes: int = 0
    memory_cap_bytes: int = 0
    backoff_s: float = 0.5
    backoff_cap_s: float = 60.0

    def again(self, failure: Failure, tries: int) -> bool:
        """Whether the task is tried again after this failure, its number `tries`."""
        if failure.cause is Cause.PREEMPTED:
            return True
        return failure.cause not in FINAL and tries < self.tries

    def stops(self, failure: Failure) -> bool:
        """Whether the run stops for this failure once it is final (promise P4)."""
        if failure.cause is Cause.BAD_INPUT:
            return not self.skip_bad_files
        return failure.cause in AT_ONCE

    def memory(self, kills: int) -> int:
        """Return the memory limit in bytes after `kills` attempts were killed for memory."""
        return min(self.memory_bytes << kills, max(self.memory_cap_bytes, self.memory_bytes))

    def delay(self, tries: int) -> float:
        """Return how long to wait before try number `tries` + 1, s."""
        longest = min(self.backoff_cap_s, self.backoff_s * 2.0 ** max(0, tries - 1))
        return longest * random.uniform(0.5, 1)


class Observer(Protocol):
    """Somebody who watches a run, e.g. a progress display."""

    def on_event(self, event: Event) -> None:
        """Hear that something happened to a task."""
        ...

    def on_counts(self, counts: Counts) -> None:
        """Hear how many tasks are in which state (a few times a second)."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How driving ended: the counts, and the failure that stopped the run, if one did."""

    counts: Counts
    stopped_by: Failure | None = None


class _Drive:
    """One drive of a run."""

    def __init__(
        self,
        ledger: Ledger,
        tasks: Mapping[str, Task],
        executor: Executor,
        policy: Policy,
        observer: Observer,
    ) -> None:
        self._ledger = ledger
        self._tasks = tasks
        self._executor = executor
        self._policy = policy
        self._observer = observer
        self._ready = deque(ledger.queued())
        self._waiting: list[tuple[float, str]] = []  # heap of (when, task id): backing off
        self._kills: dict[str, int] = {}
        self._running: set[str] = set()  # submitted, and nothing heard of their end
        self._stopped_by: Failure | None = None
        self._told = 0.0

    def run(self) -> Failure | None:
        """Drive until nothing is left or the run stops; return what stopped it."""
        while True:
            self._submit()
            if not self._running and (self._stopped_by or not (self._ready or self._waiting)):
                break
            for event in self._executor.events(timeout=0.2):
                self._take(event)
            if self._stopped_by and self._stopped_by.cause in AT_ONCE:
                break  # at once; what runs is queued again by recover()
            self._tell()
        return self._stopped_by

    def _submit(self) -> None:
        if self._stopped_by:
            return  # a run stopped by a bad file lets what runs end, and starts nothing new
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            self._ready.append(heapq.heappop(self._waiting)[1])
        room = self._executor.capacity
        while room > 0 and self._ready:
            task_id = self._ready.popleft()
            if task_id in self._running or self._ledger.state(task_id) != "queued":
                continue  # its result came after all
            room -= 1
            kills = self._kills.get(task_id, 0)
            self._executor.submit(self._tasks[task_id], self._policy.memory(kills))
            self._running.add(task_id)

    def _take(self, event: Event) -> None:
        if isinstance(event, Started):
            self._ledger.start(event.task_id, event.place)
        elif isinstance(event, Result):
            self._running.discard(event.task_id)
            if self._ledger.deliver(event) is Delivery.ALARM:
                self._stopped_by = Failure(event.task_id, Cause.BUG, self._ledger.alarms()[-1])
        else:
            self._running.discard(event.task_id)
            self._take_failure(event)
        self._observer.on_event(event)

    def _take_failure(self, failure: Failure) -> None:
        counted = failure.cause is not Cause.PREEMPTED
        known = failure.task_id in self._tasks
        tries = (self._ledger.tries(failure.task_id) if known else 0) + counted
        again = self._policy.again(failure, tries)
        if not self._ledger.fail(failure, again=again, counts=counted):
            return  # late, of a task that is done, or not of this run: noted
        if again:
            if failure.cause is Cause.RESOURCES:
                self._kills[failure.task_id] = self._kills.get(failure.task_id, 0) + 1
            delay = 0 if failure.cause is Cause.RESOURCES else self._policy.delay(max(1, tries))
            heapq.heappush(self._waiting, (time.monotonic() + delay, failure.task_id))
        elif self._policy.stops(failure) and (
            self._stopped_by is None or failure.cause is Cause.BUG
        ):
            self._stopped_by = failure

    def _tell(self) -> None:
        if time.monotonic() - self._told > 0.2:
            self._told = time.monotonic()
            self._observer.on_counts(self._ledger.counts())


def drive(
    ledger: Ledger,
    tasks: Mapping[str, Task],
    executor: Executor,
    policy: Policy,
    observer: Observer,
) -> Outcome:
    """Run all queued tasks of `ledger` on `executor` and return how it ended.

    Tasks left running by a driver that ended are queued again first, and by this one when it is
    interrupted.
    """
    ledger.recover()
    try:
        with executor:
            stopped_by = _Drive(ledger, tasks, executor, policy, observer).run()
    finally:
        ledger.recover()
    counts = ledger.counts()
    observer.on_counts(counts)
    return Outcome(counts, stopped_by)
