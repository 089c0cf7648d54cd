"""Reconciliation over a model of clusters: whatever happens, every task is accounted for."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from higgsdemo.clusters.refusals import ClusterApiError
from higgsdemo.errors import Cause, CredentialsError
from higgsdemo.executors.kubernetes.pods import Ending
from higgsdemo.ledger import closing_check
from higgsdemo.ledger.placements import JobState
from higgsdemo.model import Failure, Task
from tests.executors.kubernetes.model import ModelJob, World
from tests.ledger.builders import ZZ, check_accounting, make_task, make_tasks, result_of


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, make_tasks(12))


def finish(world: World, job: ModelJob, index: int) -> None:
    for task in world.tasks_of(job, index):
        world.sink.deliver(result_of(task))
    job.done.add(index)


def finish_all(world: World) -> None:
    """Let everything that is left run well, to the end."""
    for _ in range(60):
        world.step(3)
        if world.ledger.counts().ended:
            return
        for _, job, index in world.pods():
            finish(world, job, index)
    raise AssertionError(f"it does not end: {world.ledger.counts()}")


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


def test_a_job_that_somebody_deleted_is_made_anew(world: World) -> None:
    world.step(2)
    world.sites["one"].jobs.clear()
    finish_all(world)
    assert world.ledger.counts().done == 12
    assert world.ledger.counts().failed == {}


def test_a_cluster_that_refuses_is_given_up(world: World) -> None:
    world.sites["one"].refuses = ClusterApiError("no", status=403, why="exceeded quota")
    state = world.step(3)
    assert [each.given_up for each in state.clusters] == [True, False]
    finish_all(world)
    assert world.ledger.counts().done == 12


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


def of_samples(samples: int, each: int) -> list[Task]:
    """Return tasks of many samples: in a cluster, each is a job."""
    named = [dataclasses.replace(ZZ, name=f"S{number}") for number in range(samples)]
    return [make_task(number, sample) for sample in named for number in range(each)]


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
    world = World(tmp_path, of_samples(4, 10), clusters=["only"], slots={"only": 18})
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


class Machine(RuleBasedStateMachine):
    """Pods end as they will, clusters fall silent, processes are killed: nothing is miscounted."""

    folder: Path

    @initialize(at_once=st.sampled_from([0, 1, 2]), slots=st.sampled_from([0, 2]))
    def begin(self, at_once: int, slots: int) -> None:
        import tempfile

        self.temporary = tempfile.TemporaryDirectory()
        self.world = World(
            Path(self.temporary.name),
            of_samples(5, 3),
            slots=dict.fromkeys(["one", "two"], slots),
            skip_bad_files=True,
            tasks_per_pod=2,
            parallelism=at_once,
        )

    def teardown(self) -> None:
        for site in self.world.sites.values():
            if site.name not in self.given_up:
                site.silent_s = 0.0
        finish_all(self.world)
        counts = self.world.ledger.counts()
        check_accounting(counts, 15)
        assert closing_check(self.world.ledger, self.world.manifest) == []
        assert set(counts.failed) <= {"bad-input", "lost", "transient", "resources"}
        self.world.ledger.close()
        self.temporary.cleanup()

    @property
    def given_up(self) -> set[str]:
        return {j.cluster for j in self.world.placements.jobs() if j.state is JobState.GIVEN_UP}

    @rule()
    def step(self) -> None:
        self.world.step()

    @rule()
    def kill(self) -> None:
        self.world.restart()

    @precondition(lambda self: self.world.pods())
    @rule(
        number=st.integers(0, 100),
        how=st.sampled_from(["well", "well", "lost", "bad", "memory", "transient", "unknown"]),
    )
    def end(self, number: int, how: str) -> None:
        pods = self.world.pods()
        _, job, index = pods[number % len(pods)]
        tasks = self.world.tasks_of(job, index)
        if how == "well":
            finish(self.world, job, index)
        elif how == "lost":
            job.done.add(index)
        else:
            job.failed.add(index)
            if how == "memory":
                job.endings[index] = Ending("p", index, Cause.RESOURCES, "OOMKilled")
            elif how in ("bad", "transient"):
                cause = Cause.BAD_INPUT if how == "bad" else Cause.TRANSIENT
                self.world.sink.deliver(Failure(tasks[0].id, cause, how, None, {"n": number}))
                job.endings[index] = Ending("p", index, cause, how)

    @rule(name=st.sampled_from(["one", "two"]), seconds=st.sampled_from([0.0, 5.0, 50.0, 1000.0]))
    def fall_silent(self, name: str, seconds: float) -> None:
        self.world.sites[name].silent_s = seconds

    @precondition(lambda self: any(site.jobs for site in self.world.sites.values()))
    @rule(name=st.sampled_from(["one", "two"]))
    def delete_job(self, name: str) -> None:
        jobs = self.world.sites[name].jobs
        if jobs and not self.world.sites[name].silent_s:
            del jobs[next(iter(jobs))]

    @rule(number=st.integers(0, 14))
    def late_duplicate(self, number: int) -> None:
        self.world.sink.deliver(result_of(list(self.world.tasks.values())[number]))

    @rule()
    def sink_lost(self) -> None:
        self.world.sink.held.clear()

    @invariant()
    def accounts(self) -> None:
        counts = self.world.ledger.counts()
        check_accounting(counts, 15)
        done = {row["id"] for row in self.world.ledger.rows() if row["state"] == "done"}
        assert done == {task for task, _ in self.world.ledger.digests()}

    @invariant()
    def pods_at_once(self) -> None:
        allowed = self.world.settings.parallelism
        assert not allowed or max(self.world.at_once().values()) <= allowed


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
