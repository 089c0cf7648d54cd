"""Space for staged files, shared by all processes of a machine, with nothing to clean up.

A limit of N MiB is N bytes of one lock file. Who stages M MiB locks any M of them (open file
description locks, Linux 3.15); the kernel lets them go when the process ends, however it ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
import random
import struct
import time
from pathlib import Path

from higgsdemo.errors import TransientError, UsageError
from higgsdemo.storage.access import StageIn

_UNIT = 1024 * 1024
_FLOCK = struct.Struct("hhqqi4x")  # struct flock on 64-bit Linux
WAIT_S = 600.0


def reserve(stage: StageIn, size: int, where: str, wait_s: float = WAIT_S) -> int:
    """Take `size` bytes of the limit; return the descriptor to close when they are free again.

    Waits for others to finish. Raises UsageError if the limit is smaller than that in all, and
    TransientError if there was no room in `wait_s` seconds.
    """
    assert stage.limit_bytes is not None
    units, total = -(-size // _UNIT), stage.limit_bytes // _UNIT
    if units > total:
        raise UsageError(
            "a file is larger than the limit of stage-in",
            why=f"it has {size / 1e6:.0f} MB, the limit is {stage.limit_bytes / 1e6:.0f} MB",
            where=where,
            hint="raise the limit of --stage-in (HIGGSDEMO_STAGE_IN), or stream without it",
        )
    path = stage.folder / f".higgsdemo-stage-in-{os.getuid()}"
    deadline = time.monotonic() + wait_s
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if _lock(descriptor, units, total):
            return descriptor
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise TransientError(
                "no room to stage the file in",
                why=f"others hold the {stage.limit_bytes / 1e6:.0f} MB for {wait_s:.0f} s",
                where=where,
                hint="raise the limit of --stage-in (HIGGSDEMO_STAGE_IN), or run fewer workers",
            )
        time.sleep(random.uniform(0.05, 0.5))


def _lock(descriptor: int, units: int, total: int) -> bool:
    """Lock so many of the bytes, all or none (closing the descriptor lets go)."""
    taken = 0
    for position in range(total):
        if taken == units:
            break
        try:
            request = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, position, 1, 0)
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, request)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            continue
        taken += 1
    return taken == units


def anonymous_file(folder: Path, size: int, where: str) -> int:
    """Return a descriptor of a new file of that size without a name: it cannot be left behind.

    The space is taken from the disk now, so that no download begins that cannot end.
    """
    flags = os.O_RDWR | os.O_CLOEXEC
    try:
        try:
            descriptor = os.open(folder, flags | os.O_TMPFILE, 0o600)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
                raise
            descriptor = _unlinked(folder, flags)
    except OSError as error:
        raise UsageError(
            "cannot stage files in there",
            why=error.strerror,
            where=str(folder),
            hint="name a folder that is there: --stage-in FOLDER (HIGGSDEMO_STAGE_IN)",
        ) from error
    try:
        if size:
            os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        os.close(descriptor)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        space = os.statvfs(folder)
        raise TransientError(
            "no space to stage the file in",
            why=f"it has {size / 1e6:.1f} MB, {folder} has "
            f"{space.f_bavail * space.f_frsize / 1e6:.1f} MB left",
            where=where,
            hint="run fewer workers, name a larger folder, or do without --stage-in",
        ) from error
    return descriptor


def _unlinked(folder: Path, flags: int) -> int:
    """Make a file where the file system knows no O_TMPFILE (NFS, some overlays)."""
    path = folder / f".higgsdemo-{os.getpid()}-{random.getrandbits(64):016x}"
    descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    path.unlink()
    return descriptor
