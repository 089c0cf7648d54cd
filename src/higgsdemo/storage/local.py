"""Files of this machine or of a mounted network disk."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence

from higgsdemo.errors import InputError, TaskError, TransientError
from higgsdemo.storage.hung import local_read
from higgsdemo.storage.ranges import coalesce
from higgsdemo.storage.source import Closing, Range

# A seek costs more than reading this many bytes that nobody asked for.
GAP_BYTES = 32 * 1024
SPAN_BYTES = 8 * 1024 * 1024

# What an operating system says when the path itself is wrong; trying again cannot help.
# Anything else (EIO, ESTALE, EMFILE, ENOMEM, ETIMEDOUT ...) may pass.
_WRONG_PATH = {
    errno.ENOENT: ("no such file", "check the path, and that the disk is mounted on this host"),
    errno.ENOTDIR: ("no such file", "a part of the path is a file, not a folder"),
    errno.EISDIR: ("a folder, not a file", "name a file in it"),
    errno.EACCES: ("no permission to read the file", "check its owner and mode, or your tokens"),
    errno.EPERM: ("no permission to read the file", "check its owner and mode, or your tokens"),
    errno.ELOOP: ("no such file", "its symbolic links lead in a circle"),
    errno.ENAMETOOLONG: ("no such file", "the path is longer than this system allows"),
}


class LocalSource(Closing):
    """A local file, read with `pread`: no mapping, so a file that shrinks is an error, not SIGBUS.

    Raises InputError if it is missing, not a regular file or not readable; TransientError if the
    operating system fails otherwise.
    """

    def __init__(self, path: str | os.PathLike[str], url: str | None = None) -> None:
        self.url = url if url is not None else os.fspath(path)
        self.bytes_read = 0
        self.requests = 0
        self._descriptor = -1
        try:
            # O_NONBLOCK: opening a FIFO must not wait for a writer.
            with local_read(self.url):
                self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
                status = os.fstat(self._descriptor)
        except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
            self.close()
            raise _explain(error, self.url) from error
        self.size = status.st_size
        if not stat.S_ISREG(status.st_mode):
            self.close()
            if stat.S_ISDIR(status.st_mode):
                raise _explain(OSError(errno.EISDIR, os.strerror(errno.EISDIR)), self.url)
            raise InputError(
                "cannot read the input: not a regular file",
                why="it is a pipe, a socket or a device",
                where=self.url,
                hint="copy what it gives into a file",
            )

    @property
    def path(self) -> str:
        """A path of the file, for other programs; good until it is closed, also of a nameless one.

        The descriptor's, so it is the file that was opened, whatever its name means by now.
        """
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def read(self, ranges: Sequence[Range]) -> list[bytes | memoryview]:
        """Return the bytes of each range, see `Source.read`."""
        if self._descriptor < 0:
            raise ValueError(f"{self.url} is closed")
        found: list[bytes | memoryview] = [b""] * len(ranges)
        for start, stop, members in coalesce(ranges, GAP_BYTES, SPAN_BYTES):
            fetched = self._fetch(start, stop)
            if len(members) == 1:
                found[members[0]] = fetched
                continue
            view = memoryview(fetched)
            for index in members:
                found[index] = view[ranges[index][0] - start : ranges[index][1] - start]
        return found

    def _fetch(self, start: int, stop: int) -> bytes:
        if start < 0 or stop < start:
            raise ValueError(f"not a byte range: [{start}, {stop})")
        parts = []
        position = start
        while position < stop:  # pread may give less than asked: a signal, or over 2 GiB
            try:
                with local_read(self.url):
                    part = os.pread(self._descriptor, stop - position, position)
            except OSError as error:
                raise _explain(error, self.url) from error
            self.requests += 1
            self.bytes_read += len(part)
            if not part:
                raise InputError(
                    "the file is truncated",
                    why=f"it ends at byte {position}, bytes {start} to {stop} were asked for",
                    where=self.url,
                    hint="copy it again and compare size and checksum with the original",
                )
            parts.append(part)
            position += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Close the file. May be called again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _explain(error: OSError | ValueError, url: str) -> TaskError:
    if isinstance(error, ValueError):
        return InputError("cannot read the input: not a path", why=str(error), where=repr(url))
    why = error.strerror or str(error)
    if error.errno not in _WRONG_PATH:
        return TransientError("reading the input failed", why=why, where=url)
    what, hint = _WRONG_PATH[error.errno]
    return InputError(f"cannot read the input: {what}", why=why, where=url, hint=hint)
