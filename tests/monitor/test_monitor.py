"""A run followed: right at every moment, and at the price of what is new."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from higgsdemo.errors import Cause, RunError
from higgsdemo.inference import normalise
from higgsdemo.ledger import Merger, RunDirectory
from higgsdemo.monitor import Monitor, View
from tests.ledger.builders import (
    DATA,
    ZZ,
    check_accounting,
    failure_of,
    make_task,
    make_tasks,
    result_of,
)
from tests.monitor.builders import Clock, kept, new_run

WRITER = Path(__file__).parents[1] / "ledger" / "writer.py"


def test_a_run_of_which_nothing_is_known_yet(tmp_path: Path) -> None:
    with Monitor(new_run(tmp_path)) as monitor:
        view = monitor.refresh()
    assert (view.run_id, view.title, view.revision) == ("r", "Two samples", 1)
    assert (view.counts.planned, view.counts.queued, view.counts.done) == (6, 6, 0)
    assert [one.name for one in view.samples] == [DATA.name, ZZ.name]
    assert (view.rates.events_per_s, view.rates.left_s, view.rates.efficiency) == (0, None, None)
    assert (view.history, view.fit, view.problems, view.alarms) == ((), None, (), ())
    assert not view.ended


def test_each_view_is_right_while_another_process_writes(tmp_path: Path) -> None:
    tasks = make_tasks(100)
    run = new_run(tmp_path, tasks)
    writer = subprocess.Popen(
        [sys.executable, WRITER, run.path / "ledger.sqlite", run.path / "manifest.jsonl.gz", "7"],
        stdout=subprocess.DEVNULL,
    )
    views: list[View] = []
    with Monitor(run) as monitor:
        while not views or not views[-1].ended:
            assert writer.poll() in (None, 0)
            views.append(monitor.refresh())
            time.sleep(0.01)  # the writer wants to get on
    assert writer.wait() == 0
    for view in views:
        check_accounting(view.counts, 100)
        for sample in view.samples:
            check_accounting(sample.counts, 50)
        events = sum(view.totals.samples[name].events for name in (DATA.name, ZZ.name))
        assert events == sum(one.events for one in view.samples)
    assert [view.revision for view in views] == sorted(view.revision for view in views)
    merger = Merger(run.manifest())
    with run.ledger() as ledger:
        merger.update(ledger)
    last, whole = views[-1], merger.totals()
    assert last.complete
    assert last.totals.samples[ZZ.name].histograms["4mu/x"].counts.tolist() == (
        whole.samples[ZZ.name].histograms["4mu/x"].counts.tolist()
    )
    assert last.normalised.luminosity == normalise(whole, "x").luminosity


def steps(monitor: Monitor) -> int:
    """How much SQLite does for one look, in instructions of its machine."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    database = monitor._source._ledger._db
    database.set_progress_handler(count, 1)
    monitor.refresh()
    database.set_progress_handler(None, 1)
    return counted


def cost_of_one_result(folder: Path, count: int) -> tuple[int, int]:
    """What a look costs after one new result, and after none, with `count` results known."""
    tasks = make_tasks(2 * count)
    run = new_run(folder, tasks, f"of-{count}")
    with run.ledger() as ledger, Monitor(run) as monitor:
        for task in tasks[:count]:
            ledger.deliver(result_of(task))
        monitor.refresh()
        ledger.deliver(result_of(tasks[-1]))
        return steps(monitor), steps(monitor)


def test_a_look_costs_what_is_new_not_what_is_there(tmp_path: Path) -> None:
    few, few_idle = cost_of_one_result(tmp_path, 20)
    many, many_idle = cost_of_one_result(tmp_path, 200)
    assert many <= 1.1 * few
    assert many_idle == few_idle < 20


def test_failures_are_told_by_sample_and_cause_with_their_words(tmp_path: Path) -> None:
    tasks = make_tasks(6)
    run = new_run(tmp_path, tasks)
    with run.ledger() as ledger, Monitor(run) as monitor:
        ledger.start(tasks[0].id, "local process 12")
        ledger.start(tasks[1].id, "local process 13")
        ledger.start(tasks[2].id, "geneva/job/3")
        assert monitor.refresh().places == {"local": 2, "geneva": 1}
        ledger.fail(failure_of(tasks[0], Cause.BAD_INPUT, "it is damaged"), again=False)
        ledger.fail(failure_of(tasks[1], Cause.TRANSIENT, "busy"), again=True)
        ledger.fail(failure_of(tasks[3], Cause.LOST, "gone"), again=False)
        view = monitor.refresh()
        assert view.counts.failed == {"bad-input": 1, "lost": 1}
        assert {one.name: dict(one.counts.failed) for one in view.samples} == {
            DATA.name: {"bad-input": 1},
            ZZ.name: {"lost": 1},
        }
        assert [(one.cause, one.message) for one in view.problems] == [
            ("bad-input", "it is damaged"),
            ("lost", "gone"),
        ]
        assert view.totals.skipped == (f"{DATA.name}/0.root",)
        assert view.places == {"geneva": 1}
        ledger.requeue_failed()
        view = monitor.refresh()
        assert (view.problems, view.totals.skipped, view.counts.queued) == ((), (), 5)


def test_alarms_are_kept_and_bounded(tmp_path: Path) -> None:
    tasks = make_tasks(4)
    run = new_run(tmp_path, tasks)
    with run.ledger() as ledger, Monitor(run) as monitor:
        ledger.deliver(result_of(tasks[0]))
        ledger.deliver(result_of(tasks[0], shift=1))
        assert "another digest" in monitor.refresh().alarms[0]
        for _ in range(150):
            ledger.deliver(result_of(tasks[0], shift=1))
        assert len(monitor.refresh().alarms) == 100


def test_rates_go_by_when_results_came(tmp_path: Path) -> None:
    clock = Clock()
    tasks = tuple(make_task(number, ZZ, events=100) for number in range(60))
    run = new_run(tmp_path, tasks)
    with kept(clock), run.ledger() as ledger, Monitor(run, clock=clock) as monitor:
        clock.now += 500  # nothing has begun: this time is not the run's
        monitor.refresh()
        for task in tasks[:40]:
            ledger.start(task.id, "local process 1")
            clock.now += 1
            ledger.deliver(result_of(task))
            view = monitor.refresh()
        rates = view.rates
        assert rates.events_per_s == pytest.approx(100)
        assert rates.tasks_per_s == rates.files_per_s == pytest.approx(1)
        assert rates.bytes_per_s == pytest.approx(100)
        assert rates.left_s == pytest.approx(20)
        assert rates.window_s == pytest.approx(30)
        clock.now += 270  # a pause: the rate falls, and so does the hope
        stalled = monitor.refresh()
        assert stalled.rates.events_per_s < 5
        assert stalled.revision == view.revision
        for task in tasks[40:]:
            ledger.deliver(result_of(task))
        ended = monitor.refresh()
        assert ended.rates.left_s == 0
        assert ended.rates.window_s == pytest.approx(310)


@pytest.mark.parametrize("off_s", [-7200.0, 0.0, 7200.0])
def test_a_clock_that_is_wrong_gives_no_wrong_rate(tmp_path: Path, off_s: float) -> None:
    ours, theirs = Clock(), Clock()
    theirs.now += off_s
    tasks = tuple(make_task(number, ZZ, events=100) for number in range(90))
    run = new_run(tmp_path, tasks)
    with run.ledger() as ledger, kept(theirs):

        def go_on(chosen: tuple[object, ...]) -> None:
            for task in chosen:
                ours.now += 1
                theirs.now += 1
                ledger.deliver(result_of(task))

        go_on(tasks[:30])
        with Monitor(run, clock=ours) as monitor:
            first = monitor.refresh()
            if off_s >= 0:  # if theirs is behind, it might as well have been silent since
                assert first.rates.events_per_s == pytest.approx(100, rel=0.05)
            for begin in range(30, 80, 10):
                go_on(tasks[begin : begin + 10])
                view = monitor.refresh()
            assert view.rates.events_per_s == pytest.approx(100, rel=0.05)
            assert [one.at for one in view.history] == sorted(one.at for one in view.history)


def test_what_happened_before_we_looked_has_a_history_at_a_bounded_price(tmp_path: Path) -> None:
    clock = Clock()
    tasks = make_tasks(300)
    run = new_run(tmp_path, tasks)
    with run.ledger() as ledger, kept(clock):
        for task in tasks:
            clock.now += 10
            ledger.deliver(result_of(task))
    with Monitor(run) as monitor:
        monitor._history._clock = clock  # a fit takes no time
        first = monitor.refresh()
        assert [(one.done, one.at) for one in first.history] == [(300, clock.now)]
        assert first.fit is not None
        last = first
        while (view := monitor.refresh()).revision > last.revision:
            last = view
    assert 55 <= len(view.history) <= 70
    assert [one.done for one in view.history] == sorted({one.done for one in view.history})
    assert view.history[0].done == 5
    assert view.fit == first.fit


@pytest.fixture
def unprivileged(tmp_path: Path) -> Iterator[Path]:
    """A folder of ours, in which we may write no more: not even if we are root."""
    folder = Path(tempfile.mkdtemp(prefix="higgsdemo-look-test-"))
    folder.chmod(0o755)
    me = os.geteuid()
    try:
        if me == 0:
            os.seteuid(65534)
        yield folder
    finally:
        if me == 0:
            os.seteuid(me)
        for path in folder.rglob("*"):
            path.chmod(0o755)
        shutil.rmtree(folder)


def locked(run: RunDirectory) -> None:
    """Take away what is needed to write."""
    for path in (*run.path.iterdir(), run.path):
        path.chmod(0o555 if path.is_dir() else 0o444)


def as_root(what: object, *arguments: object) -> None:
    before = os.geteuid()
    os.seteuid(os.getuid())
    try:
        what(*arguments)  # type: ignore[operator]
    finally:
        os.seteuid(before)


def test_a_folder_that_may_only_be_read_can_be_looked_at_and_followed(unprivileged: Path) -> None:
    tasks = make_tasks(4)

    def make() -> None:
        run = new_run(unprivileged, tasks)
        with run.ledger() as ledger:
            ledger.deliver(result_of(tasks[0]))
        locked(run)

    def go_on() -> None:
        (unprivileged / "r").chmod(0o755)
        (unprivileged / "r" / "ledger.sqlite").chmod(0o644)
        with RunDirectory(unprivileged / "r").ledger() as ledger:
            ledger.deliver(result_of(tasks[1]))
        locked(RunDirectory(unprivileged / "r"))

    as_root(make)
    run = RunDirectory(unprivileged / "r")
    with Monitor(run) as monitor:
        assert monitor.refresh().counts.done == 1
        as_root(go_on)
        assert monitor.refresh().counts.done == 2
    assert {path.name for path in run.path.iterdir()} == {
        "run.json", "manifest.jsonl.gz", "ledger.sqlite", "plots", "logs",
    }  # fmt: skip


def test_a_log_that_was_left_behind_is_read_too(unprivileged: Path, tmp_path: Path) -> None:
    tasks = make_tasks(4)

    def make() -> None:
        run = new_run(tmp_path, tasks)
        with run.ledger() as ledger:
            ledger.deliver(result_of(tasks[0]))  # it is in the log alone
            shutil.copytree(run.path, unprivileged / "copy")
        (unprivileged / "copy" / "ledger.sqlite-shm").unlink()
        locked(RunDirectory(unprivileged / "copy"))

    as_root(make)
    leftovers = set(Path(tempfile.gettempdir()).glob("higgsdemo-look-*"))
    with Monitor(RunDirectory(unprivileged / "copy")) as monitor:
        assert monitor.refresh().counts.done == 1
    assert set(Path(tempfile.gettempdir()).glob("higgsdemo-look-*")) == leftovers


@pytest.mark.parametrize("damage", ["'x'", "x'00'", "substr(document, 1, 40)"])
def test_a_damaged_result_in_the_ledger_is_told_as_such(tmp_path: Path, damage: str) -> None:
    tasks = make_tasks(2)
    run = new_run(tmp_path, tasks)
    with run.ledger() as ledger:
        ledger.deliver(result_of(tasks[0]))
        with ledger.change() as database:
            database.execute(f"UPDATE results SET document = {damage}")
    with Monitor(run) as monitor, pytest.raises(RunError, match="cannot be read"):
        monitor.refresh()


def test_a_ledger_whose_disk_fails_is_told_as_such(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    with Monitor(run) as monitor:
        monitor.refresh()
        monitor._source._ledger._db.set_progress_handler(lambda: 1, 1)  # what SQLite then says
        with pytest.raises(RunError, match="cannot be read"):
            monitor.refresh()
