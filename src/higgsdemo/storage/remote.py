"""Streaming: a file elsewhere as a `Source` that fetches only what is asked for, and ahead."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from higgsdemo.errors import InputError, TransientError
from higgsdemo.storage.access import Access
from higgsdemo.storage.patience import WholeFileError, patiently
from higgsdemo.storage.ranges import coalesce
from higgsdemo.storage.source import Closing, Range

T = TypeVar("T")
Raw = bytes | bytearray | memoryview

HEAD_BYTES = 8 * 1024  # a ROOT file's header and the record of its top directory are in it
# What describes a file that ROOT wrote lies at its end: the tree, the list of keys, the streamers.
# The first read this close to the end fetches from a share of the file before it to the end.
TAIL_REACH = 64 * 1024
TAIL_SHARE = 1 / 200
TAIL_MIN, TAIL_MAX = 4 * 1024, 256 * 1024


@dataclass(frozen=True)
class Head:
    """What opening a file told: size in bytes, its first bytes, checksums of the whole.

    `tag` is another one once the file is another one (an ETag, a time), where the server says.
    """

    size: int
    data: Raw = b""
    checksums: tuple[str, ...] = ()
    tag: str | None = None


class Remote(Protocol):
    """One file on a server, request by request; `shown` is its URL without secrets.

    Methods raise PassingError for what may pass, else a TaskError. They are called from threads.
    """

    shown: str

    def open(self, count: int) -> Head:
        """Find the file, and read about its first `count` bytes where that costs nothing more."""
        ...

    def checksum(self) -> str | None:
        """Ask for the checksum of the whole, where the server has one for that."""
        ...

    def plan(self, ranges: Sequence[Range]) -> list[list[Range]]:
        """Group ranges into requests; each is the parts of the file that it fetches."""
        ...

    def fetch(self, parts: Sequence[Range]) -> list[Raw]:
        """Make one request; return the bytes of each part, all of them."""
        ...


@dataclass(frozen=True)
class _Part:
    """One part of a request that was made or is under way."""

    start: int
    stop: int
    future: Future[list[Raw]]
    position: int

    def cut(self, start: int, stop: int) -> memoryview:
        """Wait for it; return [start, stop) of the file."""
        data = memoryview(self.future.result()[self.position])
        return data[start - self.start : stop - self.start]


@dataclass
class _Parts:
    """Parts in file order; they do not overlap."""

    parts: list[_Part] = field(default_factory=list)

    def covering(self, start: int, stop: int) -> list[_Part] | None:
        """Return the parts that together have [start, stop); None if something is missing."""
        at = bisect_right(self.parts, start, key=lambda part: part.start) - 1
        found = []
        while start < stop:
            if at < 0 or at >= len(self.parts):
                return None
            part = self.parts[at]
            if not part.start <= start < part.stop:
                return None
            found.append(part)
            start, at = part.stop, at + 1
        return found


class RemoteSource(Closing):
    """A file that is streamed: see `Source`. Closing it ends what is under way."""

    def __init__(
        self, remote: Remote, access: Access, pool: Executor, *, size_bytes: int | None = None
    ) -> None:
        self.url = remote.shown
        self.bytes_read = 0
        self.requests = 0
        self._remote = remote
        self._access = access
        self._pool = pool
        self._lock = threading.Lock()
        self._given_up = threading.Event()
        self._ahead = _Parts()
        head = self._opened()
        check_size(self.url, head.size, size_bytes)
        self.size = head.size
        self._kept = _Parts()
        if len(head.data):
            self._kept.parts.append(_Part(0, len(head.data), _done([head.data]), 0))
        self._has_tail = len(head.data) == self.size

    def read(self, ranges: Sequence[Range]) -> list[bytes | memoryview]:
        """Return the bytes of each range, see `Source.read`."""
        if self._given_up.is_set():
            raise ValueError(f"{self.url} is closed")
        self._check(ranges)
        missing = self._missing(ranges)
        if missing and not self._has_tail:
            self._read_tail(missing)
            missing = self._missing(ranges)
        fetched = self._start(missing)
        return [self._cut(start, stop, fetched) for start, stop in ranges]

    def prefetch(self, ranges: Sequence[Range]) -> None:
        """Begin to fetch what the next `read` will ask for; what it does not, is let go of."""
        for part in self._ahead.parts:
            part.future.cancel()
        within = [(start, stop) for start, stop in ranges if 0 <= start < stop <= self.size]
        self._ahead = _Parts()
        self._ahead = self._start(self._missing(within))

    def close(self) -> None:
        """Give up what is under way. May be called again."""
        self._given_up.set()
        for part in self._ahead.parts:
            part.future.cancel()
        self._ahead = _Parts()
        self._kept = _Parts()

    def _check(self, ranges: Sequence[Range]) -> None:
        for start, stop in ranges:
            if start < 0 or stop < start:
                raise ValueError(f"not a byte range: [{start}, {stop})")
            if stop > self.size:
                raise InputError(
                    "the file is truncated",
                    why=f"it ends at byte {self.size}, bytes {start} to {stop} were asked for",
                    where=self.url,
                    hint="copy it again and compare size and checksum with the original",
                )

    def _missing(self, ranges: Sequence[Range]) -> list[Range]:
        return [
            (start, stop)
            for start, stop in ranges
            if start < stop
            and self._kept.covering(start, stop) is None
            and self._ahead.covering(start, stop) is None
        ]

    def _read_tail(self, missing: Sequence[Range]) -> None:
        near = [start for start, _ in missing if start >= self.size - TAIL_REACH]
        if not near:
            return
        self._has_tail = True
        behind = min(max(int(self.size * TAIL_SHARE), TAIL_MIN), TAIL_MAX)
        known = self._kept.parts[-1].stop if self._kept.parts else 0
        tail = self._start([(max(known, min(near) - behind), self.size)])
        self._kept.parts += tail.parts

    def _start(self, ranges: Sequence[Range]) -> _Parts:
        """Begin the requests for `ranges`."""
        if not ranges:
            return _Parts()
        # Ranges that overlap become one; those that only touch may stay several requests.
        disjoint = [(start, stop) for start, stop, _ in coalesce(ranges, -1, self.size)]
        parts = []
        for wanted in self._remote.plan(disjoint):
            future = self._pool.submit(partial(self._patient, wanted))
            parts += [_Part(*part, future, index) for index, part in enumerate(wanted)]
        return _Parts(sorted(parts, key=lambda part: part.start))

    def _cut(self, start: int, stop: int, fetched: _Parts) -> bytes | memoryview:
        if start == stop:
            return b""
        for parts in (fetched, self._kept, self._ahead):
            covering = parts.covering(start, stop)
            if covering is not None:
                views = [
                    part.cut(max(start, part.start), min(stop, part.stop)) for part in covering
                ]
                return views[0] if len(views) == 1 else b"".join(views)
        raise AssertionError(f"bytes {start} to {stop} were not planned for")

    def _opened(self) -> Head:
        try:
            return patiently(self._open, self._access, self.url, self._given_up)
        except TransientError as error:
            if not isinstance(error.__cause__, WholeFileError):
                raise
            raise InputError(
                "the server sends whole files only, not the ranges asked for",
                why=error.why,
                where=self.url,
                hint="stage it in: --stage-in /dev/shm (HIGGSDEMO_STAGE_IN)",
            ) from error

    def _open(self) -> Head:
        self._count(0)
        head = self._remote.open(HEAD_BYTES)
        self.bytes_read += len(head.data)
        return head

    def _patient(self, parts: Sequence[Range]) -> list[Raw]:
        return patiently(partial(self._fetch, parts), self._access, self.url, self._given_up)

    def _fetch(self, parts: Sequence[Range]) -> list[Raw]:
        self._count(0)
        found = self._remote.fetch(parts)
        with self._lock:
            self.bytes_read += sum(map(len, found))
        return found

    def _count(self, size: int) -> None:
        with self._lock:
            self.requests += 1
            self.bytes_read += size


def check_size(where: str, size: int, expected: int | None) -> None:
    """Raise InputError for a file of another size than the catalogue says."""
    if expected is not None and size != expected:
        raise InputError(
            "the file is truncated" if size < expected else "the file has another size",
            why=f"it has {size} bytes, the catalogue says {expected}",
            where=where,
            hint="the copy there is damaged, or another file: take it from another place",
        )


def _done(result: T) -> Future[T]:
    future: Future[T] = Future()
    future.set_result(result)
    return future
