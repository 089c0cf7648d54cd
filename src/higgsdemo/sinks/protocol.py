"""What every sink offers: workers put outcomes in, one collector takes them out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from higgsdemo.model import Failure, Result

Known = Callable[[str], bool]
"""Whether a document of this name is in the ledger already and need not be fetched."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A document found in a sink: its name there, and its bytes as they travelled.

    `payload` is None where it cannot be fetched and never will be; `problem` says why.
    """

    name: str
    payload: bytes | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the documents of a run. `cursor` is where reading goes on after them.

    `emptied` says that before this page the sink had lost what it held.
    """

    arrivals: tuple[Arrival, ...]
    cursor: str = ""
    emptied: bool = False


class Sink(Protocol):
    """Where outcomes of tasks wait for the collector. A context manager that closes it.

    `url` has no secrets in it and may be shown and stored. `poll_s` is how long a tail should
    wait between two looks, s. `is_record`: it keeps what it took; a bus may come back empty.
    """

    url: str
    poll_s: float
    is_record: bool

    def deliver(self, outcome: Result | Failure, run_id: str) -> None:
        """Put an outcome in: wholly or not at all, and only once however often it is repeated.

        A result with another digest than that of an earlier one of its task is kept beside it:
        the ledger raises the alarm, the sink does not choose.

        Raises
        ------
        CredentialsError
            we are not let in
        TransientError
            the sink cannot be reached or is full, for as long as we are willing to try
        HiggsdemoError
            there is no such bucket or folder
        """
        ...

    def has_result(self, run_id: str, task_id: str) -> bool:
        """Whether there is a result of the task. Errors as above."""
        ...

    def pages(self, run_id: str, after: str = "", known: Known = lambda _: False) -> Iterator[Page]:
        """Yield what the sink has of a run after the cursor `after`, then end. Errors as above.

        Where a store has no order of arrival the cursor is empty, and `known` alone tells what
        is new. A document may be found again; none is passed over.
        """
        ...

    def publish(self, run_id: str, plan: bytes) -> bytes:
        """Put the plan of a run beside its results, once; return the one that is there then."""
        ...

    def plan(self, run_id: str) -> bytes | None:
        """Return the plan that was published of a run. Errors as above."""
        ...

    def runs(self) -> list[str]:
        """Return the names of the runs that may have a plan here, sorted. Errors as above."""
        ...

    def trim(self, run_id: str, cursor: str) -> None:
        """Let go of the memory of all documents up to `cursor`; a store of files keeps them."""
        ...

    def close(self) -> None:
        """Let go of connections. May be called again."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
