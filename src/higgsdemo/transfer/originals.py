"""Where files come from: any URL of the storage door, local files too, piece by piece."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

from higgsdemo.errors import TransientError
from higgsdemo.storage import Access, Range, Source, open_source
from higgsdemo.storage.door import SCHEMES
from higgsdemo.storage.patience import WholeFileError, patiently
from higgsdemo.storage.remote import Head, Raw, Remote, check_size
from higgsdemo.storage.urls import normalise, redact, scheme_of


class OnDisk:
    """A local file, asked as one elsewhere is (`remote.Remote`)."""

    def __init__(self, url: str) -> None:
        self.shown = redact(url)
        self._url = url
        self._source: Source | None = None

    def open(self, count: int) -> Head:  # noqa: ARG002 (a read costs nothing later)
        """Open it."""
        self._source = open_source(self._url)
        return Head(self._source.size)

    def checksum(self) -> None:
        """Return None: nobody keeps one beside a file."""

    def plan(self, ranges: Sequence[Range]) -> list[list[Range]]:
        """Read range by range."""
        return [[one] for one in ranges]

    def fetch(self, parts: Sequence[Range]) -> list[Raw]:
        """Read."""
        assert self._source is not None
        return [*self._source.read(parts)]

    def close(self) -> None:
        """Close it."""
        if self._source is not None:
            self._source.close()


class Original:
    """A file to copy, opened at one of its URLs: its size, and what is known to verify it.

    `ranges` is False where the server gives whole files only. Raises as `storage.open_source`.
    """

    def __init__(
        self, url: str, access: Access, given_up: threading.Event, size_bytes: int | None = None
    ) -> None:
        text = normalise(os.fspath(url))
        opener = SCHEMES.get(scheme_of(text) or "file")
        if opener is None:  # a local file, or a scheme that the door refuses with its own words
            self.remote: Remote = OnDisk(text)
        else:
            self.remote = opener(text, access)
        self.url = self.remote.shown
        self.ranges = True
        self._access = access
        self._given_up = given_up
        head = self._open()
        self.size = head.size
        self.checksums = head.checksums
        self.tag = head.tag
        check_size(self.url, self.size, size_bytes)

    def _open(self) -> Head:
        try:
            return patiently(lambda: self.remote.open(1), self._access, self.url, self._given_up)
        except TransientError as error:
            if not isinstance(error.__cause__, WholeFileError):
                raise
            self.ranges = False
            return Head(error.__cause__.size)

    def known_checksums(self) -> tuple[str, ...]:
        """Return the checksums that its store has, asked for where that is a request."""
        if self.checksums:
            return self.checksums
        asked = patiently(self.remote.checksum, self._access, self.url, self._given_up)
        return (asked,) if asked else ()

    def piece(self, start: int, stop: int) -> Raw:
        """Return the bytes [start, stop)."""
        (data,) = patiently(
            lambda: self.remote.fetch([(start, stop)]), self._access, self.url, self._given_up
        )
        return data

    def close(self) -> None:
        """Let go of it."""
        if isinstance(self.remote, OnDisk):
            self.remote.close()
