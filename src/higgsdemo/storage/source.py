"""What every kind of storage offers: the bytes of one file, in any order."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

Range = tuple[int, int]
"""Bytes [start, stop) of a file."""


@runtime_checkable
class Source(Protocol):
    """The bytes of one file, random access. A context manager that closes it.

    `bytes_read` and `requests` count what was really fetched so far, gaps between coalesced
    ranges included.
    """

    @property
    def url(self) -> str:
        """The URL as the user wrote it, without what is secret in it."""
        ...

    @property
    def size(self) -> int:
        """The size of the file, bytes."""
        ...

    @property
    def bytes_read(self) -> int:
        """How many bytes were fetched."""
        ...

    @property
    def requests(self) -> int:
        """In how many requests."""
        ...

    def read(self, ranges: Sequence[Range]) -> list[bytes | memoryview]:
        """Return the bytes of each range [start, stop), in the order asked.

        Raises InputError if the file ends before a range does (it is truncated), and
        TransientError if the storage fails in a way that may pass.
        """
        ...

    def close(self) -> None:
        """Let go of the file. May be called again."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


@runtime_checkable
class ReadsAhead(Protocol):
    """A source that can fetch while others compute."""

    def prefetch(self, ranges: Sequence[Range]) -> None:
        """Begin to fetch what the next `read` will ask for. A hint: nothing is raised."""
        ...


@runtime_checkable
class HasPath(Protocol):
    """A source that is a file on this machine: a local one, or one that was staged in."""

    @property
    def path(self) -> str:
        """Where another program may open it, as long as the source is open."""
        ...


class Closing:
    """The context-manager part of what has a `close`."""

    def close(self) -> None:
        """Nothing to let go of."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
