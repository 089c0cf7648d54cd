"""What a task stands for, and how fast tasks go."""

import pytest

from higgsdemo.ledger import Manifest
from higgsdemo.model import Task, TaskFile
from higgsdemo.monitor.rates import Shares, Speedometer, Sums


def task(name: str, size: int | None, **more: int) -> Task:
    return Task("s", (TaskFile(name, name, size),), **more)  # type: ignore[arg-type]


def shares(*tasks: Task) -> Shares:
    return Shares.of(Manifest("r", (), tasks))


def test_a_file_that_is_cut_counts_once() -> None:
    tasks = (
        task("a", 1000, start=0, stop=30, events=30),
        task("a", 1000, start=30, stop=40, events=10),
        task("b", 500, events=60),
    )
    found = shares(*tasks)
    assert [found.bytes[one.id] for one in tasks] == [750, 250, 500]
    assert [found.files[one.id] for one in tasks] == [0.75, 0.25, 1]
    assert [found.weight[one.id] for one in tasks] == [30, 10, 60]
    assert found.total_weight == 100


def test_work_is_weighed_by_what_is_known_of_all_tasks() -> None:
    assert set(shares(task("a", 3), task("b", 5, events=4)).weight.values()) == {3, 5}
    assert set(shares(task("a", None), task("b", 5, events=4)).weight.values()) == {1}
    assert shares().total_weight == 0


def test_long_tasks_are_measured_over_a_longer_time() -> None:
    speed = Speedometer(0.0)
    for number in range(1, 31):
        speed.note(number * 60.0, Sums(tasks=number, events=number * 600, weight=number))
    rates = speed.rates(1800.0, left=10)
    assert rates.window_s == pytest.approx(600)
    assert rates.events_per_s == pytest.approx(10)
    assert rates.left_s == pytest.approx(600)


def test_memory_is_bounded_and_times_only_go_up() -> None:
    speed = Speedometer(0.0)
    for number in range(1, 100_000):
        speed.note(number * 0.01, Sums(tasks=number, events=number))
    assert len(speed._points) <= 512
    assert speed.rates(1000.0, 0).events_per_s == pytest.approx(100, rel=0.05)
    speed.note(3.0, Sums(tasks=100_001, events=100_001))
    assert speed.rates(1000.0, 0).events_per_s == pytest.approx(100, rel=0.05)
