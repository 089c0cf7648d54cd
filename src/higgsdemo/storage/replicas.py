"""A file that lies in several places: the first that works, and the next where it fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from higgsdemo.errors import CredentialsError, InputError, TaskError, TransientError
from higgsdemo.storage.source import Closing, HasPath, Range, ReadsAhead, Source
from higgsdemo.storage.urls import origin

# The header of a ROOT file is in it, with the UUID it got when it was written: copies share it.
_IDENTITY_BYTES = 512
_AVOID_S = 300.0

_failed: dict[tuple[str, str], float] = {}  # when a server last failed this process


class ReplicatedSource(Closing):
    """A `Source` over several copies, read from one of them at a time.

    A copy that fails while it is read is left for another one only if that has the same size
    and the same beginning. Raises what the first copy raised if none is left.
    """

    def __init__(self, urls: Sequence[str], open_one: Callable[[str], Source]) -> None:
        now = time.monotonic()
        self._left = sorted(urls, key=lambda url: now - _failed.get(origin(url), -1e9) < _AVOID_S)
        self._open_one = open_one
        self._failures: list[TaskError] = []
        self._spent_bytes = self._spent_requests = 0
        self._url = ""
        self._source = self._next()
        self.size = self._source.size
        self._identity = self._begins(self._source)

    @property
    def url(self) -> str:
        """The copy in use."""
        return self._source.url

    @property
    def bytes_read(self) -> int:
        """Bytes fetched so far, from all copies."""
        return self._spent_bytes + self._source.bytes_read

    @property
    def requests(self) -> int:
        """Requests made so far, to all copies."""
        return self._spent_requests + self._source.requests

    @property
    def path(self) -> str:
        """The path of the copy in use; of whole files only."""
        assert isinstance(self._source, HasPath)
        return self._source.path

    def read(self, ranges: Sequence[Range]) -> list[bytes | memoryview]:
        """Return the bytes of each range, see `Source.read`."""
        while True:
            try:
                return self._source.read(ranges)
            except TransientError as error:
                self._leave(error)

    def prefetch(self, ranges: Sequence[Range]) -> None:
        """See `ReadsAhead.prefetch`."""
        if isinstance(self._source, ReadsAhead):
            self._source.prefetch(ranges)

    def close(self) -> None:
        """Let go of the file. May be called again."""
        self._source.close()

    def _leave(self, error: TaskError) -> None:
        """Go on with a copy that is the same file."""
        self._note(error)
        while True:
            other = self._next()
            if other.size == self.size and self._begins(other) == self._identity:
                break
            other.close()
            self._failures.append(
                InputError("a copy is another file than the first", where=other.url)
            )
        self._spent_bytes += self._source.bytes_read
        self._spent_requests += self._source.requests
        self._source.close()
        self._source = other

    def _next(self) -> Source:
        while self._left:
            self._url = self._left.pop(0)
            try:
                return self._open_one(self._url)
            except (InputError, TransientError, CredentialsError) as error:
                self._note(error)
        raise self._all_failed()

    def _note(self, error: TaskError) -> None:
        self._failures.append(error)
        if not isinstance(error, InputError):
            _failed[origin(self._url)] = time.monotonic()

    def _all_failed(self) -> TaskError:
        """Return the failure to tell: one that may pass, if there is one, else the first."""
        told = next(
            (error for error in self._failures if isinstance(error, TransientError)),
            self._failures[0],
        )
        others = [f"{error.where}: {error.what}" for error in self._failures if error is not told]
        why = "; ".join(filter(None, [told.why, *(f"and {other}" for other in others)]))
        return type(told)(told.what, why=why, where=told.where, hint=told.hint)

    @staticmethod
    def _begins(source: Source) -> bytes:
        return bytes(source.read([(0, min(source.size, _IDENTITY_BYTES))])[0])
