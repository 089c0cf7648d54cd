"""How the significance grew: fitted when there is news, at a bounded price."""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable
from typing import NamedTuple

from higgsdemo.inference import Fit, Normalised, fit
from higgsdemo.monitor.view import Moment

EVERY_S = 5.0
PAST = 60  # moments worked out of what happened before we looked
MOST = 240  # moments kept; then every second one goes, and new ones come half as often
SHARE = 0.5  # of the time, at most, is spent on fits
SHARE_BUSY = 0.1  # while results come in: they go first


class _Pending(NamedTuple):
    at: float
    done: int
    events: int
    normalised: Normalised


class History:
    """Collects moments. They are offered as spectra and fitted later, the newest first."""

    def __init__(
        self, every_s: float = EVERY_S, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._every_s = every_s
        self._clock = clock
        self._pending: list[_Pending] = []
        self._moments: list[Moment] = []
        self._offered = -float("inf")
        self._done = -1  # tasks done at the moment offered last
        self._rest_until = -float("inf")
        self.latest: Fit | None = None  # of the newest moment

    @property
    def moments(self) -> tuple[Moment, ...]:
        """What has been worked out, oldest first."""
        return tuple(self._moments)

    def wants(self, at: float, *, last: bool = False) -> bool:
        """Whether a moment at this time (s) should be offered: the `last` one always."""
        return last or at - self._offered >= self._every_s

    def offer(self, at: float, done: int, events: int, normalised: Normalised) -> None:
        """Note a moment, to be fitted when there is time for it. Times go up."""
        if done == self._done:
            return
        self._done = done
        self._offered = max(at, self._offered)
        self._pending.append(_Pending(self._offered, done, events, normalised))

    def work(self, *, busy: bool = False) -> bool:
        """Fit one moment if there is one and it is time; return whether that was so.

        `busy` says that there is other work, which should not wait for fits.
        """
        began = self._clock()
        if not self._pending or began < self._rest_until:
            return False
        one = self._pending.pop()
        newest = not self._moments or one.at >= self._moments[-1].at
        # Errors of the signal strength are half of the work, and shown of the latest only.
        found = fit(one.normalised, errors=newest)
        if newest:
            self.latest = found
        moment = Moment(
            one.at, one.done, one.events, found.expected_significance, found.observed_significance
        )
        bisect.insort(self._moments, moment, key=lambda known: (known.at, known.done))
        if len(self._moments) > MOST:
            self._moments = self._moments[::-2][::-1]
            self._every_s *= 2
        ended = self._clock()
        self._rest_until = ended + (ended - began) * (1 / (SHARE_BUSY if busy else SHARE) - 1)
        return True
