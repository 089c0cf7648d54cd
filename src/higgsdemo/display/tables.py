"""Tables for terminals and pipes: plans, progress of runs, failures, samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from higgsdemo.display.progress import duration
from higgsdemo.display.words import plain
from higgsdemo.ledger import Counts, Problem
from higgsdemo.model import Task, Totals, count_sections
from higgsdemo.plan import Plan

_MOST = 10_000  # characters shown of each end of a message


def new_table(*columns: str, title: str | None = None, right: Sequence[str] = ()) -> Table:
    """Return an empty table; the columns named in `right` are right-aligned."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        # Names are copied into further commands: they are never shortened or broken.
        table.add_column(column, justify="right" if column in right else "left", no_wrap=True)
    return table


def size(value: float | None) -> str:
    """Format bytes for people."""
    if value is None:
        return "unknown"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.3g} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


def number(value: float | None) -> str:
    """Format a count with thousands separated."""
    return "unknown" if value is None else f"{value:,.0f}"


def counts_line(counts: Counts) -> str:
    """Say in one line how many tasks are in which state; the numbers add up."""
    failed = ", ".join(f"{n} {cause}" for cause, n in counts.failed.items())
    return (
        f"{counts.planned} planned = {counts.done} done"
        f" + {sum(counts.failed.values())} failed{f' ({failed})' if failed else ''}"
        f" + {counts.running} running + {counts.queued} queued"
    )


def plan_table(plan: Plan, cores: int) -> RenderableType:
    """Return the plan: per sample files, tasks, events, bytes; the totals; the time."""
    table = new_table(
        "sample", "group", "year", "files", "tasks", "events", "bytes",
        right=("files", "tasks", "events", "bytes"),
    )  # fmt: skip
    by_sample: dict[str, list[Task]] = {sample.name: [] for sample in plan.samples}
    for task in plan.tasks:
        by_sample[task.sample].append(task)
    for sample in plan.samples:
        tasks = by_sample[sample.name]
        mine = Plan((sample,), tuple(tasks))
        table.add_row(
            escape(sample.name), sample.group, str(sample.year or "?"), number(len(sample.files)),
            number(len(tasks)), number(mine.events), size(mine.size_bytes),
        )  # fmt: skip
    seconds = plan.seconds(cores)
    time = (
        "unknown: the sizes of the files are" if seconds is None else f"about {duration(seconds)}"
    )
    files = sum(len(sample.files) for sample in plan.samples)
    return Group(
        table,
        f"{number(len(plan.tasks))} tasks of {number(files)} files, {size(plan.size_bytes)}, "
        f"{number(plan.events)} events",
        f"estimated time on {cores} workers: {time}",
    )


def runs_table(runs: Sequence[tuple[str, Counts]], folder: Path) -> RenderableType:
    """Return all runs with their counts."""
    if not runs:
        return f"no runs in {folder} yet; start one: higgsdemo run FOLDER"
    table = new_table("run", "tasks", "done", "failed", "running", "queued",
                      right=("tasks", "done", "failed", "running", "queued"))  # fmt: skip
    for name, counts in runs:
        table.add_row(
            escape(name), number(counts.planned), number(counts.done),
            number(sum(counts.failed.values())), number(counts.running), number(counts.queued),
        )  # fmt: skip
    return table


def samples_progress_table(
    run_id: str, by_sample: dict[str, Counts], counts: Counts
) -> RenderableType:
    """Return the tasks of a run per sample and state."""
    table = new_table("sample", "tasks", "done", "failed", "running", "queued", title=run_id,
                      right=("tasks", "done", "failed", "running", "queued"))  # fmt: skip
    for name, mine in by_sample.items():
        table.add_row(
            escape(name), number(mine.planned), number(mine.done),
            number(sum(mine.failed.values())), number(mine.running), number(mine.queued),
        )  # fmt: skip
    return Group(table, counts_line(counts))


def problems_table(problems: Sequence[Problem], tracebacks: bool = False) -> RenderableType:
    """Return the failures grouped by cause and message, each with one example."""
    parts: list[RenderableType] = []
    for problem in problems:
        tasks = f"{problem.tasks} task{'s' if problem.tasks != 1 else ''}"
        parts.append(
            f"[bold red]{escape(problem.cause)}[/] {tasks}, e.g. {escape(plain(problem.example))}"
        )
        parts.append("  " + _indented(problem.message))
        if tracebacks and problem.traceback:
            parts.append("  " + _indented(problem.traceback.rstrip()))
    return Group(*parts)


def _indented(text: str) -> str:
    """Return what others wrote as lines below a headline; very long text ends in the middle."""
    if len(text) > 2 * _MOST:
        text = f"{text[:_MOST]}\n[... {len(text) - 2 * _MOST} characters ...]\n{text[-_MOST:]}"
    return escape(plain(text, lines=True)).replace("\n", "\n  ")


def cutflow_tables(totals: Totals) -> list[Table]:
    """Return a table per channel: the events left after each step, a column per sample."""
    flows: dict[str, dict[str, dict[str, int]]] = {}
    for name, one in totals.samples.items():
        for channel, steps in one.cutflow.items():
            flows.setdefault(channel, {})[name] = dict(steps)
    tables = []
    for channel, samples in flows.items():
        table = new_table("step", *map(escape, samples), title=channel, right=[*samples])
        for step in dict.fromkeys(step for mine in samples.values() for step in mine):
            left = [mine.get(step) for mine in samples.values()]
            table.add_row(escape(step), *("-" if n is None else number(n) for n in left))
        tables.append(table)
    return tables


def sections_lines(totals: Totals) -> list[str]:
    """Say of which data a certified-sections mask left out sections, and how many."""
    lines = []
    for name, one in totals.samples.items():
        seen, used = count_sections(one.sections_seen), count_sections(one.sections_used)
        if used < seen:
            lines.append(
                f"[yellow]{escape(name)}:[/] {number(used)} of {number(seen)} luminosity sections"
                " are certified; the luminosity of these alone is not known here"
            )
    return lines
