"""Clusters that are silent, refuse us, are given up or come back: nothing is lost with them."""

from pathlib import Path

import pytest

from higgsdemo.clusters.refusals import ClusterApiError
from higgsdemo.errors import CredentialsError
from higgsdemo.ledger import closing_check
from tests.executors.kubernetes.model import World, finish, finish_all
from tests.ledger.builders import make_tasks


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, make_tasks(12))


def test_tasks_of_a_lost_cluster_go_to_others_and_its_late_results_are_harmless(
    world: World,
) -> None:
    world.step(2)
    lost = world.sites["one"]
    late = [(job, index) for site, job, index in world.pods() if site is lost]
    lost.silent_s = 1000.0
    state = world.step(2)
    assert [each.given_up for each in state.clusters] == [True, False]
    finish_all(world)
    assert world.ledger.counts().done == 12
    lost.silent_s = 0.0
    for job, index in late:
        finish(world, job, index)
    world.restart()
    world.step(3)
    assert closing_check(world.ledger, world.manifest) == []
    assert world.ledger.alarms() == []


def test_a_cluster_that_comes_back_is_told_to_stop(world: World) -> None:
    world.step(2)
    world.sites["one"].silent_s = 1000.0
    world.step(2)
    world.sites["one"].silent_s = 0.0
    world.step(2)
    assert all(job.suspended for job in world.sites["one"].jobs.values())


@pytest.mark.parametrize("hold", [True, False])
def test_an_order_to_hold_jobs_or_let_them_go_on_is_given_until_it_is_heard(
    world: World, monkeypatch: pytest.MonkeyPatch, hold: bool
) -> None:
    world.step(2)
    one = world.sites["one"]
    for job in one.jobs.values():
        job.suspended = not hold
    one.deaf = 1
    world.restart(release=not hold)
    if hold:
        world.reconciler.give_up("one", "declared lost")
    world.step(3)  # not at once: a cluster that says no is not asked twice a second
    assert all(job.suspended is not hold for job in one.jobs.values())
    monkeypatch.setattr("higgsdemo.executors.kubernetes.reconcile.ORDERED_AGAIN_S", 0.0)
    world.step(2)
    assert all(job.suspended is hold for job in one.jobs.values())


def test_a_cluster_that_was_given_up_is_left_in_peace(world: World) -> None:
    lost = world.sites["one"]
    lost.silent_s = 1000.0
    world.step()
    asked = [
        job.making
        for job in world.reconciler._placer.jobs.values()
        if job.placed.cluster == "one" and job.making is not None
    ]
    world.step(2)
    assert lost.resting
    assert not world.sites["two"].resting
    assert all(each.cancelled() for each in asked)
    lost.resting = False
    world.restart()
    assert lost.resting
    finish_all(world)
    assert world.ledger.counts().done == 12


def test_the_last_cluster_is_waited_for(tmp_path: Path) -> None:
    world = World(tmp_path, make_tasks(4), clusters=["only"])
    world.step(2)
    world.sites["only"].silent_s = 1e6
    state = world.step()
    assert any("no other" in word for word in state.words)
    assert not any(each.given_up for each in state.clusters)
    assert world.step().words == ()  # said once
    world.sites["only"].silent_s = 0.0
    finish_all(world)
    assert world.ledger.counts().done == 4


def test_clusters_that_refuse_us_end_the_watching_with_their_reason(world: World) -> None:
    """Of many, one is named; where none is left, nothing is waited for. The tasks go on."""
    one, two = world.sites["one"], world.sites["two"]
    world.step(2)
    one.silent_s, one.refusal = 1.0, CredentialsError("no", why="the token is expired (401)")
    assert world.step().words == ()  # a server that starts may say so
    one.silent_s = 60.0
    assert world.step().words == ("cluster one refuses: the token is expired (401)",)
    two.silent_s, two.refusal = 60.0, CredentialsError("no", why="may not list jobs (403)")
    with pytest.raises(CredentialsError, match="expired"):
        world.step()
    for site in (one, two):
        site.silent_s, site.refusal = 0.0, None
    world.restart()
    finish_all(world)
    assert world.ledger.counts().done == 12


def test_a_cluster_that_refuses_is_given_up(world: World) -> None:
    world.sites["one"].refuses = ClusterApiError("no", status=403, why="exceeded quota")
    state = world.step(3)
    assert [each.given_up for each in state.clusters] == [True, False]
    finish_all(world)
    assert world.ledger.counts().done == 12
