"""Wall time of some tasks on N worker processes: `two_workers.py WORKERS TASKS TINY FILE`.

The workers are the processes that executor `local` starts (`python -m higgsdemo.worker`), each
given a tiny task first, so that neither start-up nor imports are in the figure. A task is all of
FILE; a worker gets the next one when it hands in a result.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from multiprocessing.connection import Connection, wait

from worker_loop import task

from higgsdemo.model import Task


class Worker:
    """A worker process and our end of its socket."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "higgsdemo.worker", "--connection", str(theirs.fileno())]
        self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()
        self.connection = Connection(ours.detach())

    def give(self, work: Task) -> None:
        self.connection.send_bytes(json.dumps(work.to_json()).encode())

    def take(self) -> int:
        """The events of the result that has come."""
        outcome = json.loads(self.connection.recv_bytes())
        if "result" not in outcome:
            raise RuntimeError(outcome["failure"]["message"])
        return int(outcome["result"]["events"])

    def end(self) -> None:
        self.connection.close()
        self.process.wait()


def timed(workers: list[Worker], work: Task, tasks: int) -> tuple[float, int]:
    """Run the same task `tasks` times; return wall seconds and events."""
    began, left, events, running = time.perf_counter(), tasks, 0, 0
    by_connection = {worker.connection: worker for worker in workers}
    for worker in workers[:tasks]:
        worker.give(work)
        left, running = left - 1, running + 1
    while running:
        for connection in wait(list(by_connection)):
            worker = by_connection[connection]  # type: ignore[index]
            events += worker.take()
            if left:
                worker.give(work)
                left -= 1
            else:
                running -= 1
    return time.perf_counter() - began, events


def main(count: int, tasks: int, tiny: str, path: str) -> None:
    workers = [Worker() for _ in range(count)]
    try:
        for worker in workers:
            worker.give(task(tiny, "default"))
        for worker in workers:
            worker.take()
        wall, events = timed(workers, task(path, "default"), tasks)
    finally:
        for worker in workers:
            worker.end()
    print(json.dumps({"wall_s": wall, "events": events}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
