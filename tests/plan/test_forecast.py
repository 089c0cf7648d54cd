"""The forecast: floors by hand, sums that add up, and nothing said that is not known."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from higgsdemo.model import Task, TaskFile
from higgsdemo.plan import (
    ClusterShape,
    Pace,
    make_forecast,
    read_prices,
    shape_of_flavor,
    slots_of,
)

PRICES = read_prices()
PACE = Pace(
    bytes_per_core_s=100.0,
    start_s=2.0,
    pods_per_s=5.0,
    node_bytes_per_s=1000.0,
    api_core_s_per_pod=0.4,
    api_cores=4.0,
)


def tasks(count: int, size: int | None = 1000, sample: str = "s") -> list[Task]:
    return [Task(sample, (TaskFile(f"{n}.root", "u", size),)) for n in range(count)]


def test_each_floor_by_hand() -> None:
    (one,) = make_forecast(
        [(ClusterShape("c", slots=20, nodes=10), tasks(100))], pace=PACE
    ).clusters
    assert one.floors_s == {
        "controller": 100 / 5,
        "api": 100 * 0.4 / 4,
        "slots": 100 * (1000 / 100 + 2) / 20,
        "network": 100_000 / 10_000,
    }
    assert (one.waves, one.seconds, one.bound) == (5, 60.0, "slots")


def test_more_slots_than_pods_help_no_further() -> None:
    (one,) = make_forecast(
        [(ClusterShape("c", slots=10**6, nodes=10**6), tasks(2))], pace=PACE
    ).clusters
    assert one.seconds == pytest.approx(1000 / 100 + 2)
    assert one.waves == 1


def test_several_tasks_a_pod_start_less_often() -> None:
    shares = [(ClusterShape("c", slots=4), tasks(100, size=1))]
    alone = make_forecast(shares, pace=PACE).clusters[0]
    packed = make_forecast(shares, pace=PACE, tasks_per_pod=30).clusters[0]
    assert (alone.pods, packed.pods) == (100, 4)
    assert packed.floors_s["controller"] == alone.floors_s["controller"] / 25
    assert packed.floors_s["slots"] < alone.floors_s["slots"] / 10


def test_unknown_sizes_leave_the_time_unknown_and_say_what_is_known() -> None:
    shape = ClusterShape("c", slots=4, flavor="n1-highmem-16")
    forecast = make_forecast([(shape, [*tasks(3), *tasks(1, None, "t")])], prices=read_prices())
    (one,) = forecast.clusters
    assert (forecast.seconds, forecast.size_bytes, forecast.usd, one.bound) == (None,) * 4
    assert set(one.floors_s) == {"controller", "api"}


def test_ranges_of_a_file_are_its_bytes_once() -> None:
    file = (TaskFile("a.root", "u", 1000),)
    ranges = [Task("s", file, start=n, stop=n + 1) for n in range(4)]
    assert make_forecast([(ClusterShape("c", 1), ranges)]).size_bytes == 1000


def test_the_store_is_shared_by_all_clusters() -> None:
    pace = Pace(store_bytes_per_s=10.0)
    shares = [(ClusterShape(name, 100, 100), tasks(10, sample=name)) for name in "ab"]
    assert make_forecast(shares, pace=pace).seconds == 20_000 / 10


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 40), st.integers(1, 5)), min_size=1, max_size=4
    ),
    st.integers(1, 7),
)
def test_sums_add_up_and_the_document_is_json(
    clusters: list[tuple[int, int, int]], per_pod: int
) -> None:
    shares = [
        (ClusterShape(f"c{n}", slots, nodes, "n1-highmem-16"), tasks(count, sample=f"s{n}"))
        for n, (count, slots, nodes) in enumerate(clusters)
    ]
    forecast = make_forecast(shares, prices=PRICES, tasks_per_pod=per_pod)
    assert forecast.tasks == sum(count for count, *_ in clusters)
    assert forecast.size_bytes == 1000 * forecast.tasks
    document = json.loads(json.dumps(forecast.to_json(), allow_nan=False))
    assert sum(one["tasks"] for one in document["clusters"]) == document["tasks"]
    stuck = any(count and not slots for count, slots, _ in clusters)
    assert (forecast.seconds is None) == stuck
    assert (forecast.usd is None) == stuck
    if forecast.usd is not None:
        assert forecast.usd == pytest.approx(sum(one["price"] for one in document["clusters"]))
        assert forecast.usd_spot is not None
        assert forecast.usd_spot < forecast.usd


def test_slots_by_what_runs_out_first() -> None:
    gib = 2**30
    assert slots_of(3, 16, 100 * gib, 1, 2 * gib) == 3 * 16
    assert slots_of(3, 16, 20 * gib, 1, 6 * gib) == 3 * 3
    assert slots_of(3, 0.9, 20 * gib, 0.3, 0) == 3 * 3  # 0.9 / 0.3 is 3, whatever floats say
    assert slots_of(3, 0.5, 20 * gib, 1, gib) == 0
    assert slots_of(5, 1, 1, 0, 0) == 5


def test_the_machine_of_the_demo() -> None:
    prices = read_prices()
    shape = shape_of_flavor(
        "c", "n1-highmem-16", 66, prices, task_cores=0.9, task_memory_bytes=6 * 2**30
    )
    assert shape == ClusterShape("c", 66 * 16, 66, "n1-highmem-16")
    assert shape_of_flavor("c", "m2.large", 66, prices, task_cores=1, task_memory_bytes=1) is None


def test_no_tasks_take_no_time() -> None:
    forecast = make_forecast([(ClusterShape("c", 4), [])])
    assert (forecast.seconds, forecast.tasks, forecast.clusters[0].bound) == (0.0, 0, None)
    assert not math.isnan(forecast.seconds or 0.0)
