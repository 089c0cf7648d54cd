"""The rehearsal at 2,000 tasks: three control planes, one lost midway, an exact account."""

from pathlib import Path

import pytest

from higgsdemo.errors import Cause
from higgsdemo.ledger import create_run
from higgsdemo.model import Failure
from tests.kubernetes.binaries import built
from tests.kubernetes.rehearsal.play import RUN, Settings, check, play
from tests.kubernetes.rehearsal.report import goals
from tests.kubernetes.rehearsal.tasks import ALL, demo_tasks, result_of
from tests.kubernetes.rehearsal.world import nodes_for
from tests.services.programs import UnavailableError

TASKS = 2000


@pytest.fixture
def archive(shared_data: Path) -> Path:
    return shared_data / "file-indexes.tar.gz"


def test_the_tasks_are_the_demos(archive: Path) -> None:
    samples, tasks = demo_tasks(archive)
    assert len(tasks) == len({task.id for task in tasks}) == ALL
    assert len(samples) == 21  # 15 simulated processes and 6 streams of data
    some_samples, some = demo_tasks(archive, TASKS)
    assert len(some) == TASKS
    assert {task.id for task in some} <= {task.id for task in tasks}
    assert {one.name for one in some_samples} <= {one.name for one in samples}


def test_the_comparison_finds_what_is_wrong(archive: Path, tmp_path: Path) -> None:
    settings = Settings(archive, 40, 3)
    samples, tasks = demo_tasks(archive, 40)
    run = create_run(tmp_path / "runs", RUN, record={}, samples=samples, tasks=tasks)
    with run.ledger() as ledger:
        for task in tasks[1:]:
            ledger.start(task.id, "somewhere")
            ledger.deliver(result_of(task))
        ledger.start(tasks[0].id, "somewhere")
        ledger.fail(Failure(tasks[0].id, Cause.BAD_INPUT, "damaged"), again=False)
    truth = tmp_path / "truth.txt"
    lines = [f"{tasks[0].id} bad-input demo-0 job\n"]
    lines += [f"{task.id} done demo-0 job\n" for task in tasks[1:]]
    truth.write_text("".join([*lines, lines[-1]]))  # one was delivered twice
    account = check(tmp_path, settings)
    assert (account.wrong, account.done, account.again) == ([], 39, 1)
    truth.write_text("".join(lines[:-1]))
    assert "1 done without a result delivered" in " ".join(check(tmp_path, settings).wrong)
    truth.write_text("".join(lines).replace("bad-input", "done"))
    assert "1 delivered and not done" in " ".join(check(tmp_path, settings).wrong)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.xdist_group("kubernetes")
def test_a_rehearsal_loses_a_cluster_and_nothing_else(archive: Path, tmp_path: Path) -> None:
    try:
        built("kwok")
    except UnavailableError as error:
        pytest.skip(str(error))
    settings = Settings(archive, TASKS, nodes_for(TASKS, ALL), declare=True, limit_s=800)
    found = play(tmp_path, settings)
    account = found["account"]
    assert account["wrong"] == []
    assert found["lost"]["cluster"] == "demo-2"
    assert account["done"] + account["failed"]["bad-input"] == account["planned"] == TASKS
    assert account["failed"]["bad-input"] > 3
    # What does not depend on how busy the machine is.
    counted = [one for one in goals(found) if "requests to submit" in one.what or "MB" in one.unit]
    assert len(counted) == 3
    assert [one.line for one in counted if not one.met] == []
