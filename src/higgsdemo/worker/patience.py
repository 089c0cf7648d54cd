"""A worker whose read of a local file hangs gives its task up and ends: see `storage.hung`."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable

from higgsdemo.errors import Cause, TransientError, UsageError
from higgsdemo.model import Failure, Task
from higgsdemo.worker.settings import EXIT_CODES
from higgsdemo.worker.task import place


class Watched:
    """The task that this process is at. `tell` is called with its failure if a read of it hangs.

    `speaking` is held while an outcome is told, so that there are never two.
    """

    def __init__(self, tell: Callable[[Failure], object]) -> None:
        from higgsdemo.storage import Access
        from higgsdemo.storage.hung import limit_local_reads

        self.task: Task | None = None
        self.speaking = threading.Lock()
        self._tell = tell
        limit = Access.hung_s
        with contextlib.suppress(UsageError):  # of another variable: the task itself will say so
            limit = Access.from_environment().hung_s
        limit_local_reads(limit, self._give_up)

    def _give_up(self, url: str, seconds: float) -> None:
        with self.speaking:
            if self.task is not None:
                error = TransientError(
                    "reading the input hangs",
                    why=f"no answer came from its disk for {seconds:g} s",
                    where=url,
                    hint="see whether the network disk it lies on is there",
                )
                self._tell(Failure(self.task.id, Cause.TRANSIENT, str(error), None, place()))
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(EXIT_CODES[Cause.TRANSIENT])
