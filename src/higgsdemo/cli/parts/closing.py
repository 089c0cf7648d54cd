"""The end of a run that was driven: the check of its sums, the plot, what stopped it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.markup import escape

from higgsdemo import executors
from higgsdemo.cli.parts.console import err, print_table
from higgsdemo.cli.show import finish
from higgsdemo.display.forecast import fact_line
from higgsdemo.display.tables import counts_line, problems_table
from higgsdemo.errors import Cause, RunError
from higgsdemo.ledger import (
    Ledger,
    Manifest,
    Merger,
    Problem,
    RunDirectory,
    closing_check,
    left_out,
)
from higgsdemo.model import Failure, Task, Totals
from higgsdemo.monitor import record_performance
from higgsdemo.plan import record_fact


@dataclass(frozen=True)
class Sums:
    """What a run has given: `wrong` is what does not add up."""

    totals: Totals
    problems: list[Problem]
    wrong: list[str]


def summed(manifest: Manifest, ledger: Ledger) -> Sums:
    """Merge and check what the ledger of a run holds."""
    merger = Merger(manifest)
    wrong = closing_check(ledger, manifest, merger)
    return Sums(merger.totals(left_out(manifest, ledger)), ledger.problems(), wrong)


def close_run(
    made: RunDirectory,
    tasks: Mapping[str, Task],
    outcome: executors.Outcome,
    sums: Sums,
    *,
    no_plot: bool,
    as_json: bool,
) -> None:
    """Show a run at its end. Raises RunError unless it is complete and adds up."""
    record_performance(made)
    if len(sums.problems) > (outcome.stopped_by is not None) and not as_json:
        print_table(problems_table(sums.problems), err)
    _tell_stop(made, outcome, tasks)
    if sums.wrong:
        raise RunError(
            f"run {made.id} does not add up",
            where=str(made.path),
            why="; ".join(sums.wrong[:5])
            + (f"; and {len(sums.wrong) - 5} more" if len(sums.wrong) > 5 else ""),
            hint="if files changed while it ran, start a new run; if not, this should never happen:"
            " please report it with the folder of the run",
        )
    failed = {cause: n for cause, n in outcome.counts.failed.items() if cause != "bad-input"}
    took = fact_line(record_fact(made))
    finish(made, sums.totals, no_plot=no_plot, as_json=as_json)
    if took and not as_json:
        err.print(took)
    if outcome.counts.planned and not outcome.counts.done:
        raise RunError(
            f"run {made.id} gave nothing: {counts_line(outcome.counts)}",
            hint=f"see why: higgsdemo status {made.id}",
        )
    if failed:
        raise RunError(
            f"run {made.id} is incomplete: {counts_line(outcome.counts)}",
            hint=f"see why: higgsdemo status {made.id}; try again: higgsdemo resume {made.id}",
        )


def _tell_stop(made: RunDirectory, outcome: executors.Outcome, tasks: Mapping[str, Task]) -> None:
    failure = outcome.stopped_by
    if failure is None:
        return
    if failure.traceback:
        err.print(escape(failure.traceback))
    label = tasks[failure.task_id].label if failure.task_id in tasks else "the ledger"
    is_bug = failure.cause is Cause.BUG and failure.traceback
    raise RunError(
        f"{failure.cause if is_bug or failure.cause is not Cause.BUG else 'not possible'}: "
        f"{failure.message}\n  run: {made.id} stopped at {label}",
        hint=_what_to_do(failure, f"higgsdemo resume {made.id}"),
    )


def _what_to_do(failure: Failure, resume_it: str) -> str:
    if failure.cause is Cause.BAD_INPUT:
        return (
            f"mend the file, then: {resume_it}; or go on without it: {resume_it} --skip-bad-files"
        )
    if failure.cause is Cause.CREDENTIALS:
        return f"once you are let in: {resume_it}"
    if failure.traceback:
        return f"this is a bug in the workflow or in higgsdemo; once mended: {resume_it}"
    return f"once this is put right: {resume_it}"
