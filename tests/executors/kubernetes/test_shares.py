"""Sharing tasks out over clusters, pods and jobs."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from higgsdemo.errors import UsageError
from higgsdemo.executors.kubernetes.shares import (
    Target,
    as_mapped,
    balance,
    make_jobs,
    share_out,
    tasks_per_pod,
)
from higgsdemo.model import Task, TaskFile


def task(sample: str, number: int, size: int | None) -> Task:
    return Task(sample, (TaskFile(f"{sample}/{number}", f"s3://b/{sample}/{number}", size),))


def many(*samples: tuple[str, int, int | None]) -> list[Task]:
    return [task(name, n, size) for name, count, size in samples for n in range(count)]


COUNTS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 60), min_size=1)


@settings(deadline=None)
@given(
    counts=COUNTS,
    slots=st.lists(st.integers(0, 500), min_size=1, max_size=5),
    per_pod=st.integers(0, 7),
    parallelism=st.integers(0, 50),
)
def test_every_task_is_placed_once(
    counts: dict[str, int], slots: list[int], per_pod: int, parallelism: int
) -> None:
    tasks = many(*((name, count, 10**9) for name, count in counts.items()))
    targets = [Target(f"c{n}", slot) for n, slot in enumerate(slots)]
    shares = balance(tasks, targets)
    assert shares == balance(tasks, targets)
    assert Counter(t.id for mine in shares.values() for t in mine) == Counter(t.id for t in tasks)
    for cluster, mine in shares.items():
        jobs = make_jobs(
            cluster, mine, memory_bytes=1, slots=9, per_pod=per_pod, parallelism=parallelism
        )
        placed = [task_id for job in jobs for index in job.indexes for task_id in index]
        assert sorted(placed) == sorted(t.id for t in mine)
        assert all(index for job in jobs for index in job.indexes)
        assert {job.sample for job in jobs} == {t.sample for t in mine}
        assert all(job.parallelism <= len(job.indexes) for job in jobs)
        at_once = sum(job.parallelism for job in jobs)
        if parallelism:
            assert 1 <= at_once <= parallelism
        else:
            assert at_once <= max(9, len(jobs))
        if not 0 < parallelism < len(jobs):  # then nobody need be there to give them room
            assert all(job.parallelism for job in jobs)
        later = make_jobs(cluster, mine, memory_bytes=1, parallelism=parallelism, later=True)
        assert all(job.parallelism == 0 for job in later) or not parallelism


def test_bytes_follow_the_slots() -> None:
    tasks = many(("big", 1000, 2 * 10**9), ("middle", 300, 10**9), ("small", 5, 10**8))
    shares = balance(tasks, [Target("a", 300), Target("b", 100)])
    sizes = {name: sum(t.size_bytes or 0 for t in mine) for name, mine in shares.items()}
    assert sizes["a"] / sizes["b"] == pytest.approx(3, rel=0.01)
    assert (
        len([name for name, mine in shares.items() if any(t.sample == "small" for t in mine)]) == 1
    )


def test_clusters_of_unknown_size_get_the_same() -> None:
    shares = balance(many(("a", 100, None)), [Target("x", 5), Target("y")])
    assert {name: len(mine) for name, mine in shares.items()} == {"x": 50, "y": 50}
    with pytest.raises(UsageError, match="no cluster"):
        balance(many(("a", 1, 1)), [])


def test_a_mapping_decides_by_the_file() -> None:
    tasks = many(("a", 3, 1))
    owners = {"a/0": "x", "a/1": "y", "a/2": "x"}
    assert {name: len(mine) for name, mine in as_mapped(tasks, owners).items()} == {"x": 2, "y": 1}
    with pytest.raises(UsageError, match="no cluster for a file"):
        as_mapped(tasks, {})


def test_start_up_is_a_small_part_of_a_pods_life() -> None:
    short = many(("a", 10_000, 60_000_000))  # a second each
    assert tasks_per_pod(short, slots=10) == 27
    assert tasks_per_pod(short, slots=2000) == 5  # rather than leave slots idle
    assert tasks_per_pod(short, slots=10, wanted=3) == 3
    assert tasks_per_pod(many(("a", 100, 4 * 10**9)), slots=10) == 1  # a minute each
    assert tasks_per_pod(many(("a", 100, None)), slots=1) == 1


def test_jobs_share_the_parallelism_and_are_cut_at_kubernetes_limits() -> None:
    jobs = make_jobs(
        "c", many(("a", 900, 1), ("b", 100, 1)), memory_bytes=1, per_pod=1, parallelism=100
    )
    assert [(job.sample, job.parallelism) for job in jobs] == [("a", 90), ("b", 10)]
    huge = make_jobs("c", many(("a", 60_000, 1)), memory_bytes=1, per_pod=1)
    assert len(huge) > 1
    assert sum(len(job.indexes) for job in huge) == 60_000


def test_more_samples_than_pods_at_once() -> None:
    """Each job had at least one: eight samples ran eight pods where two were allowed."""
    tasks = many(*((name, 3, 1) for name in "abcdefgh"))
    jobs = make_jobs("c", tasks, memory_bytes=1, per_pod=1, parallelism=2)
    assert [job.parallelism for job in jobs] == [1, 1, 0, 0, 0, 0, 0, 0]


@settings(deadline=None)
@given(total=st.integers(0, 300), sizes=st.lists(st.integers(1, 100), max_size=20))
def test_shares_are_in_proportion_and_none_is_lost(total: int, sizes: list[int]) -> None:
    shares = share_out(total, sizes)
    assert sum(shares) == min(total, sum(sizes))
    assert all(0 <= share <= size for share, size in zip(shares, sizes, strict=True))
    assert all(shares) or total < len(sizes)
    for share, size in zip(shares, sizes, strict=True):
        # What those who are owed less than one have, the others lack.
        assert share < total * size / sum(sizes) + 1 or share == 1
