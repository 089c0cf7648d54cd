"""What an engine must do: take tasks, and tell what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from higgsdemo.model import Failure, Result, Task


@dataclass(frozen=True)
class Started:
    """A task began to run at `place` (host and process, pod, job)."""

    task_id: str
    place: str


Event = Started | Result | Failure


class Executor(Protocol):
    """An engine. It holds no record: the ledger does, so it may forget anything.

    Used as a context manager; leaving it ends everything it started.
    """

    name: str

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    @property
    def capacity(self) -> int:
        """How many more tasks it takes now."""
        ...

    def submit(self, task: Task, memory_bytes: int) -> None:
        """Take a task and run it with at most this much memory (bytes; 0 is no limit)."""
        ...

    def events(self, timeout: float) -> list[Event]:
        """Wait up to `timeout` seconds for something to happen and return what did."""
        ...
