"""The plugin that makes a skip a failure in CI, on real sessions."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN_FOLDER = Path(__file__).parent

SKIPPED = """
import pytest
def test_good(): pass
def test_without(): pytest.skip("no such engine here")
"""
WHOLE_MODULE = """
import pytest
pytest.skip("the module cannot run", allow_module_level=True)
"""
EXCUSED = """
import pytest
def test_good(): pass
def test_real(): pytest.skip("real CMS inputs (../shared/data) are not on this machine")
@pytest.mark.xfail(reason="known")
def test_known(): assert False
"""


def session(folder: Path, text: str, *, ci: bool, processes: int) -> tuple[int, str]:
    (folder / "test_it.py").write_text(text)
    (folder / "test_other.py").write_text("def test_fine(): pass\n")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    environment |= {"CI": "true" if ci else "", "PYTHONPATH": str(PLUGIN_FOLDER)}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # they only cost time here
    command = [sys.executable, "-m", "pytest", "-p", "ci_skips", "-p", "no:cacheprovider"]
    command += ["-c", os.devnull, "--rootdir", str(folder), str(folder)]
    if processes:
        command += ["-p", "xdist", "-n", str(processes)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("processes", [0, 1])
@pytest.mark.parametrize(
    ("text", "reason"),
    [(SKIPPED, "no such engine here"), (WHOLE_MODULE, "the module cannot run")],
    ids=["test", "module"],
)
def test_a_skip_fails_in_ci(tmp_path: Path, text: str, reason: str, processes: int) -> None:
    status, said = session(tmp_path, text, ci=True, processes=processes)
    assert status == pytest.ExitCode.TESTS_FAILED, said
    assert f"1 in test_it.py: {reason}" in said


def test_a_skip_is_fine_elsewhere(tmp_path: Path) -> None:
    status, said = session(tmp_path, SKIPPED, ci=False, processes=0)
    assert status == pytest.ExitCode.OK, said


def test_excused_skips_and_expected_failures_are_fine_in_ci(tmp_path: Path) -> None:
    status, said = session(tmp_path, EXCUSED, ci=True, processes=0)
    assert status == pytest.ExitCode.OK, said


@pytest.mark.xdist_group("together")
def test_what_belongs_together_runs_in_one_process(request: pytest.FixtureRequest) -> None:
    """As marks of groups say: they may be without effect, silently (see pyproject.toml)."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("needs several test processes")
    assert request.node.nodeid.endswith("@together")
