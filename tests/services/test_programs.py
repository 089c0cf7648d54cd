"""Programs are found, or said to be missing with what to do."""

import subprocess
from pathlib import Path

import pytest

from tests.services import programs
from tests.services.programs import UnavailableError, from_wheels, program

INSTALLER = Path(__file__).parents[2] / "scripts" / "install-test-services"


@pytest.fixture(autouse=True)
def _nothing_known() -> None:
    program.cache_clear()


def test_a_missing_program_says_what_to_do() -> None:
    with pytest.raises(UnavailableError, match="run scripts/install-test-services"):
        program("no-such-server")


def test_the_cache_folder_goes_before_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    binary = from_wheels() / "sh"
    binary.parent.mkdir(parents=True)
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    assert program("sh") == str(binary)
    program.cache_clear()


def test_the_installer_names_the_same_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all there it is quick and says nothing; the folder it looks at is ours."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    from_wheels().parent.mkdir(parents=True)
    (from_wheels().parent / ".complete").touch()
    environment = {"XDG_CACHE_HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    try:
        for name in ("redis-server", "xrootd"):
            program(name)
    except UnavailableError as error:
        pytest.skip(str(error))
    done = subprocess.run(
        [INSTALLER], env=environment, capture_output=True, text=True, timeout=5, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_requirements_are_named_with_a_version() -> None:
    lines = programs.REQUIREMENTS.read_text().splitlines()
    assert all(">=" in line for line in lines if not line.startswith("#"))
