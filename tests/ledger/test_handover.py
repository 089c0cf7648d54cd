"""What a process collects goes to who follows the run in it, whole or not at all."""

from pathlib import Path

import pytest

from higgsdemo.ledger import Collector, RunDirectory, create_run, handover, news, tally_of
from higgsdemo.ledger.handover import Handover, Taken
from higgsdemo.model import Result
from higgsdemo.monitor import Monitor
from higgsdemo.monitor.source import LedgerSource
from higgsdemo.sinks import open_sink
from tests.ledger.builders import SAMPLES, make_task, make_tasks, result_of

RESULT = result_of(make_task(0))
TALLY = tally_of(RESULT.pack(), RESULT.output.form)
TASKS = make_tasks(8)


def taken(*sequences: int) -> list[Taken]:
    return [Taken(one, 0.0, TALLY) for one in sequences]


def numbers(one: Handover, after: int, until: int = 99) -> list[int]:
    return [taken.sequence for taken in one.after(after, until)]


def test_what_was_put_in_comes_out_once_for_each_who_asks() -> None:
    one = Handover()
    assert numbers(one, 0) == []
    one.put(taken(1, 2, 3))
    one.put([])
    one.put(taken(4))
    assert numbers(one, 0) == [1, 2, 3, 4]
    assert numbers(one, 2) == [3, 4]
    assert numbers(one, 1, 3) == [2, 3]
    assert numbers(one, 4) == []


def test_a_gap_is_never_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Handover()
    one.put(taken(1, 2))
    one.put(taken(5, 6))  # another process has put 3 and 4 in
    assert numbers(one, 2) == []
    assert numbers(one, 4) == [5, 6]
    monkeypatch.setattr(handover, "MOST", 3)
    small = Handover()
    small.put(taken(1, 2, 3, 4, 5))
    assert numbers(small, 1) == []  # 2 is gone: the ledger has it
    assert numbers(small, 2) == [3, 4, 5]


def deliver(run: RunDirectory, url: str, *results: Result) -> None:
    """Put results into a sink, and from there into the ledger."""
    with open_sink(url) as sink, run.ledger() as ledger:
        for result in results:
            sink.deliver(result, run.id)
        Collector(ledger, run.manifest(), sink).look()


def test_a_monitor_in_the_process_reads_no_result_twice_and_misses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create_run(tmp_path, "one", record={}, samples=SAMPLES, tasks=TASKS)
    url = f"file://{tmp_path}/sink"
    (tmp_path / "sink").mkdir()
    deliver(run, url, result_of(TASKS[0]))
    source = LedgerSource(run, run.manifest())
    read: list[str] = []
    real = news.tally_of
    monkeypatch.setattr(
        news, "tally_of", lambda made, form: read.append(made["task"]) or real(made, form)
    )
    found: list[str] = []
    source.read(lambda _, tally: found.append(tally.task))
    deliver(run, url, result_of(TASKS[1]), result_of(TASKS[2]))
    source.read(lambda _, tally: found.append(tally.task))
    assert sorted(found) == sorted(task.id for task in TASKS[:3])
    assert read == []  # all of it was in the process's hands

    elsewhere = RunDirectory(run.path)  # as another process would
    deliver(elsewhere, url, result_of(TASKS[3]))
    deliver(run, url, result_of(TASKS[4]))
    found.clear()
    source.read(lambda _, tally: found.append(tally.task))
    assert len(found) == 2
    assert read == [TASKS[3].id, TASKS[4].id]  # the ledger has what we had not in our hands
    source.close()


def test_the_sums_are_the_same_whichever_way_results_come(tmp_path: Path) -> None:
    run = create_run(tmp_path, "one", record={}, samples=SAMPLES, tasks=TASKS)
    (tmp_path / "sink").mkdir()
    with Monitor(run) as here, Monitor(RunDirectory(run.path)) as elsewhere:
        for first in (0, 4):
            deliver(run, f"file://{tmp_path}/sink", *map(result_of, TASKS[first : first + 4]))
            ours, theirs = here.refresh().totals, elsewhere.refresh().totals
            for name, one in ours.samples.items():
                assert one == theirs.samples[name]
    assert ours.complete
