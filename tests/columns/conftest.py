"""Files that the tests of this room share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.columns.files import random_events, write_events

EVENTS = 5000


@pytest.fixture(scope="session")
def plain_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uncompressed file of `random_events(EVENTS)`, all in one basket per branch."""
    path = tmp_path_factory.mktemp("plain") / "events.root"
    return write_events(path, *random_events(EVENTS), compression="none")


@pytest.fixture(scope="session")
def root_files(plain_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of files that ROOT writes, see `root_files.py`; skips where there is no ROOT."""
    python = os.environ.get("HIGGSDEMO_ROOT_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import ROOT"], capture_output=True, check=False).returncode:
        pytest.skip(f"no ROOT in {python}: set HIGGSDEMO_ROOT_PYTHON to a Python that has it")
    folder = tmp_path_factory.mktemp("root")
    script = Path(__file__).parent / "root_files.py"
    run = subprocess.run(
        [python, str(script), str(plain_file), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return folder
