"""What all tests share."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from higgsdemo.model import Task, TaskFile

pytest_plugins = ("tests.services.fixtures", "tests.kubernetes.fixtures")

PLUGINS = Path(__file__).parent / "plugins"

# The workflow `scripted` is found by its entry point, here and in every child process.
sys.path.append(str(PLUGINS))
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, (os.environ.get("PYTHONPATH"), str(PLUGINS)))
)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real CMS inputs beside the project; skips where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real CMS inputs (../shared/data) are not on this machine")
    return folder


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Task]:
    """Make a task of the workflow `scripted`: `script("name", events=3, do="bug")`."""

    def make(name: str, **says: object) -> Task:
        path = tmp_path / "scripts" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"events": 7, **says}))
        file = TaskFile(name, str(path), path.stat().st_size)
        return Task(sample="s", files=(file,), workflow="scripted")

    return make
