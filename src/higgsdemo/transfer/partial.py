"""A file that is not whole yet: its pieces, and a journal of those that came.

Killed at any instant, nothing is believed that is not so: each piece in the journal is read again
and compared with its CRC-32 before the rest is fetched. So no order of writes to the disk matters,
and the file gets its name only once it is whole and verified.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
import zlib
from collections.abc import Iterable
from pathlib import Path

from higgsdemo.errors import InputError, TransientError
from higgsdemo.storage.checksums import Sums
from higgsdemo.storage.ranges import pieces
from higgsdemo.storage.remote import Raw
from higgsdemo.storage.source import Range

PIECE_BYTES = 4 * 1024 * 1024
PART, PIECES = ".part", ".part.pieces"
_READ_BYTES = 4 * 1024 * 1024


class Partial:
    """The parts of `path` that are there; `identity` says of which file they are.

    Pieces of a file of another identity are thrown away. Raises TransientError where the disk
    refuses.
    """

    def __init__(self, path: Path, size: int, identity: str) -> None:
        self.path = path
        self.ranges: list[Range] = pieces(0, size, PIECE_BYTES)
        self._part = path.with_name(path.name + PART)
        self._pieces = path.with_name(path.name + PIECES)
        self._lock = threading.Lock()
        self._header = json.dumps({"size": size, "piece": PIECE_BYTES, "of": identity}) + "\n"
        with _explained(self._part):
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._file = os.open(self._part, flags, 0o644)
            self._journal = os.open(self._pieces, flags | os.O_APPEND, 0o644)
            try:
                self.have = self._check()
                if size:
                    os.posix_fallocate(self._file, 0, size)
            except BaseException:
                self.close()
                raise

    def _check(self) -> set[int]:
        """Return the pieces that are there and undamaged; begin anew where it is another file."""
        head, *lines = self._pieces.read_text(errors="replace").splitlines(keepends=True) or [""]
        if head != self._header:
            self.wipe()
            return set()
        have = set()
        for line in lines:
            words = line.split()
            if line.endswith("\n") and len(words) == 2 and words[0].isdigit():
                index = int(words[0])
                if index < len(self.ranges) and self._crc(index) == words[1]:
                    have.add(index)
        return have

    def _crc(self, index: int) -> str:
        start, stop = self.ranges[index]
        data = os.pread(self._file, stop - start, start)
        return f"{zlib.crc32(data):08x}" if len(data) == stop - start else ""

    def wipe(self) -> None:
        """Begin anew."""
        os.ftruncate(self._journal, 0)
        os.write(self._journal, self._header.encode())
        self.have = set()

    def write(self, index: int, data: Raw) -> None:
        """Keep a piece."""
        self.write_at(self.ranges[index][0], data)
        with _explained(self._pieces), self._lock:
            os.write(self._journal, f"{index} {zlib.crc32(data):08x}\n".encode())
            self.have.add(index)

    def write_at(self, at: int, data: Raw) -> None:
        """Keep bytes that are no piece: they are not in the journal."""
        view = memoryview(data)
        with _explained(self._part):
            while view:
                count = os.pwrite(self._file, view, at)
                view, at = view[count:], at + count

    def sums(self, kinds: Iterable[str]) -> dict[str, str]:
        """Return checksums of all of it."""
        sums, at = Sums(kinds), 0
        while block := os.pread(self._file, _READ_BYTES, at):
            sums.update(block)
            at += len(block)
        return sums.result()

    def finish(self) -> None:
        """Give the file its name; InputError if another file has it by now."""
        with _explained(self.path):
            os.fsync(self._file)
            try:
                os.link(self._part, self.path)
            except FileExistsError:
                raise taken(self.path) from None
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
                    raise
                self._part.rename(self.path)  # no hard links here
            self._part.unlink(missing_ok=True)
            self._pieces.unlink()
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        self.close()

    def close(self) -> None:
        """Close the files; what came stays. May be called again."""
        for descriptor in (self._file, self._journal):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._journal = -1


def clear(path: Path) -> None:
    """Remove what was left beside a file that is whole: killed just after it got its name."""
    with contextlib.suppress(OSError):
        for ending in (PIECES, PART):
            path.with_name(path.name + ending).unlink(missing_ok=True)


def taken(path: Path, why: str | None = None) -> InputError:
    """Return the error for a place that another file has."""
    return InputError(
        "another file is there",
        why=why,
        where=str(path),
        hint="remove it, or download into another folder",
    )


@contextlib.contextmanager
def _explained(path: Path):  # type: ignore[no-untyped-def]
    try:
        yield
    except OSError as error:
        hint = "make room, and run the same again: what came is kept"
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise TransientError(
            "cannot write the copy",
            why=error.strerror or str(error),
            where=str(path),
            hint=hint if full else "check the folder and its permissions",
        ) from error
