"""What became of tasks, over a model of clusters: ended, lost, late, too large, bad."""

from pathlib import Path

import pytest

from higgsdemo.errors import Cause
from higgsdemo.executors.kubernetes.pods import Ending
from higgsdemo.ledger import closing_check
from higgsdemo.ledger.placements import JobState
from higgsdemo.model import Failure
from tests.executors.kubernetes.model import World, finish, finish_all
from tests.ledger.builders import make_tasks, result_of


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, make_tasks(12))


def test_a_run_without_trouble(world: World) -> None:
    state = world.step(2)
    assert state.counts.running == sum(
        min(3, j.completions) for s in world.sites.values() for j in s.jobs.values()
    )
    assert state.line["jobs"] == {"total": 12, "succeeded": 0}
    finish_all(world)
    counts = world.ledger.counts()
    assert (counts.done, counts.failed) == (12, {})
    assert closing_check(world.ledger, world.manifest) == []
    assert len(world.placements.jobs()) == 2  # two samples, small enough for one cluster each
    assert all(job.state is JobState.PLACED for job in world.placements.jobs())
    attempts = [each for task in world.tasks for each in world.ledger.attempts(task)]
    assert {each["place"].split("/")[0] for each in attempts} == {"one", "two"}


def test_done_without_a_result_is_lost_and_done_again(world: World) -> None:
    world.step(2)
    _, job, index = world.pods()[0]
    (task,) = world.tasks_of(job, index)
    job.done.add(index)
    world.step(3)
    assert world.ledger.tries(task.id) == 1
    assert len(world.placements.jobs()) == 3
    finish_all(world)
    assert [each["outcome"] for each in world.ledger.attempts(task.id)] == ["lost", "done"]
    assert world.ledger.counts().done == 12


def test_an_attempt_that_nobody_saw_begin_is_told_with_its_job_not_the_next_one(
    world: World,
) -> None:
    world.step(2)
    _, job, index = world.pods()[3]  # three of a job are seen to run
    (task,) = world.tasks_of(job, index)
    assert world.ledger.attempts(task.id) == []
    job.done.add(index)
    finish_all(world)
    lost, done = world.ledger.attempts(task.id)
    assert lost["outcome"] == "lost"
    assert lost["place"].endswith(f"/{job.document['metadata']['name']}/{index}")
    assert done["place"] != lost["place"]


def test_a_result_that_comes_late_counts_once(world: World) -> None:
    world.step(2)
    _, job, index = world.pods()[0]
    (task,) = world.tasks_of(job, index)
    job.done.add(index)
    world.step(3)
    world.sink.deliver(result_of(task))  # it was only slow
    finish_all(world)
    assert world.ledger.counts().done == 12
    assert closing_check(world.ledger, world.manifest) == []


def test_a_result_without_done_is_accepted(world: World) -> None:
    world.step(2)
    for task in world.tasks.values():
        world.sink.deliver(result_of(task))
    assert world.step().counts.done == 12


def test_killed_for_memory_is_done_again_with_more_up_to_the_cap(world: World) -> None:
    world.step(2)
    _, job, index = world.pods()[0]
    (task,) = world.tasks_of(job, index)
    limits = []
    for _ in range(2):
        job.failed.add(index)
        job.endings[index] = Ending("p", index, Cause.RESOURCES, "killed for memory (OOMKilled)")
        world.step(6)
        (placed,) = [
            each for each in world.placements.jobs() if each.number == len(world.placements.jobs())
        ]
        limits.append(placed.memory_bytes)
        job, index = world.sites[placed.cluster].jobs[placed.name], 0
    assert limits == [2000, 4000]
    finish_all(world)
    assert [each["outcome"] for each in world.ledger.attempts(task.id)] == [
        "resources",
        "resources",
        "done",
    ]


def test_a_delivered_failure_is_counted_once(world: World) -> None:
    """The worker says it, and then the status of its pod says it too."""
    world.step(2)
    _, job, index = world.pods()[0]
    (task,) = world.tasks_of(job, index)
    world.sink.deliver(Failure(task.id, Cause.TRANSIENT, "busy", None, {"ended": 1.0}))
    job.failed.add(index)
    job.endings[index] = Ending("p", index, Cause.TRANSIENT, "exit status 75")
    world.step(4)
    assert world.ledger.tries(task.id) == 1
    finish_all(world)
    assert world.ledger.counts().done == 12


def test_a_bad_file_stops_the_run_unless_it_may_be_skipped(tmp_path: Path) -> None:
    world = World(tmp_path, make_tasks(12))
    world.step(2)
    _, job, index = world.pods()[0]
    (task,) = world.tasks_of(job, index)
    world.sink.deliver(Failure(task.id, Cause.BAD_INPUT, "damaged"))
    job.failed.add(index)

    class Nobody:
        def on_state(self, state: object) -> None: ...

    outcome = world.reconciler.run(Nobody())
    assert outcome is not None
    assert outcome.stopped_by is not None
    assert outcome.stopped_by.cause is Cause.BAD_INPUT
    assert all(each.suspended for site in world.sites.values() for each in site.jobs.values())
    assert (outcome.counts.running, outcome.counts.failed) == (0, {"bad-input": 1})
    world.restart()  # watched again it is still stopped
    again = world.reconciler.run(Nobody())
    assert again is not None
    assert again.stopped_by == outcome.stopped_by
    world.ledger.requeue_failed()  # what `resume` does
    world.restart(release=True)
    finish_all(world)
    assert world.ledger.counts().done == 12

    (tmp_path / "skip").mkdir()
    world = World(tmp_path / "skip", make_tasks(12), skip_bad_files=True)
    world.step(2)
    _, job, index = world.pods()[0]
    (task,) = world.tasks_of(job, index)
    world.sink.deliver(Failure(task.id, Cause.BAD_INPUT, "damaged"))
    job.failed.add(index)
    finish_all(world)
    assert world.ledger.counts().failed == {"bad-input": 1}
    assert world.ledger.counts().done == 11


@pytest.mark.parametrize("delivered", [True, False])
def test_a_bug_ends_the_run_at_once(world: World, delivered: bool) -> None:
    world.step(2)
    _, job, index = world.pods()[0]
    (task,) = world.tasks_of(job, index)
    if delivered:
        world.sink.deliver(Failure(task.id, Cause.BUG, "KeyError", "Traceback ..."))
    job.ended = "PodFailurePolicy"
    job.endings[index] = Ending("p", index, Cause.BUG, "KeyError, exit status 70")
    world.step(6)
    assert world.ledger.counts().failed == {"bug": 1}


def test_a_job_ended_for_a_pod_that_nobody_can_ask_does_not_go_on_for_ever(world: World) -> None:
    for _ in range(40):
        world.step(3)
        if world.ledger.counts().ended:
            break
        for site in world.sites.values():
            for job in site.jobs.values():
                job.ended = job.ended or "PodFailurePolicy"
    assert world.ledger.counts().failed == {"transient": 12}


def test_a_job_that_somebody_deleted_is_made_anew(world: World) -> None:
    world.step(2)
    world.sites["one"].jobs.clear()
    finish_all(world)
    assert world.ledger.counts().done == 12
    assert world.ledger.counts().failed == {}


def test_what_a_killed_submission_had_planned_is_made_once(world: World) -> None:
    world.step(2)
    applied = {name: site.applied for name, site in world.sites.items()}
    world.restart()
    world.step(3)
    assert {name: site.applied for name, site in world.sites.items()} == applied


def test_a_sink_that_comes_back_empty_costs_only_time(world: World) -> None:
    world.step(2)
    for _, job, index in world.pods()[:4]:
        finish(world, job, index)
    world.sink.held.clear()
    finish_all(world)
    assert world.ledger.counts().done == 12


def test_waves_are_far_apart_unless_nothing_else_is_left_to_do(tmp_path: Path) -> None:
    world = World(tmp_path, make_tasks(4), clusters=["only"], tries=9)
    world.step(2)
    *others, (_, last, index) = world.pods()
    for _, job, number in others:
        job.done.add(number)  # without a result
    world.reconciler._placer._next_wave = float("inf")
    before = len(world.placements.jobs())
    world.step(3)
    assert len(world.placements.jobs()) == before
    last.done.add(index)
    world.step(3)
    assert len(world.placements.jobs()) > before
    finish_all(world)
    assert world.ledger.counts().done == 4
