"""The performance record: figures that can be worked out by hand."""

import dataclasses
import json
from pathlib import Path

import pytest

from higgsdemo.errors import Cause
from higgsdemo.monitor import Performance, read_performance, record_performance
from tests.ledger.builders import ZZ, failure_of, make_task, result_of
from tests.monitor.builders import Clock, kept, new_run

TASKS = tuple(make_task(number, ZZ, events=1000) for number in range(4))


def took(number: int, wall_s: float, cpu_s: float) -> object:
    result = result_of(TASKS[number], bytes_read=40)
    counters = {"wall_s": wall_s, "cpu_s": cpu_s, "peak_memory_bytes": 1e6 * (number + 1)}
    return dataclasses.replace(result, counters=counters)


def test_by_hand(tmp_path: Path) -> None:
    clock = Clock()
    run = new_run(tmp_path, TASKS)
    begin = clock.now
    with kept(clock), run.ledger() as ledger:
        clock.now = begin + 10
        ledger.deliver(took(0, 10, 8))  # two at once, 0 to 10
        ledger.deliver(took(1, 10, 8))
        clock.now = begin + 1000  # a pause; then 1000 to 1005 for nothing
        ledger.start(TASKS[2].id, "local process 1")
        clock.now += 5
        ledger.fail(failure_of(TASKS[2], Cause.RESOURCES), again=True)
        clock.now += 20
        ledger.deliver(took(2, 20, 8))  # 1005 to 1025
        ledger.deliver(took(3, 5, 3.5))  # 1020 to 1025
    found = record_performance(run)
    assert (found.tasks, found.files, found.events) == (4, 4, 4000)
    assert (found.size_bytes, found.bytes_read) == (400, 160)
    assert found.elapsed_s == pytest.approx(10 + 5 + 20)
    assert found.core_s == pytest.approx(45)
    assert found.cores_peak == 2
    assert found.event_rate == pytest.approx(4000 / 35)
    assert found.event_rate_per_core == pytest.approx(4000 / 45)
    assert found.input_rate_bits == pytest.approx(8 * 400 / 35)
    assert found.read_rate_bits == pytest.approx(8 * 160 / 35)
    assert found.cpu_efficiency == pytest.approx(27.5 / 45)
    assert found.cores_mean == pytest.approx(50 / 35)
    assert found.occupancy == pytest.approx(50 / 70)
    assert (found.until_first_s, found.until_half_s) == (10, 10)
    assert found.until_90_percent_s == pytest.approx(35)
    assert (found.task_median_s, found.task_longest_s) == (10, 20)
    assert found.peak_memory_bytes == 4e6
    assert (found.attempts, found.attempts_failed) == (5, {"resources": 1})
    assert found.lost_core_s == pytest.approx(5)
    assert read_performance(run) == found
    assert json.loads((run.path / "performance.json").read_text())["schema"] == 1


def test_a_run_of_which_nothing_is_in(tmp_path: Path) -> None:
    assert record_performance(new_run(tmp_path, TASKS)) == Performance()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 99}', '{"schema": 1, "what": 2}'])
def test_a_record_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    run = new_run(tmp_path, TASKS)
    assert read_performance(run) is None
    (run.path / "performance.json").write_text(text)
    assert read_performance(run) is None
