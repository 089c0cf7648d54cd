"""How far a transfer is: counted by many threads, looked at by one."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from higgsdemo.errors import TaskError
from higgsdemo.transfer.items import Item


@dataclass
class State:
    """Counts while a transfer runs. `bytes_here` were there before it began."""

    files: int
    bytes: int
    files_done: int = 0
    files_failed: int = 0
    bytes_here: int = 0
    bytes_moved: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)


@dataclass(frozen=True)
class Outcome:
    """What a transfer came to; `bytes_moved` counts what went over the network."""

    files: int
    bytes: int
    present: int  # were there, whole, before
    moved: int
    bytes_moved: int
    unverified: int  # of the moved ones: nobody knew a checksum
    failed: tuple[tuple[Item, TaskError], ...]
    checksums: dict[str, str]  # of the copies, by `Item.path`, where verified
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether every file is there."""
        return not self.failed
