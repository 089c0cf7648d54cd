"""Serving tasks over a socket handed down by the parent process (executor `local`)."""

from __future__ import annotations

import json
import os
import queue
import threading
from multiprocessing.connection import Connection

from higgsdemo.model import Failure, Result, Task
from higgsdemo.worker.patience import Watched
from higgsdemo.worker.task import attempt, writable


def serve(connection: Connection) -> None:
    """Run the tasks that come over `connection`, one at a time, until it closes.

    A thread listens, so that a worker whose driver is gone ends at once, even in a task.
    """
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()

    def listen() -> None:
        while True:
            try:
                tasks.put(Task.from_json(json.loads(connection.recv_bytes())))
            except (EOFError, OSError):
                os._exit(0)

    def tell(outcome: Result | Failure) -> None:
        kind = "result" if isinstance(outcome, Result) else "failure"
        try:
            connection.send_bytes(json.dumps({kind: outcome.to_json()}).encode())
        except (BrokenPipeError, ConnectionResetError):
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    watched = Watched(tell)
    while True:
        task = watched.task = tasks.get()
        outcome = writable(task, attempt(task))
        with watched.speaking:
            watched.task = None
            tell(outcome)
