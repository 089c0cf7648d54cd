"""The ledger against a plain model of it: whatever is done to it, in any order."""

import shutil
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from higgsdemo.errors import Cause
from higgsdemo.ledger import (
    Delivery,
    Ledger,
    Merger,
    closing_check,
)
from higgsdemo.model import Histogram, Result

from .builders import (
    AXIS,
    SAMPLES,
    check_accounting,
    failure_of,
    make_task,
    make_tasks,
    manifest_of,
    new_ledger,
    result_of,
    states,
)

numbers = st.integers(0, 3)


class LedgerMachine(RuleBasedStateMachine):
    """Whatever is done to a ledger, in any order, it is what a few dictionaries say."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="higgsdemo-test-"))

    @initialize()
    def create(self) -> None:
        self.tasks = make_tasks(4)
        self.manifest = manifest_of(self.tasks)
        self.ledger = new_ledger(self.folder, self.tasks)
        self.merger = Merger(self.manifest)  # updated now and then, over all of the run
        self.state = dict.fromkeys((task.id for task in self.tasks), "queued")
        self.cause: dict[str, Cause] = {}
        self.tries: Counter[str] = Counter()
        self.open: Counter[str] = Counter()  # attempts that run
        self.results: dict[str, Result] = {}
        self.alarms = 0

    def teardown(self) -> None:
        self.ledger.close()
        shutil.rmtree(self.folder)

    @rule(number=numbers)
    def start(self, number: int) -> None:
        task = self.tasks[number]
        self.ledger.start(task.id, "here")
        self.open[task.id] += 1
        if self.state[task.id] == "queued":
            self.state[task.id] = "running"

    @rule(number=numbers, what=st.sampled_from(["right", "right", "right", "other", "short"]))
    def deliver(self, number: int, what: str) -> None:
        task = self.tasks[number]
        more = {"right": {}, "other": {"shift": 1}, "short": {"events": number}}[what]
        result = result_of(task, **more)
        said = self.ledger.deliver(result)
        self.open[task.id] -= self.open[task.id] > 0
        kept = self.results.setdefault(task.id, result)
        if kept is result:
            assert said is Delivery.ACCEPTED
            self.state[task.id] = "done"
            self.cause.pop(task.id, None)
        elif kept.digest == result.digest:
            assert said is Delivery.DUPLICATE
        else:
            assert said is Delivery.ALARM
            self.alarms += 1

    @rule(how=st.sampled_from(["result", "failure"]))
    def hear_of_an_unknown_task(self, how: str) -> None:
        stranger = make_task(99)
        if how == "result":
            assert self.ledger.deliver(result_of(stranger)) is Delivery.ALARM
        else:
            self.ledger.fail(failure_of(stranger), again=True)
        self.alarms += 1

    @rule(number=numbers, cause=st.sampled_from(Cause), again=st.booleans(), counted=st.booleans())
    def fail(self, number: int, cause: Cause, again: bool, counted: bool) -> None:
        task = self.tasks[number]
        self.ledger.fail(failure_of(task, cause), again=again, counts=counted)
        self.open[task.id] -= self.open[task.id] > 0
        if self.state[task.id] == "done":
            return
        self.tries[task.id] += counted
        self.state[task.id] = "queued" if again else "failed"
        self.cause.pop(task.id, None)
        if not again:
            self.cause[task.id] = cause

    @rule()
    def recover(self) -> None:
        running = [task_id for task_id, state in self.state.items() if state == "running"]
        assert self.ledger.recover() == len(running)
        self.state.update(dict.fromkeys(running, "queued"))
        self.open.clear()

    @rule()
    def requeue_failed(self) -> None:
        assert self.ledger.requeue_failed() == len(self.cause)
        for task_id in self.cause:
            self.state[task_id] = "queued"
            self.tries[task_id] = 0
        self.cause.clear()

    @rule()
    def close_and_reopen(self) -> None:
        self.ledger.close()
        self.ledger = Ledger.open(self.folder / "ledger.sqlite")

    @rule()
    def update(self) -> None:
        self.merger.update(self.ledger)

    @precondition(lambda self: "queued" in self.state.values())
    @rule()
    def finish(self) -> None:
        for number, task in enumerate(self.tasks):
            if self.state[task.id] in ("queued", "running"):
                self.deliver(number, "right")

    @invariant()
    def states_add_up_and_are_right(self) -> None:
        found = Counter(self.state.values())
        counts = self.ledger.counts()
        check_accounting(counts, len(self.tasks))
        assert (counts.done, counts.running) == (found["done"], found["running"])
        assert counts.queued == found["queued"]
        assert counts.failed == Counter(str(cause) for cause in self.cause.values())
        assert states(self.ledger) == self.state
        both = [self.ledger.counts(sample.name) for sample in SAMPLES]
        assert sum(one.planned for one in both) == counts.planned
        assert sum(one.done for one in both) == counts.done

    @invariant()
    def lists_are_right(self) -> None:
        ids = [task.id for task in self.tasks]
        assert self.ledger.queued() == [one for one in ids if self.state[one] == "queued"]
        assert [row[0] for row in self.ledger.failed()] == [one for one in ids if one in self.cause]
        assert {one: self.ledger.tries(one) for one in ids} == {one: self.tries[one] for one in ids}
        assert len(self.ledger.alarms()) == self.alarms
        for task_id in ids:
            running = [one for one in self.ledger.attempts(task_id) if one["ended"] is None]
            assert len(running) == self.open[task_id]
        shown = {(one.cause, one.message): one.tasks for one in self.ledger.problems()}
        assert shown == Counter((str(cause), "it broke") for cause in self.cause.values())

    @invariant()
    def each_first_result_is_kept_once(self) -> None:
        documents = list(self.ledger.documents())
        assert [one["task"] for one in documents] == list(self.results)
        assert [one["digest"] for one in documents] == [
            result.digest for result in self.results.values()
        ]
        assert self.ledger.delivered_events() == sum(
            result.output.events for result in self.results.values()
        )

    @invariant()
    def merge_is_the_sum_of_the_accepted_results(self) -> None:
        fresh = Merger(self.manifest)
        fresh.update(self.ledger)
        totals = fresh.totals()
        for sample in SAMPLES:
            mine = [one for one in self.results.values() if one.sample == sample.name]
            expected = Histogram.zeros(AXIS)
            for result in mine:
                expected += result.output.histograms["4mu/x"]
            found = totals.samples[sample.name]
            assert found.histograms.get("4mu/x", Histogram.zeros(AXIS)) == expected
            assert found.events == sum(one.output.events for one in mine)
            assert found.tasks == found.files == len(mine)

    @invariant()
    def closing_check_is_empty_exactly_when_all_is_well(self) -> None:
        well = (
            self.alarms == 0
            and set(self.state.values()) <= {"done", "failed"}
            and all(
                self.results[task.id].output.events == task.events
                for task in self.tasks
                if task.id in self.results
            )
        )
        assert (closing_check(self.ledger, self.manifest) == []) == well


LedgerMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
TestLedgerMachine = LedgerMachine.TestCase
