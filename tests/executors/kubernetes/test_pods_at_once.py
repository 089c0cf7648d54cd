"""Jobs and the pods they may have at once: turns, room that comes free, requests that are few."""

from pathlib import Path

import pytest

from tests.executors.kubernetes.model import World, finish, finish_all, of_samples


def test_more_jobs_than_pods_at_once_have_their_turns(tmp_path: Path) -> None:
    """Eight samples, two pods: the others get room as jobs end, and few requests are made."""
    world = World(tmp_path, of_samples(8, 4), clusters=["only"], parallelism=2)
    site = world.sites["only"]
    world.step(3)
    assert len(world.pods()) == 2
    while not world.ledger.counts().ended:
        assert len(world.pods()) == 2 or sum(len(job.left) for job in site.jobs.values()) < 2
        for _, job, index in world.pods():
            finish(world, job, index)
        world.step(3)
        assert world.at_once()["only"] <= 2
    assert world.ledger.counts().done == 32
    assert site.told <= 9


def test_where_a_cluster_has_room_what_ended_jobs_had_goes_to_the_others(tmp_path: Path) -> None:
    world = World(tmp_path, of_samples(4, 10), clusters=["only"], slots={"only": 20})
    site = world.sites["only"]
    world.step(3)
    assert [job.parallelism for job in site.jobs.values()] == [5, 5, 5, 5]
    first, *_ = site.jobs.values()
    for index in range(10):
        finish(world, first, index)
    world.step(3)
    assert [job.parallelism for job in site.jobs.values()] == [5, 10, 5, 5]
    finish_all(world)
    assert world.ledger.counts().done == 40


def test_what_is_placed_anew_does_not_exceed_the_pods_at_once(tmp_path: Path) -> None:
    world = World(tmp_path, of_samples(3, 4), clusters=["only"], parallelism=3, tries=9)
    world.step(3)
    for _, job, index in world.pods():
        job.done.add(index)  # without a result
    world.step(6)
    assert len(world.placements.jobs()) > 3
    assert world.at_once()["only"] == 3
    finish_all(world)
    assert world.ledger.counts().done == 12


def test_room_that_a_cluster_did_not_give_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, of_samples(2, 2), clusters=["only"], parallelism=1)
    site = world.sites["only"]
    world.step(3)
    first, second = site.jobs.values()
    for index in range(2):
        finish(world, first, index)
    site.deaf = 1
    words = [word for _ in range(3) for word in world.step().words]
    assert words == ["cluster only: jobs get no more pods: no answer"]
    assert second.parallelism == 0  # not at once: a cluster that says no is not asked all the time
    monkeypatch.setattr("higgsdemo.executors.kubernetes.resharing.ASKED_AGAIN_S", 0.0)
    world.step(2)
    assert second.parallelism == 1
    world.restart()  # what jobs may do is read from the cluster
    world.step(2)
    assert site.told == 1


def test_a_queue_stops_jobs_that_are_changed_while_they_run(tmp_path: Path) -> None:
    world = World(tmp_path, of_samples(3, 4), clusters=["only"], parallelism=2, queue_name="team")
    site = world.sites["only"]
    world.step(3)
    first, second, third = site.jobs.values()
    for index in range(4):
        finish(world, third if third.parallelism else first, index)
    world.step(3)
    assert [second.parallelism, third.parallelism] == [1, 1]
    for index in range(4):
        finish(world, second, index)
    world.step(3)
    assert (third.parallelism, site.told) == (1, 1)
    finish_all(world)
    assert world.ledger.counts().done == 12
