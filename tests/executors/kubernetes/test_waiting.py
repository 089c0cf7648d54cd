"""What is waited for: read once, and then only what is new."""

from pathlib import Path

import pytest

from higgsdemo.errors import Cause
from higgsdemo.executors.kubernetes.waiting import Waiting
from higgsdemo.ledger import Ledger, create_run
from higgsdemo.ledger.placements import NewJob, Placements, Verdict
from higgsdemo.model import Failure
from tests.ledger.builders import SAMPLES, make_tasks, result_of

TASKS = make_tasks(6)
IDS = [task.id for task in TASKS]


def placed(ledger: Ledger) -> Placements:
    placements = Placements(ledger)
    jobs = [NewJob("c", "s", [[each] for each in mine], 1, 1) for mine in (IDS[:3], IDS[3:])]
    placements.place(jobs, lambda _, number: f"job-{number}")
    return placements


def waits(waiting: Waiting, job: int) -> list[tuple[str, bool]]:
    return [(each.task_id, each.running) for each in waiting.of(job)]


def test_a_result_costs_a_look_at_results_and_changes_its_job_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create_run(tmp_path, "r", record={}, samples=SAMPLES, tasks=TASKS)
    with run.ledger() as ledger:
        placements = placed(ledger)
        waiting = Waiting(ledger, placements)
        assert waiting.count is None
        assert waiting.refresh() == {1, 2}
        assert waiting.count == 6
        assert waiting.refresh() == set()
        placements.show_running([(IDS[0], "c/job-1/0")], [])
        waiting.note_running([IDS[0]], [])
        assert waits(waiting, 1) == [(IDS[0], True), (IDS[1], False), (IDS[2], False)]
        monkeypatch.setattr(placements, "open", lambda *_: pytest.fail("all of it is read"))
        ledger.deliver(result_of(TASKS[1]))
        ledger.deliver(result_of(TASKS[1]))  # a second time
        assert waiting.refresh() == {1}
        assert waits(waiting, 1) == [(IDS[0], True), (IDS[2], False)]
        assert waiting.count == 5


def test_what_is_settled_is_read_anew(tmp_path: Path) -> None:
    run = create_run(tmp_path, "r", record={}, samples=SAMPLES, tasks=TASKS)
    with run.ledger() as ledger:
        placements = placed(ledger)
        waiting = Waiting(ledger, placements)
        waiting.refresh()
        placements.show_running([(IDS[3], "c/job-2/0")], [])
        failure = Failure(IDS[3], Cause.TRANSIENT, "the network")
        placements.settle([Verdict(IDS[3], failure)])
        waiting.renew()
        assert 2 in waiting.refresh()
        assert waits(waiting, 2) == [(IDS[4], False), (IDS[5], False)]
        assert waiting.known.tries == {IDS[3]: 1}
        assert waiting.known.told.keys() == {IDS[3]}
