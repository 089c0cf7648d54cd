"""Stage-in: the whole file copied to this machine, verified, read from there, gone at the end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, wait
from functools import partial
from typing import TypeVar

from higgsdemo.errors import InputError, TransientError
from higgsdemo.storage import room
from higgsdemo.storage.access import Access
from higgsdemo.storage.checksums import Sums, verifiable
from higgsdemo.storage.local import LocalSource
from higgsdemo.storage.patience import WholeFileError, patiently
from higgsdemo.storage.ranges import pieces
from higgsdemo.storage.remote import Head, Raw, Remote, check_size
from higgsdemo.storage.source import Closing, Range

T = TypeVar("T")
PIECE_BYTES = 8 * 1024 * 1024
_READ_BYTES = 4 * 1024 * 1024


class StagedSource(Closing):
    """A file elsewhere, staged in: see `Source`. `bytes_read` counts what was downloaded.

    Raises what `open_source` says; InputError if the copy has another checksum twice.
    """

    def __init__(
        self,
        remote: Remote,
        access: Access,
        pool: Executor,
        *,
        size_bytes: int | None = None,
        checksum: str | None = None,
    ) -> None:
        self.url = remote.shown
        self.bytes_read = 0
        self.requests = 0
        self._remote = remote
        self._access = access
        self._pool = pool
        self._given_up = threading.Event()
        self._lock = threading.Lock()
        self._reserved = -1
        self._local: LocalSource | None = None
        try:
            self._local = self._stage(size_bytes, checksum)
        except BaseException:
            self.close()
            raise
        self.size = self._local.size

    @property
    def path(self) -> str:
        """A path of the copy, for other programs; it is gone when the source is closed."""
        if self._local is None:
            raise ValueError(f"{self.url} is closed")
        return self._local.path

    def read(self, ranges: Sequence[Range]) -> list[bytes | memoryview]:
        """Return the bytes of each range, see `Source.read`."""
        if self._local is None:
            raise ValueError(f"{self.url} is closed")
        return self._local.read(ranges)

    def close(self) -> None:
        """Let go of the copy and its space. May be called again."""
        self._given_up.set()
        if self._local is not None:
            self._local.close()
            self._local = None
        if self._reserved >= 0:
            os.close(self._reserved)
            self._reserved = -1

    def _stage(self, size_bytes: int | None, checksum: str | None) -> LocalSource:
        stage = self._access.stage_in
        assert stage is not None
        given: tuple[str, ...] = ()
        ranges = True
        try:
            head = self._patiently(self._open)
            size, given = head.size, head.checksums
        except TransientError as error:
            if not isinstance(error.__cause__, WholeFileError):
                raise
            ranges, size = False, error.__cause__.size
        check_size(self.url, size, size_bytes)
        expected = verifiable([checksum] if checksum else given)
        if not expected:
            expected = verifiable(filter(None, [self._patiently(self._remote.checksum)]))
        if stage.limit_bytes is not None:
            self._reserved = room.reserve(stage, size, self.url)
        descriptor = room.anonymous_file(stage.folder, size, self.url)
        try:
            download = self._download if ranges else self._download_whole
            self._verified(partial(download, descriptor, size), descriptor, expected)
            return LocalSource(f"/proc/self/fd/{descriptor}", self.url)
        finally:
            os.close(descriptor)

    def _verified(
        self, download: Callable[[], None], descriptor: int, expected: dict[str, str]
    ) -> None:
        """Download until the checksums fit; a file that is wrong twice alike is wrong there."""
        wrong: list[dict[str, str]] = []
        for _ in range(2):
            download()
            found = _sums(descriptor, expected)
            if found == expected:
                return
            wrong.append(found)
        why = ", ".join(
            f"{kind} is {value}, the catalogue or the store says {expected[kind]}"
            for kind, value in found.items()
            if value != expected[kind]
        )
        if wrong[0] != wrong[1]:
            raise TransientError("the file came damaged, twice", why=why, where=self.url)
        raise InputError(
            "the file has another checksum than it should",
            why=why,
            where=self.url,
            hint="the copy there is damaged, or another file: take it from another place",
        )

    def _download(self, descriptor: int, size: int) -> None:
        """Download in pieces, several at a time."""

        def one(piece: Range) -> None:
            (data,) = self._remote.fetch([piece])
            with self._lock:
                self.requests += 1
                self.bytes_read += len(data)
            write(descriptor, data, piece[0])

        futures = [
            self._pool.submit(self._patiently, partial(one, piece))
            for piece in pieces(0, size, PIECE_BYTES)
        ]
        try:
            for future in futures:
                future.result()
        except BaseException:
            self._given_up.set()
            for future in futures:
                future.cancel()
            wait(futures)  # none of them may write once the descriptor is another file's
            raise

    def _download_whole(self, descriptor: int, size: int) -> None:
        """Download from a server that knows no ranges, each time from the start."""
        from higgsdemo.storage.web import WebFile

        assert isinstance(self._remote, WebFile)
        whole = partial(self._remote.whole, size, partial(write, descriptor))
        self._patiently(whole)
        self.requests += 1
        self.bytes_read += size

    def _open(self) -> Head:
        self.requests += 1
        return self._remote.open(1)

    def _patiently(self, attempt: Callable[[], T]) -> T:
        return patiently(attempt, self._access, self.url, self._given_up)


def write(descriptor: int, data: Raw, at: int) -> None:
    """Write all of `data` at a position of the file."""
    view = memoryview(data)
    while view:
        count = os.pwrite(descriptor, view, at)
        view, at = view[count:], at + count


def _sums(descriptor: int, kinds: Iterable[str]) -> dict[str, str]:
    sums, at = Sums(kinds), 0
    while block := os.pread(descriptor, _READ_BYTES, at):
        sums.update(block)
        at += len(block)
    return sums.result()
