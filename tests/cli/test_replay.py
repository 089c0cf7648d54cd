"""`replay`: a finished run as lines."""

import json
from pathlib import Path
from typing import Any

from tests.cli.test_watch import finished
from tests.monitor.builders import Clock, kept, new_run


def test_a_finished_run_is_played_to_its_end(higgsdemo: Any, tmp_path: Path) -> None:
    clock = Clock()
    with kept(clock):
        finished(tmp_path)
    before = sorted(
        (path.name, path.stat().st_mtime_ns) for path in (tmp_path / "runs/r").iterdir()
    )
    said = higgsdemo("replay", "r", "--speed", 10_000, "--every", 0.05, "--json")
    assert said.status == 0
    assert json.loads(said.out.splitlines()[-1])["done"] == 6
    after = sorted((path.name, path.stat().st_mtime_ns) for path in (tmp_path / "runs/r").iterdir())
    assert [one for one in after if "sqlite-" not in one[0]] == before


def test_a_run_that_has_not_begun_is_told(higgsdemo: Any, tmp_path: Path) -> None:
    new_run(tmp_path / "runs")
    said = higgsdemo("replay", "r")
    assert said.status == 1
    assert "nothing to play" in said.err
