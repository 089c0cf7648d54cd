"""A run's past played again: its ledger, as it was at any moment of the run.

Time is that of whoever filled the ledger: when results were received, when attempts were seen to
begin and to end. Pauses in which nothing happened (a night between two sessions) can be skipped.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from higgsdemo.errors import RunError
from higgsdemo.ledger import Ledger, Manifest, Problem, RunDirectory, news
from higgsdemo.monitor.history import EVERY_S
from higgsdemo.monitor.monitor import Monitor
from higgsdemo.monitor.source import MOST_PROBLEMS, State, Take, by_place

LONGEST_PAUSE_S = 120.0  # of the run's time in which nothing happens


class _Event(NamedTuple):
    """Something that happened to a task."""

    at: float
    number: int  # of the attempt: of two things at one moment, the first seen comes first
    task: str
    state: str  # that it was in afterwards
    place: str = ""
    cause: str = ""
    message: str = ""
    traceback: str | None = None


@dataclass
class _Known:
    """What is known of a task at a moment."""

    state: str = "queued"
    place: str = ""
    event: _Event | None = None  # the failure, of a failed one


class ReplayClock:
    """The time of a run that is played `speed` times as fast as it went (`math.inf`: at once).

    Called as a clock: s since 1970, between `begin` and `end`.
    """

    def __init__(
        self,
        begin: float,
        end: float,
        speed: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.begin, self.end, self.speed = begin, end, speed
        self._clock = clock
        self._since = clock()

    def __call__(self) -> float:
        """Return the time of the run that is being played."""
        elapsed = self._clock() - self._since
        played = elapsed * self.speed if elapsed else 0.0  # 0 x infinity is no number
        return min(self.end, self.begin + played)

    @property
    def over(self) -> bool:
        """Whether the end has been reached."""
        return self() >= self.end


class ReplaySource:
    """A `Source` that tells of a ledger's past up to the moment that `clock` shows."""

    def __init__(self, run: RunDirectory, manifest: Manifest) -> None:
        self._ledger = run.look()
        try:
            self._sample = {task.id: task.sample for task in manifest.tasks}
            self._files = {task.id: [file.name for file in task.files] for task in manifest.tasks}
            self._label = {task.id: task.label for task in manifest.tasks}
            self._moves = _Moves(self._ledger)
            self._events = sorted(_events(self._ledger), key=lambda event: event[:2])
            self._received = _received(self._ledger)
            self._alarms = self._ledger.ask("SELECT at, task, message FROM alarms ORDER BY number")
        except BaseException:
            self._ledger.close()
            raise
        if not self._events and not self._received:
            self._ledger.close()
            raise RunError(
                f"there is nothing to play: run {run.id} has not begun",
                where=str(run.path),
                hint=f"see what it does: higgsdemo watch {run.id}",
            )
        self._known: dict[str, _Known] = {}
        self._sequence = 0
        self._next = self._next_result = 0
        self._last = -float("inf")
        self.clock: Callable[[], float] = lambda: self.end

    @property
    def begin(self) -> float:
        """When the first thing happened, in the time of the play."""
        return self._moves.of(min(at for at in self._firsts()))

    @property
    def end(self) -> float:
        """When the last thing happened, in the time of the play."""
        lasts = [self._events[-1].at] if self._events else []
        lasts += [self._received[-1][0]] if self._received else []
        return self._moves.of(max(lasts))

    def read(self, take: Take) -> State | None:
        """See `Source`."""
        now = self.clock()
        changed = self._last == -float("inf")
        while (
            self._next_result < len(self._received)
            and self._moves.of(self._received[self._next_result][0]) <= now
        ):
            self._next_result += 1
        if self._next_result:
            until = self._received[self._next_result - 1][1]
            new = until > self._sequence
            for taken in news.arrivals(self._ledger, self._sequence, until) if new else ():
                take(self._moves.of(taken.received), taken.tally)
                self._known[taken.tally.task] = _Known("done")
                self._sequence = taken.sequence
                changed = True
        while self._next < len(self._events) and self._moves.of(self._events[self._next].at) <= now:
            self._apply(self._events[self._next])
            self._next += 1
            changed = True
        self._last = now
        return self._state(now) if changed else None

    def waiting(self) -> int:
        """See `Source`."""
        return 0

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

    def _firsts(self) -> Iterator[float]:
        if self._events:
            yield self._events[0].at
        if self._received:
            yield self._received[0][0]

    def _apply(self, event: _Event) -> None:
        known = self._known.setdefault(event.task, _Known())
        if known.state == "done":
            return  # what comes after a result changes nothing
        known.state, known.place = event.state, event.place
        known.event = event if event.state == "failed" else None

    def _state(self, now: float) -> State:
        running: Counter[str] = Counter()
        places: Counter[str] = Counter()
        failed: dict[str, Counter[str]] = {}
        failures: list[_Event] = []
        for task, known in self._known.items():
            if known.state == "running":
                running[self._sample[task]] += 1
                places[known.place] += 1
            elif known.event is not None:
                failed.setdefault(self._sample[task], Counter())[known.event.cause] += 1
                failures.append(known.event)
        return State(
            running=dict(running),
            failed={sample: dict(causes) for sample, causes in failed.items()},
            places=by_place(places),
            problems=self._problems(failures),
            alarms=tuple(
                f"task {task}: {message}" if task else message
                for at, task, message in self._alarms
                if self._moves.of(at) <= now
            ),
            skipped=tuple(
                dict.fromkeys(
                    (self._sample[event.task], name)
                    for event in failures
                    if event.cause == "bad-input"
                    for name in self._files[event.task]
                )
            ),
            started=self.begin,
        )

    def _problems(self, failures: list[_Event]) -> tuple[Problem, ...]:
        kinds: dict[tuple[str, str], list[_Event]] = {}
        for event in failures:
            kinds.setdefault((event.cause, event.message), []).append(event)
        ordered = sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0]))
        return tuple(
            Problem(
                cause, message, len(found), self._label[found[0].task], found[0].traceback
            )
            for (cause, message), found in ordered[:MOST_PROBLEMS]
        )  # fmt: skip


class _Moves:
    """Where moments lie once the pauses are cut down to `LONGEST_PAUSE_S`."""

    def __init__(self, ledger: Ledger) -> None:
        spans = ledger.ask(
            "SELECT started, coalesce(max(ended, started), started) FROM attempts"
            " UNION ALL SELECT received, received FROM results ORDER BY 1"
        )
        self._cuts: list[tuple[float, float]] = []  # from when on, how much has been cut
        cut, busy_until = 0.0, float("inf")
        for began, ended in spans:
            pause = began - busy_until
            if pause > LONGEST_PAUSE_S:
                cut += pause - LONGEST_PAUSE_S
                self._cuts.append((began, cut))
            busy_until = ended if busy_until == float("inf") else max(busy_until, ended)

    def of(self, at: float) -> float:
        """Return when it is in the play."""
        return at - max((cut for since, cut in self._cuts if at >= since), default=0.0)


def _received(ledger: Ledger) -> list[tuple[float, int]]:
    """Return (when, sequence) of the results in order; a clock that was put back stands still."""
    latest = -float("inf")
    found = []
    for received, sequence in ledger.ask(
        "SELECT received, sequence FROM results ORDER BY sequence"
    ):
        latest = max(latest, received)
        found.append((latest, sequence))
    return found


def _events(ledger: Ledger) -> Iterator[_Event]:
    """Yield what happened to tasks besides results, each attempt in turn.

    Whether a failed attempt was the last one is seen from what the task did next.
    """
    failed = {row[0] for row in ledger.ask("SELECT id FROM tasks WHERE state = 'failed'")}
    rows: list[dict[str, Any]] = [
        dict(zip(("number", "task", "place", "started", "ended", "outcome", "message", "traceback"),
                 row, strict=True))
        for row in ledger.ask(
            "SELECT number, task, place, started, ended, outcome, message, traceback"
            " FROM attempts ORDER BY number"
        )
    ]  # fmt: skip
    last = {row["task"]: row["number"] for row in rows if row["outcome"] != "duplicate"}
    for row in rows:
        number, task = row["number"], row["task"]
        if row["ended"] is None or row["ended"] > row["started"]:
            yield _Event(row["started"], number, task, "running", row["place"])
        if row["ended"] is None or row["outcome"] in ("done", "duplicate"):
            continue  # it runs to the end of the play, or ends with its result
        is_final = task in failed and last[task] == number and row["outcome"] != "interrupted"
        yield _Event(
            max(row["ended"], row["started"]),
            number,
            task,
            "failed" if is_final else "queued",
            cause=str(row["outcome"]),
            message=row["message"] or "",
            traceback=row["traceback"],
        )


def replayed(
    run: RunDirectory, speed: float, clock: Callable[[], float] = time.monotonic
) -> tuple[Monitor, ReplayClock]:
    """Return a monitor that plays a run `speed` times as fast as it went, and its clock.

    Raises RunError if nothing of the run has happened yet.
    """
    source = ReplaySource(run, run.manifest())
    source.clock = playing = ReplayClock(source.begin, source.end, speed, clock)
    return Monitor(run, source, clock=playing, fit_every_s=EVERY_S * max(1.0, speed)), playing
