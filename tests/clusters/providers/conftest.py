"""The program kind, played."""

import os
import shutil
import sys
from pathlib import Path

import pytest


@pytest.fixture
def kind_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program `kind` on the PATH; return where it keeps its clusters."""
    programs, home = tmp_path / "programs", tmp_path / "kind"
    programs.mkdir()
    home.mkdir()
    text = (Path(__file__).parent / "kind_program.py").read_text()
    (programs / "kind").write_text(text.replace("/usr/bin/env python3", sys.executable, 1))
    (programs / "kind").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("KIND_PROGRAM_HOME", str(home))
    assert shutil.which("kind")
    return home
