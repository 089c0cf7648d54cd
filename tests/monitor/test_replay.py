"""A run's past played again: at each moment what a watcher saw then."""

import math
from pathlib import Path

import pytest

from higgsdemo.errors import Cause, RunError
from higgsdemo.monitor import Monitor, View, replayed
from tests.ledger.builders import check_accounting, failure_of, make_tasks, result_of
from tests.monitor.builders import Clock, kept, new_run

TASKS = make_tasks(6)


def seen(view: View) -> tuple[object, ...]:
    return (
        view.counts,
        [one.counts for one in view.samples],
        [one.events for one in view.samples],
        dict(view.places),
        [(one.cause, one.message, one.tasks, one.example) for one in view.problems],
        view.alarms,
        view.totals.skipped,
    )


def test_it_shows_what_a_watcher_saw(tmp_path: Path) -> None:
    clock = Clock()
    run = new_run(tmp_path, TASKS)
    original: list[tuple[float, View]] = []
    with kept(clock), run.ledger() as ledger, Monitor(run, clock=clock) as monitor:

        def then(seconds: float) -> None:
            original.append((clock.now, monitor.refresh()))
            clock.now += seconds

        ledger.start(TASKS[0].id, "local process 1")
        ledger.start(TASKS[1].id, "geneva/job/2")
        then(10)
        ledger.deliver(result_of(TASKS[0]))
        then(10)
        ledger.fail(failure_of(TASKS[1], Cause.TRANSIENT, "busy"), again=True)
        then(5)
        ledger.start(TASKS[1].id, "local process 1")
        ledger.start(TASKS[2].id, "local process 2")
        then(5)
        ledger.fail(failure_of(TASKS[2], Cause.BAD_INPUT, "damaged"), again=False)
        then(10)
        ledger.deliver(result_of(TASKS[1]))
        ledger.deliver(result_of(TASKS[1], shift=1))
        then(10)
        ledger.deliver(result_of(TASKS[3]))  # nobody saw it start
        ledger.start(TASKS[4].id, "local process 1")
        then(10)
        ledger.recover()  # its driver was killed
        then(10)
        for task in TASKS[4:]:
            ledger.deliver(result_of(task))
        then(0)
    played = Clock(0.0)
    monitor, now = replayed(run, 1.0, played)
    with monitor:
        for at, view in original:
            played.now = at - now.begin
            again = monitor.refresh()
            assert seen(again) == seen(view)
            assert again.at == at
            check_accounting(again.counts, 6)
        assert now.over
        assert again.rates.events_per_s == pytest.approx(view.rates.events_per_s)


def test_pauses_are_cut_and_speed_is_kept(tmp_path: Path) -> None:
    clock = Clock()
    run = new_run(tmp_path, TASKS)
    with kept(clock), run.ledger() as ledger:
        ledger.start(TASKS[0].id, "local process 1")
        clock.now += 3600  # a long task is no pause
        ledger.deliver(result_of(TASKS[0]))
        clock.now += 12 * 3600  # a night
        ledger.deliver(result_of(TASKS[1]))
    played = Clock(0.0)
    monitor, now = replayed(run, 60.0, played)
    with monitor:
        assert now.end - now.begin == pytest.approx(3600 + 120)
        assert monitor.refresh().counts.running == 1
        played.now = 59
        assert monitor.refresh().counts.done == 0
        played.now = 61
        assert monitor.refresh().counts.done == 1
        assert not now.over
        played.now = 62
        assert monitor.refresh().counts.done == 2
        assert now.over


def test_a_clock_that_was_put_back_does_not_stop_it(tmp_path: Path) -> None:
    clock = Clock()
    run = new_run(tmp_path, TASKS)
    with kept(clock), run.ledger() as ledger:
        for task in TASKS:
            ledger.deliver(result_of(task))
            clock.now -= 1000
    monitor, now = replayed(run, math.inf, Clock(0.0))
    with monitor:
        now._clock.now = 1.0  # type: ignore[attr-defined]
        assert monitor.refresh().counts.done == 6
        assert now.over


def test_a_run_that_has_not_begun_cannot_be_played(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nothing to play"):
        replayed(new_run(tmp_path, TASKS), 60.0)
