"""`generate`."""

from pathlib import Path
from typing import Any


def test_it_writes_eight_labelled_files_and_how_to_go_on(higgsdemo: Any) -> None:
    said = higgsdemo("generate", "--output", "demo", "--events-scale", 0.0005, "--seed", 1)
    assert said.status == 0, said.err
    assert len(list(Path("demo").glob("*.root"))) == 8
    assert "SIMULATED DEMO DATA" in said.out
    assert "higgsdemo run demo" in said.out
    assert higgsdemo("samples", "check", "demo").status == 0


def test_wrong_numbers_are_refused(higgsdemo: Any) -> None:
    for words in (("--luminosity", -1), ("--events-scale", "nan"), ("--luminosity", "inf")):
        said = higgsdemo("generate", "--output", "demo", *words)
        assert said.status == 2, words
        assert "Traceback" not in said.err
    assert not Path("demo").exists()
