"""Reads that never come back: a network disk that is gone, a server that sends a byte a minute.

A thread that waits in the kernel cannot be called back, so another one looks at the clock. What
it then does is up to who waits: a connection is closed under the reader, a worker gives its task
up and ends.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

LOOK_S = 0.25


@dataclass(eq=False)
class Limit:
    """A time limit that runs; `over` once it is exceeded."""

    seconds: float
    give_up: Callable[[], None]
    began: float = field(default_factory=time.monotonic)
    over: bool = False


_running: set[Limit] = set()
_lock = threading.Lock()
_clock: threading.Thread | None = None


@contextlib.contextmanager
def within(seconds: float, give_up: Callable[[], None]) -> Iterator[Limit]:
    """Let the block take so long; then `give_up` is called once, from another thread."""
    global _clock
    limit = Limit(seconds, give_up)
    with _lock:
        _running.add(limit)
        if _clock is None:
            _clock = threading.Thread(target=_watch, name="storage-clock", daemon=True)
            _clock.start()
    try:
        yield limit
    finally:
        with _lock:
            _running.discard(limit)


def _watch() -> None:
    while True:
        time.sleep(LOOK_S)
        now = time.monotonic()
        with _lock:
            late = [limit for limit in _running if now - limit.began > limit.seconds]
            for limit in late:
                limit.over = True
                _running.discard(limit)
        for limit in late:
            limit.give_up()


_on_local: Callable[[str, float], None] | None = None
_local_s = 0.0


def limit_local_reads(seconds: float, give_up: Callable[[str, float], None]) -> None:
    """Say what this process does when one read of a local file takes longer than that.

    `give_up` has the file's name and the limit, s. Until it is said, reads have no limit: only a
    program can decide to end itself.
    """
    global _on_local, _local_s
    _on_local, _local_s = give_up, seconds


def local_read(url: str) -> contextlib.AbstractContextManager[object]:
    """Return what to do a read of a local file in."""
    give_up = _on_local
    if give_up is None:
        return contextlib.nullcontext()
    return within(_local_s, lambda: give_up(url, _local_s))
