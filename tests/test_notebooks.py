"""The notebooks run from top to bottom, as a reader runs them, and are kept without outputs."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def cells(path: Path) -> list[dict[str, object]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stripped(path: Path) -> None:
    assert [(cell["outputs"], cell["execution_count"]) for cell in cells(path)] == (
        [([], None)] * len(cells(path))
    )


@pytest.mark.slow
@pytest.mark.timeout(900)  # seconds on an idle machine, minutes on a busy one
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, tmp_path: Path) -> None:
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
    }
    (tmp_path / path.name).write_bytes(path.read_bytes())
    program = subprocess.Popen(
        [programs / "jupyter-execute", "--inplace", path.name],
        cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        _, said = program.communicate(timeout=800)
    finally:  # whatever happens: no kernel is left, and no run that it has started
        started = (
            psutil.Process(program.pid).children(recursive=True) if program.poll() is None else []
        )
        for one in (*started, program):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        program.wait()
    assert program.returncode == 0, said[-3000:]
    outputs = json.dumps([cell["outputs"] for cell in cells(tmp_path / path.name)])
    assert "image/png" in outputs
    assert "fb^-1" in outputs
