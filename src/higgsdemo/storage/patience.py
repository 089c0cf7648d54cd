"""Being a good guest: pauses that grow, limits that hold."""

from __future__ import annotations

import functools
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from higgsdemo.errors import TransientError
from higgsdemo.storage.access import Access

T = TypeVar("T")
LONGEST_WAIT_S = 120.0  # a server that asks for more is left to a later attempt at the task


class PassingError(Exception):
    """One request failed in a way that may pass; `tries` is where it gives up earlier than usual.

    `retry_after` is what the server asked for, s. It never leaves this room.
    """

    def __init__(self, why: str, retry_after: float | None = None, tries: int | None = None):
        super().__init__(why)
        self.why = why
        self.retry_after = retry_after
        self.tries = tries


class WholeFileError(PassingError):
    """The server sent the whole file (of `size` bytes) instead of a range of it."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the whole file ({size} bytes) came instead of a range", tries=3)
        self.size = size


def patiently(attempt: Callable[[], T], access: Access, where: str, given_up: threading.Event) -> T:
    """Return what `attempt` returns after as many tries as it takes, with growing random pauses.

    Not tenacity: importing it costs a worker 0.1 s, and `Retry-After` would be ours all the same.
    Raises TransientError after the last try, or when it was `given_up` meanwhile.
    """
    tried = 0
    while True:
        tried += 1
        try:
            return attempt()
        except PassingError as error:
            wait = access.pause_s * 2.0 ** min(tried - 1, 16)
            wait = min(wait, access.longest_pause_s) * random.uniform(0.5, 1)
            asked = error.retry_after or 0.0
            last = tried >= min(access.tries, error.tries or access.tries)
            if last or asked > LONGEST_WAIT_S or given_up.is_set():
                raise _transient(error, tried, access.scrub(where), access) from error
            # Everybody was asked to come back then: not all in the same instant.
            if given_up.wait(max(wait, asked * random.uniform(1, 1.1))):
                raise _transient(error, tried, access.scrub(where), access) from error


def _transient(error: PassingError, tried: int, where: str, access: Access) -> TransientError:
    why = f"{access.scrub(error.why)} ({tried} {'try' if tried == 1 else 'tries'})"
    if error.retry_after and error.retry_after > LONGEST_WAIT_S:
        why += f"; the server asks to come back in {error.retry_after:.0f} s"
    return TransientError("reading the input failed", why=why, where=where)


@functools.lru_cache(maxsize=8)
def upload_rate(access: Access) -> Rate | None:
    """Return the limit of what this process writes with these settings, one for all its uploads.

    Whoever uploads takes the size of each request from it before sending it.
    """
    limit = access.upload_bytes_per_second
    return Rate(limit) if limit else None


class Rate:
    """A limit in bytes per second, shared by threads; bursts of up to a tenth of a second."""

    def __init__(self, bytes_per_second: float) -> None:
        self._rate = bytes_per_second
        self._lock = threading.Lock()
        self._free = time.monotonic()  # when all that was taken so far will have been paid for

    @property
    def step(self) -> int:
        """How many bytes to take at a time, so that the flow is even."""
        return max(1024, int(self._rate / 10))

    def take(self, count: int) -> None:
        """Wait until `count` more bytes are within the limit."""
        with self._lock:
            now = time.monotonic()
            self._free = max(self._free, now - 0.1) + count / self._rate
            wait = self._free - now
        if wait > 0:
            time.sleep(wait)
