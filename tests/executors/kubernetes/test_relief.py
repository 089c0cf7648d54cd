"""The tasks of a full cluster go to others, once those have nothing else to do."""

import dataclasses
from pathlib import Path

from tests.executors.kubernetes.model import NOW, World
from tests.executors.kubernetes.test_reconcile import finish, finish_all
from tests.ledger.builders import make_tasks

AT_ONCE = dataclasses.replace(NOW, full_s=0.0)


def given_up(world: World) -> list[str]:
    return [each.name for each in world.step(2).clusters if each.given_up]


def test_tasks_of_a_full_cluster_go_to_one_that_is_idle(tmp_path: Path) -> None:
    world = World(tmp_path, make_tasks(12))
    world.restart(AT_ONCE)
    world.sites["one"].full = True
    assert given_up(world) == []  # the other is busy
    for _, job, index in world.pods()[:-1]:
        finish(world, job, index)
    assert given_up(world) == []
    for _, job, index in world.pods():
        finish(world, job, index)
    assert given_up(world) == ["one"]
    finish_all(world)
    assert world.ledger.counts().done == 12
    assert all(job.suspended for job in world.sites["one"].jobs.values())


def test_where_all_are_full_all_are_waited_for(tmp_path: Path) -> None:
    world = World(tmp_path, make_tasks(12))
    world.restart(AT_ONCE)
    for site in world.sites.values():
        site.full = True
    assert given_up(world) == []
    for site in world.sites.values():
        site.full = False
    finish_all(world)
    assert world.ledger.counts().done == 12


def test_a_cluster_that_works_slowly_is_not_full(tmp_path: Path) -> None:
    world = World(tmp_path, make_tasks(12))
    world.restart(AT_ONCE)
    world.step(2)
    for site, job, index in world.pods():
        if site.name == "two":
            finish(world, job, index)
    assert given_up(world) == []
    finish_all(world)
    assert world.ledger.counts().done == 12
