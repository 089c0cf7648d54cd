"""From who fills a ledger to who follows it, in one process: what is in both hands is read once."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from higgsdemo.ledger.tally import Tally

MOST = 2_000  # of the newest results; one has a few kB


class Taken(NamedTuple):
    """A result that is in the ledger: its place there, when it was received (s since 1970)."""

    sequence: int
    received: float
    tally: Tally


class Handover:
    """Holds the newest results that this process put into a ledger, without gaps.

    Who comes late, or follows what another process fills, reads the ledger. One thread puts in,
    any number take out.
    """

    def __init__(self) -> None:
        self._newest: deque[Taken] = deque(maxlen=MOST)

    def put(self, taken: Sequence[Taken]) -> None:
        """Hand over results that are in the ledger for good, in their order."""
        if taken and self._newest and taken[0].sequence != self._newest[-1].sequence + 1:
            self._newest.clear()  # another process has put something in between
        self._newest.extend(taken)

    def after(self, sequence: int, until: int) -> list[Taken]:
        """Return the results after `sequence`, `until` another included; none if some are gone."""
        held = list(self._newest)
        if not held or held[0].sequence > sequence + 1:
            return []
        first = held[0].sequence
        return held[max(0, sequence + 1 - first) : max(0, until + 1 - first)]
