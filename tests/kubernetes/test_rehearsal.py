"""The rehearsal at 2,000 tasks: three control planes, one lost midway, an exact account."""

from pathlib import Path

import pytest

from tests.kubernetes.binaries import built
from tests.kubernetes.rehearsal.play import Settings, play
from tests.kubernetes.rehearsal.report import goals
from tests.kubernetes.rehearsal.tasks import ALL, demo_tasks
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
