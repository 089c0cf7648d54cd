"""`status`: how far a run is, and what went wrong."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from higgsdemo.cli.parts.console import out, print_json, print_table
from higgsdemo.cli.parts.options import RUNS, AsJson, RunsFolder, complete_run
from higgsdemo.cli.watch import watch
from higgsdemo.display.speed import performance_lines
from higgsdemo.display.tables import problems_table, runs_table, samples_progress_table
from higgsdemo.display.words import plain
from higgsdemo.errors import RunError
from higgsdemo.ledger import Counts, open_run, run_names
from higgsdemo.monitor import read_performance


def status(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="Name of the run; without it, all runs.",
            autocompletion=complete_run,
        ),
    ] = None,
    attempts: Annotated[
        bool, typer.Option("--attempts", help="Count every failed attempt, retried ones too.")
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show the tracebacks of failures.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on showing it until it has ended: see watch.")
    ] = False,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Show how far a run is: tasks per sample, failures grouped by cause.

    Exit status 0 if the run is complete, 1 if tasks are missing.
    """
    if follow:
        watch(name, runs=runs, as_json=as_json)
        return
    if name is None:
        found: list[tuple[str, Counts]] = []
        unreadable: dict[str, str] = {}
        for known in run_names(runs):
            try:
                with open_run(runs, known).look() as ledger:
                    found.append((known, ledger.counts()))
            except RunError as error:
                unreadable[known] = ": ".join(filter(None, (error.what, error.why)))
        if as_json:
            errors = {known: {"error": why} for known, why in unreadable.items()}
            print_json({known: _counts(counts) for known, counts in found} | errors)
            return
        if found or not unreadable:
            print_table(runs_table(found, runs))
        for known, why in unreadable.items():
            out.print(f"[yellow]{escape(plain(known))}:[/] {escape(plain(why))}")
        return
    made = open_run(runs, name)
    manifest = made.manifest()
    with made.look() as ledger:
        counts = ledger.counts()
        by_sample = {sample.name: ledger.counts(sample.name) for sample in manifest.samples}
        problems = ledger.problems(only_failed=not attempts)
        alarms = ledger.alarms()
    performance = read_performance(made)
    if as_json:
        print_json(
            {
                "run": made.id,
                **_counts(counts),
                "samples": {sample: _counts(mine) for sample, mine in by_sample.items()},
                "problems": [vars(problem) for problem in problems],
                "alarms": alarms,
                "performance": performance.to_json() if performance else None,
            }
        )
    else:
        print_table(samples_progress_table(made.id, by_sample, counts))
        if problems:
            print_table(problems_table(problems, tracebacks=traceback))
        for alarm in alarms:
            out.print(f"[bold red]alarm:[/] {escape(plain(alarm))}")
        if performance and counts.ended:
            for line in performance_lines(performance):
                out.print(line)
    if counts.done != counts.planned:
        raise typer.Exit(1)


def _counts(counts: Counts) -> dict[str, object]:
    return {
        "planned": counts.planned,
        "done": counts.done,
        "running": counts.running,
        "queued": counts.queued,
        "failed": dict(counts.failed),
    }
