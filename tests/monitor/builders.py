"""Small runs to follow."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from higgsdemo.ledger import RunDirectory, create_run
from higgsdemo.model import Task
from tests.ledger.builders import SAMPLES, make_tasks


def new_run(
    folder: Path, tasks: Sequence[Task] = (), name: str = "r", **record: Any
) -> RunDirectory:
    record = {"samples": {"title": "Two samples"}, **record}
    return create_run(
        folder, name, record=record, samples=SAMPLES, tasks=tasks or make_tasks(6)
    )  # fmt: skip


class Clock:
    """A clock that stands still until it is set; the ledger's too, within `kept`."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@contextmanager
def kept(clock: Callable[[], float]) -> Iterator[None]:
    """Let the ledger note times by this clock."""
    with mock.patch("higgsdemo.ledger.database.time.time", clock):
        yield
