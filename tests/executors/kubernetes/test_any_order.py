"""Whatever happens, in whatever order: every task is accounted for."""

from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from higgsdemo.errors import Cause
from higgsdemo.executors.kubernetes.pods import Ending
from higgsdemo.ledger import closing_check
from higgsdemo.ledger.placements import JobState
from higgsdemo.model import Failure
from tests.executors.kubernetes.model import World, finish, finish_all, of_samples
from tests.ledger.builders import check_accounting, result_of


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
    def what_waits_is_what_the_ledger_says(self) -> None:
        """It is kept in memory, and only news are read."""
        waiting = self.world.reconciler._placer.waiting
        waiting._changed = waiting.refresh()  # the next step is told all the same
        jobs = {each.job for each in self.world.placements.open()}
        held = [each for job in sorted(jobs | waiting._jobs.keys()) for each in waiting.of(job)]
        assert held == self.world.placements.open()

    @invariant()
    def pods_at_once(self) -> None:
        allowed = self.world.settings.parallelism
        assert not allowed or max(self.world.at_once().values()) <= allowed


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
