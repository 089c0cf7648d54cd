"""Trying again, with jittered back-off, what a busy or restarting server may do the next time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from higgsdemo.errors import HiggsdemoError, TransientError

Value = TypeVar("Value")
Explain = Callable[[Exception], HiggsdemoError | None]


@dataclass(frozen=True)
class Patience:
    """How long to try again, s; pauses double from `first_s` to `longest_s`, half of it random."""

    total_s: float = 60.0  # a server restarts, a load balancer fails over in less
    first_s: float = 0.1
    longest_s: float = 10.0


def persist(operation: Callable[[], Value], explain: Explain, patience: Patience) -> Value:
    """Do `operation`, again while it fails in a way that may pass.

    `explain` turns what the store's library raises into our errors; None is a bug of ours, raised
    as it is. Only TransientError is tried again. Not tenacity: a worker would import it for 0.08 s
    to deliver one result in 0.01 s.
    """
    began = time.monotonic()
    pause = patience.first_s
    while True:
        try:
            return operation()
        except Exception as error:
            said = explain(error)
            if said is None:
                raise
            waited = time.monotonic() - began
            if not isinstance(said, TransientError):
                raise said from error
            if waited + pause > patience.total_s:
                raise _tired(said, waited) from error
        time.sleep(pause * random.uniform(0.5, 1))
        pause = min(2 * pause, patience.longest_s)


def _tired(said: TransientError, waited: float) -> TransientError:
    why = f"{said.why} (tried for {waited:.0f} s)"
    return TransientError(said.what, why=why, where=said.where, hint=said.hint)
