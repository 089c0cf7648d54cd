"""`run`, `plan`, `resume`: from samples to a plot."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import platform
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.markup import escape

import higgsdemo
from higgsdemo import executors, workflows
from higgsdemo.cli import beforehand
from higgsdemo.cli.console import err, print_json, print_table
from higgsdemo.cli.metering import MetricsPort, metered_run
from higgsdemo.cli.options import RUNS, AsJson, RunName, RunsFolder, key_values, memory_bytes
from higgsdemo.cli.show import finish
from higgsdemo.cli.storing import Storing, storage_options
from higgsdemo.display.forecast import fact_line
from higgsdemo.display.progress import RunProgress
from higgsdemo.display.tables import counts_line, plan_table, problems_table
from higgsdemo.errors import Cause, RunError, UsageError, nearest
from higgsdemo.ledger import (
    Merger,
    RunDirectory,
    closing_check,
    create_run,
    left_out,
    open_run,
)
from higgsdemo.model import Failure, SampleSet, Task
from higgsdemo.monitor import record_performance
from higgsdemo.plan import EVENTS_PER_TASK, Plan, Settings, make_plan, record_fact

EXECUTORS = ("local",)

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="SAMPLES",
        help="What to analyse: a folder, a sample file (YAML, or JSON as in HiggsDNA), ROOT files, "
        "or the name of a built-in set (see: higgsdemo samples list).",
    ),
]
Workflow = Annotated[str, typer.Option("--workflow", "-w", help="What is done to the events.")]
Option = Annotated[
    list[str] | None,
    typer.Option(
        "--option", "-o", metavar="KEY=VALUE", help="Option of the workflow; may be repeated."
    ),
]
Filter = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        "-f",
        metavar="KEY=GLOB",
        help="Only samples that match: sample=ZZ*, group=data, year=2012; may be repeated.",
    ),
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="Only the first N files of each sample.")
]
EventsPerTask = Annotated[
    int, typer.Option(min=0, help="Split larger files into tasks of about this size (0: never).")
]
FilesPerTask = Annotated[int, typer.Option(min=1, help="Put this many files into one task.")]
Certified = Annotated[
    Path | None,
    typer.Option(
        "--certified-sections", metavar="FILE", help="JSON of certified luminosity sections (data)."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Worker processes.", show_default="the cores there are"),
]
Memory = Annotated[
    str, typer.Option(help="Memory of a task before it is stopped and given more (0: no limit).")
]
Tries = Annotated[int, typer.Option(min=1, help="Failed attempts a task may have.")]
SkipBad = Annotated[
    bool,
    typer.Option("--skip-bad-files", help="Go on without files that cannot be read; list them."),
]
NoPlot = Annotated[bool, typer.Option("--no-plot", help="Leave the plot for later.")]


@storage_options
def run(
    inputs: Inputs,
    workflow: Workflow = "h4l",
    option: Option = None,
    filters: Filter = None,
    limit: Limit = None,
    events_per_task: EventsPerTask = EVENTS_PER_TASK,
    files_per_task: FilesPerTask = 1,
    certified: Certified = None,
    executor: Annotated[str, typer.Option(help="Where tasks run.")] = "local",
    workers: Workers = None,
    memory: Memory = "2GB",
    tries: Tries = 3,
    skip_bad_files: SkipBad = False,
    name: Annotated[
        str | None,
        typer.Option("--run", help="Name of the run.", show_default="workflow, date and time"),
    ] = None,
    resume_it: Annotated[
        bool, typer.Option("--resume", help="If a run of this name exists, go on with it.")
    ] = False,
    no_plot: NoPlot = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    metrics_port: MetricsPort = None,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
    *,
    storage: Storing,
) -> None:
    """Analyse samples: plan, execute, check, plot.

    [bold]Examples[/]

      higgsdemo run demo-data
      higgsdemo run ~/nano --filter 'sample=Run2012*' --limit 1
      higgsdemo run demo-data --option selection=published --run check --skip-bad-files
    """
    if executor not in EXECUTORS:
        raise UsageError(
            f"there is no executor {executor!r}",
            nearest=nearest(executor, EXECUTORS),
            hint=f"there are: {', '.join(EXECUTORS)}",
        )
    policy = _policy(memory, tries, skip_bad_files)
    if resume_it and name is None:
        raise UsageError("--resume goes with the name of a run", hint="name it: --run NAME")
    settings = _settings(workflow, option, events_per_task, files_per_task, certified)
    if name and resume_it and (runs / name / "run.json").is_file():
        known = open_run(runs, name)
        _refuse_another(known, inputs, settings)
        with metered_run(known, metrics_port):
            _drive(known, workers, policy, storage, no_plot, as_json)
        return
    samples = _load(inputs, filters, limit)
    planned = _plan(samples, settings)
    cores = workers or executors.usable_cores()
    beforehand.check(planned.tasks, storage.access(), planned.seconds(cores), only_tell=dry_run)
    if dry_run:
        _show_plan(planned, cores, as_json)
        return
    made = create_run(
        runs,
        _name_of_now(workflow) if name is None else name,
        record={
            **_record(inputs, samples, settings, policy, storage),
            "forecast": {"seconds": planned.seconds(cores), "workers": cores},
        },
        samples=planned.samples,
        tasks=planned.tasks,
    )
    if not as_json:
        err.print(f"run [bold]{made.id}[/]: {len(planned.tasks)} tasks on {cores} workers")
    with metered_run(made, metrics_port):
        _drive(made, workers, policy, storage, no_plot, as_json, checked=True)


@storage_options
def plan(
    inputs: Inputs,
    workflow: Workflow = "h4l",
    option: Option = None,
    filters: Filter = None,
    limit: Limit = None,
    events_per_task: EventsPerTask = EVENTS_PER_TASK,
    files_per_task: FilesPerTask = 1,
    certified: Certified = None,
    workers: Workers = None,
    as_json: AsJson = False,
    *,
    storage: Storing,
) -> None:
    """Show what `run` would do: tasks, bytes, events, estimated time. Nothing is written."""
    settings = _settings(workflow, option, events_per_task, files_per_task, certified)
    planned = _plan(_load(inputs, filters, limit), settings)
    cores = workers or executors.usable_cores()
    beforehand.check(planned.tasks, storage.access(), planned.seconds(cores), only_tell=True)
    _show_plan(planned, cores, as_json)


@storage_options
def resume(
    name: RunName,
    workers: Workers = None,
    memory: Memory = "2GB",
    tries: Tries = 3,
    skip_bad_files: SkipBad = False,
    no_plot: NoPlot = False,
    metrics_port: MetricsPort = None,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
    *,
    storage: Storing,
) -> None:
    """Finish what is missing of a run; failed tasks get another chance.

    [bold]Example[/]:  higgsdemo resume h4l-20261123-201500
    """
    policy = _policy(memory, tries, skip_bad_files)
    made = open_run(runs, name)
    with metered_run(made, metrics_port):
        _drive(made, workers, policy, storage, no_plot, as_json)


def _policy(memory: str, tries: int, skip_bad_files: bool) -> executors.Policy:
    return executors.Policy(
        tries=tries,
        skip_bad_files=skip_bad_files,
        memory_bytes=memory_bytes(memory),
        memory_cap_bytes=int(0.8 * psutil.virtual_memory().total),
    )


def _settings(
    workflow: str,
    option: list[str] | None,
    events_per_task: int,
    files_per_task: int,
    certified: Path | None,
) -> Settings:
    if certified:
        from higgsdemo.catalog.certification import load_sections

        load_sections(certified)  # a bad file is told now, not by each task
        certified = certified.resolve()
    return Settings(
        workflow=workflow,
        options=workflows.check_options(
            workflows.load(workflow), key_values(option or [], "--option")
        ),
        events_per_task=events_per_task,
        files_per_task=files_per_task,
        certified=str(certified) if certified else None,
    )


def _load(inputs: list[str], filters: list[str] | None, limit: int | None) -> SampleSet:
    from higgsdemo import catalog

    samples = catalog.load_set(inputs[0] if len(inputs) == 1 else inputs)
    return catalog.filter_set(samples, filters or [], limit)


def _plan(samples: SampleSet, settings: Settings) -> Plan:
    with err.status("planning") as status:
        return make_plan(
            samples, settings, lambda done, of: status.update(f"planning: {done} of {of} files")
        )


def _show_plan(planned: Plan, cores: int, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "tasks": [task.to_json() for task in planned.tasks],
                "size_bytes": planned.size_bytes,
                "events": planned.events,
                "workers": cores,
                "estimated_s": planned.seconds(cores),
            }
        )
        return
    print_table(plan_table(planned, cores))


def _record(
    inputs: list[str],
    samples: SampleSet,
    settings: Settings,
    policy: executors.Policy,
    storage: Storing,
) -> dict[str, Any]:
    """Describe a run for its run.json."""
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "samples": {"set": samples.name, "title": samples.title, "inputs": inputs},
        "workflow": settings.workflow,
        "options": dict(settings.options),
        "certified_sections": settings.certified,
        "storage": dict(storage.plain),
        "tries": policy.tries,
        "code_sha256": _code_digest(),
        "versions": {
            "higgsdemo": higgsdemo.__version__,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in ("numpy", "uproot")},
        },
    }


def _refuse_another(known: RunDirectory, inputs: list[str], settings: Settings) -> None:
    """Raise UsageError if the run to resume is of other samples or another workflow."""
    record = known.record
    asked = (inputs, settings.workflow, dict(settings.options), settings.certified)
    made = (record["samples"]["inputs"], record["workflow"], record["options"],
            record["certified_sections"])  # fmt: skip
    for what, now, then in zip(
        ("samples", "workflow", "options", "certified sections"), asked, made, strict=True
    ):
        if now != then:
            raise UsageError(
                f"run {known.id} was made with other {what}",
                why=f"{then} then, {now} now",
                hint=f"go on with it as it is: higgsdemo resume {known.id};"
                " or give the new run another name",
            )


def _name_of_now(workflow: str) -> str:
    """Return a name that two runs started at once do not share."""
    return f"{workflow}-{datetime.datetime.now():%Y%m%d-%H%M%S-%f}"[:-3]


def _code_digest() -> str:
    """Return the SHA-256 of this package's sources: what a run was made with."""
    folder = Path(higgsdemo.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _drive(
    made: RunDirectory,
    workers: int | None,
    policy: executors.Policy,
    storage: Storing,
    no_plot: bool,
    as_json: bool,
    *,
    checked: bool = False,
) -> None:
    """Execute what is missing, close the run, show it."""
    manifest = made.manifest()
    tasks = {task.id: task for task in manifest.tasks}
    if made.record.get("code_sha256") != _code_digest():
        err.print("[yellow]note:[/] higgsdemo has changed since this run was planned")
    with made.driving(), made.ledger() as ledger:
        ledger.requeue_failed()
        waiting = [tasks[task_id] for task_id in ledger.queued()]
        storage = storage.over(made.record.get("storage", {}))
        executor = executors.LocalExecutor(workers, made.logs, storage.variables)
        if not checked:
            seconds = Plan((), tuple(waiting)).seconds(executor.workers)
            beforehand.check(waiting, storage.access(), seconds)
        try:
            with RunProgress(err, waiting) as progress:
                outcome = executors.drive(ledger, tasks, executor, policy, progress)
        except KeyboardInterrupt:
            err.print(
                f"interrupted: {counts_line(ledger.counts())}; what was done is kept\n"
                f"  [bold]what to do:[/] higgsdemo resume {made.id}"
            )
            raise
        merger = Merger(manifest)
        wrong = closing_check(ledger, manifest, merger)
        problems = ledger.problems()
        totals = merger.totals(left_out(manifest, ledger))
    record_performance(made)
    if len(problems) > (outcome.stopped_by is not None) and not as_json:
        print_table(problems_table(problems), err)
    _tell_stop(made, outcome, tasks)
    if wrong:
        raise RunError(
            f"run {made.id} does not add up",
            where=str(made.path),
            why="; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""),
            hint="if files changed while it ran, start a new run; if not, this should never happen:"
            " please report it with the folder of the run",
        )
    failed = {cause: n for cause, n in outcome.counts.failed.items() if cause != "bad-input"}
    took = fact_line(record_fact(made))
    finish(made, totals, no_plot=no_plot, as_json=as_json)
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


def _tell_stop(made: RunDirectory, outcome: executors.Outcome, tasks: dict[str, Task]) -> None:
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
