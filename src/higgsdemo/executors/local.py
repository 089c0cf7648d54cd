"""Executor `local`: worker processes on this machine.

Each worker is a fresh program (`python -m higgsdemo.worker`) on its own socket, so nothing is
inherited, a killed worker costs one attempt at one task, and no lock is shared that it could
hold. Memory is watched from outside and a worker over its limit is killed.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing.connection
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil

from higgsdemo.errors import Cause
from higgsdemo.executors.protocol import Event, Started
from higgsdemo.model import Failure, Result, Task
from higgsdemo.worker import ENVIRONMENT

_BURIAL_S = 10.0  # how long a process that ends may take for it
_WATCH_S = 0.1  # how often memory is looked at


def usable_cores() -> int:
    """Return the cores this process may use: its affinity mask and its cgroup's CPU quota."""
    cores = len(os.sched_getaffinity(0))
    for quota_file, period_file in (
        ("/sys/fs/cgroup/cpu.max", None),
        ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
    ):
        with contextlib.suppress(OSError, ValueError):
            quota, *rest = Path(quota_file).read_text().split()
            period = rest[0] if period_file is None else Path(period_file).read_text()
            if int(quota) > 0:
                cores = min(cores, max(1, round(int(quota) / int(period))))
    return cores


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection
    task: Task | None = None
    memory_bytes: int = 0
    over_memory: int = 0  # the size at which we killed it

    @property
    def place(self) -> str:
        return f"local process {self.process.pid}"


class LocalExecutor:
    """Runs tasks in `workers` processes (default: the usable cores).

    `logs` is the folder for what workers write to standard error. `environment` is what they
    have besides ours; other users cannot see it, so it may hold secrets.
    """

    name = "local"

    def __init__(
        self,
        workers: int | None = None,
        logs: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._count = workers or usable_cores()
        self._logs = logs
        self._environment = dict(environment or {})
        self._workers: list[_Worker] = []
        self._started: list[Event] = []
        self._looked = 0.0

    @property
    def workers(self) -> int:
        """How many worker processes there are at most."""
        return self._count

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in list(self._workers):
            self._bury(worker)

    @property
    def capacity(self) -> int:
        """How many workers are idle or not yet started."""
        return self._count - sum(worker.task is not None for worker in self._workers)

    def submit(self, task: Task, memory_bytes: int) -> None:
        """Give the task to an idle worker, or to a new one."""
        worker = next((worker for worker in self._workers if worker.task is None), None)
        if worker is None:
            worker = self._spawn()
        worker.task, worker.memory_bytes = task, memory_bytes
        self._started.append(Started(task.id, worker.place))
        # A worker that died idle shows as a closed connection in `events`.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            worker.connection.send_bytes(json.dumps(task.to_json()).encode())

    def events(self, timeout: float) -> list[Event]:
        """Wait for results, failures and dead workers; watch memory meanwhile."""
        happened, self._started = self._started, []
        deadline = time.monotonic() + (0 if happened else timeout)
        while True:
            by_connection = {worker.connection: worker for worker in self._workers}
            wait = max(0.0, min(_WATCH_S, deadline - time.monotonic()))
            for ready in multiprocessing.connection.wait(list(by_connection), timeout=wait):
                assert isinstance(ready, Connection)
                happened += self._hear(by_connection[ready])
            if time.monotonic() - self._looked >= _WATCH_S:
                self._watch_memory()
            if happened or time.monotonic() >= deadline:
                return happened

    def _hear(self, worker: _Worker) -> list[Event]:
        try:
            message = json.loads(worker.connection.recv_bytes())
        except (EOFError, OSError):
            return self._died(worker)
        worker.task = None
        if "result" in message:
            return [Result.from_json(message["result"])]
        return [Failure.from_json(message["failure"])]

    def _died(self, worker: _Worker) -> list[Event]:
        task, place = worker.task, worker.place
        status = self._bury(worker)
        if task is None:
            return []
        if worker.over_memory:
            message = (
                f"killed at {worker.over_memory / 1e6:.0f} MB of memory, "
                f"over its limit of {worker.memory_bytes / 1e6:.0f} MB"
            )
            return [Failure(task.id, Cause.RESOURCES, message, None, {"place": place})]
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        message = f"the worker process {how} while it ran the task"
        return [Failure(task.id, Cause.TRANSIENT, message, None, {"place": place})]

    def _watch_memory(self) -> None:
        self._looked = time.monotonic()
        for worker in self._workers:
            if worker.task is None or not worker.memory_bytes:
                continue
            with contextlib.suppress(psutil.NoSuchProcess):
                size = psutil.Process(worker.process.pid).memory_info().rss
                if size > worker.memory_bytes:
                    worker.over_memory = size
                    worker.process.kill()

    def _spawn(self) -> _Worker:
        ours, theirs = multiprocessing.connection.Pipe()
        log = Path(os.devnull)
        if self._logs is not None:
            self._logs.mkdir(parents=True, exist_ok=True)
            log = self._logs / "workers.log"
        with log.open("ab") as output:
            process = self._start(theirs, output)
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _start(self, connection: Connection, output: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            # -P: the folder we happen to stand in is not a place to import from.
            [
                *(sys.executable, "-P", "-m", "higgsdemo.worker"),
                *("--connection", str(connection.fileno())),
            ],
            pass_fds=[connection.fileno()],
            env={**ENVIRONMENT, **os.environ, **self._environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for the driver, which ends its workers
        )

    def _bury(self, worker: _Worker) -> int:
        """Forget a worker that ended or is ending; return its exit status."""
        self._workers.remove(worker)
        worker.connection.close()
        try:
            return worker.process.wait(_BURIAL_S)
        except subprocess.TimeoutExpired:  # the kernel does not let it go: a disk that hangs
            return -signal.SIGKILL
