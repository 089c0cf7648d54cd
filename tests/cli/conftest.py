"""The command line, called as a user calls it."""

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.cli import main as program
from tests.catalog.portal.conftest import fake, no_proxy  # noqa: F401 - fixtures

SAMPLES = """
title: test
samples:
  - name: ZZTo4mu
    group: zz
    year: 2012
    cross_section_pb: 0.077
    generated_events: 1000
    files: [{files}]
"""
"""A sample file of one sample, for `format`."""


@dataclass
class Said:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def higgsdemo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Said]]:
    """Run `higgsdemo ...` in an empty folder and return what it said and its exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("HIGGSDEMO_RUNS", raising=False)
    on_term = signal.getsignal(signal.SIGTERM)

    def call(*words: object) -> Said:
        monkeypatch.setattr("sys.argv", ["higgsdemo", *map(str, words)])
        capfd.readouterr()
        status: object = 0
        try:
            program.main()
        except SystemExit as ended:
            status = ended.code or 0
        said = capfd.readouterr()
        return Said(status if isinstance(status, int) else 1, said.out, said.err)

    yield call
    signal.signal(signal.SIGTERM, on_term)


@pytest.fixture
def scripts(tmp_path: Path) -> Callable[..., Path]:
    """Make a sample set of scripted files: `scripts(a={"do": "bug"}, b={})`."""

    def make(**files: dict[str, object]) -> Path:
        folder = tmp_path / "scripts"
        folder.mkdir(exist_ok=True)
        for name, says in files.items():
            (folder / f"{name}.root").write_text(json.dumps({"events": 5, **says}))
        return folder

    return make
