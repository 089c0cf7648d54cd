"""Tables: numbers add up, names are whole, nothing of theirs is markup."""

import io
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from higgsdemo.display.tables import (
    counts_line,
    number,
    plan_table,
    problems_table,
    runs_table,
    samples_progress_table,
    size,
)
from higgsdemo.ledger import Counts, Problem
from higgsdemo.model import InputFile, Sample, Task, TaskFile
from higgsdemo.plan import Plan

COUNTS = Counts(10, 4, 1, 2, {"bad-input": 2, "transient": 1})


def text(renderable: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(renderable)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "unknown"), (0, "0 B"), (999, "999 B"), (71_200_000, "71.2 MB"), (7e13, "70 TB")],
)
def test_size(value: float | None, said: str) -> None:
    assert size(value) == said


def test_number() -> None:
    assert (number(None), number(26920)) == ("unknown", "26,920")


def test_counts_add_up_in_words() -> None:
    assert counts_line(COUNTS) == (
        "10 planned = 4 done + 3 failed (2 bad-input, 1 transient) + 1 running + 2 queued"
    )


def test_a_plan_shows_its_totals_and_time() -> None:
    sample = Sample("s[1]", "higgs", (InputFile("a", "a", 60_000_000),), year=2012)
    task = Task("s[1]", (TaskFile("a", "a", 60_000_000),), events=1000)
    said = text(plan_table(Plan((sample,), (task,)), cores=2))
    assert "s[1]" in said
    assert "1 tasks of 1 files, 60 MB, 1,000 events" in said
    assert "estimated time on 2 workers: about 2 s" in said
    unknown = text(plan_table(Plan((sample,), (Task("s[1]", (TaskFile("a", "a"),)),)), 2))
    assert "estimated time on 2 workers: unknown" in unknown


def test_runs_and_samples() -> None:
    assert "higgsdemo run" in text(runs_table([], Path("runs")))
    assert "night" in text(runs_table([("night", COUNTS)], Path("runs")))
    said = text(samples_progress_table("night", {"s": COUNTS}, COUNTS))
    assert counts_line(COUNTS) in said


def test_problems_show_cause_message_example_and_traceback_on_request() -> None:
    problem = Problem("bug", "[bold]x[/]\nline two", 3, "s: a.root", "Traceback\n  boom")
    said = text(problems_table([problem]))
    assert "bug 3 tasks, e.g. s: a.root" in said
    assert "[bold]x[/]\n  line two" in said
    assert "boom" not in said
    assert "boom" in text(problems_table([problem], tracebacks=True))
