"""`run`, `resume`: from samples to a plot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import psutil
import typer

from higgsdemo import executors
from higgsdemo.cli.parts import beforehand
from higgsdemo.cli.parts.closing import close_run, summed
from higgsdemo.cli.parts.console import err
from higgsdemo.cli.parts.forecasting import Wanted
from higgsdemo.cli.parts.in_clusters import Following, follow_clusters, is_in_clusters
from higgsdemo.cli.parts.launching import contexts, launch
from higgsdemo.cli.parts.metering import MetricsPort, metered_run
from higgsdemo.cli.parts.options import RUNS, AsJson, RunName, RunsFolder, memory_bytes
from higgsdemo.cli.parts.placing import Placing, cluster_options
from higgsdemo.cli.parts.planning import (
    code_digest,
    describe,
    load_samples,
    make_settings,
    name_of_now,
    plan_samples,
    refuse_another,
    show_plan,
)
from higgsdemo.cli.parts.storing import Storing, storage_options
from higgsdemo.display.progress import RunProgress
from higgsdemo.display.tables import counts_line
from higgsdemo.errors import UsageError, nearest
from higgsdemo.ledger import (
    COPY,
    RunDirectory,
    create_run,
    open_run,
)
from higgsdemo.plan import EVENTS_PER_TASK, Plan

EXECUTORS = ("local", "kubernetes")

SAMPLES = typer.Argument(
    metavar="SAMPLES",
    help="What to analyse: a folder, a sample file (YAML, or JSON as in HiggsDNA), ROOT files, "
    "or the name of a built-in set (see: higgsdemo samples list).",
)
Inputs = Annotated[list[str], SAMPLES]
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


@cluster_options
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
    placing: Placing,
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
    settings = make_settings(workflow, option, events_per_task, files_per_task, certified)
    if name and resume_it and (runs / name / "run.json").is_file():
        known = open_run(runs, name)
        refuse_another(known, inputs, settings)
        with metered_run(known, metrics_port):
            _go_on(known, workers, policy, storage, placing, no_plot, as_json)
        return
    samples = load_samples(inputs, filters, limit)
    planned = plan_samples(samples, settings)
    if executor == "kubernetes":
        record = describe(inputs, samples, settings, policy, storage)
        submitted = launch(
            Wanted(planned, contexts(placing, ()), record=record),
            name or name_of_now(workflow),
            runs,
            placing,
            storage,
            policy,
            dry_run=dry_run,
            as_json=as_json,
        )
        if submitted is not None:
            with metered_run(submitted, metrics_port):
                follow_clusters(
                    submitted,
                    Following(placing.kubeconfig, patience_s=placing.patience_s),
                    no_plot=no_plot,
                    as_json=as_json,
                )
        return
    cores = workers or executors.usable_cores()
    beforehand.check(planned.tasks, storage.access(), planned.seconds(cores), only_tell=dry_run)
    if dry_run:
        show_plan(planned, cores, as_json)
        return
    made = create_run(
        runs,
        name_of_now(workflow) if name is None else name,
        record={
            **describe(inputs, samples, settings, policy, storage),
            "forecast": {"seconds": planned.seconds(cores), "workers": cores},
        },
        samples=planned.samples,
        tasks=planned.tasks,
    )
    if not as_json:
        err.print(f"run [bold]{made.id}[/]: {len(planned.tasks)} tasks on {cores} workers")
    with metered_run(made, metrics_port):
        _drive(made, workers, policy, storage, no_plot, as_json, checked=True)


@cluster_options
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
    placing: Placing,
) -> None:
    """Finish what is missing of a run; failed tasks get another chance.

    [bold]Example[/]:  higgsdemo resume h4l-20261123-201500
    """
    policy = _policy(memory, tries, skip_bad_files)
    made = open_run(runs, name)
    with metered_run(made, metrics_port):
        _go_on(made, workers, policy, storage, placing, no_plot, as_json)


def _go_on(
    made: RunDirectory,
    workers: int | None,
    policy: executors.Policy,
    storage: Storing,
    placing: Placing,
    no_plot: bool,
    as_json: bool,
) -> None:
    """Finish a run where it was begun: here, or in its clusters."""
    if COPY in made.record:
        raise UsageError(
            f"run {made.id} is a copy, to look at",
            where=str(made.path),
            why=f"its plan is from {made.record[COPY]}; the run itself is where it was submitted",
            hint="resume it there; collect what comes: higgsdemo collect, watch, dashboard",
        )
    if not is_in_clusters(made):
        _drive(made, workers, policy, storage, no_plot, as_json)
        return
    follow_clusters(
        made,
        Following(
            placing.kubeconfig,
            placing.sinks,
            placing.patience_s,
            skip_bad_files=policy.skip_bad_files,
            again=True,
        ),
        no_plot=no_plot,
        as_json=as_json,
    )


def _policy(memory: str, tries: int, skip_bad_files: bool) -> executors.Policy:
    return executors.Policy(
        tries=tries,
        skip_bad_files=skip_bad_files,
        memory_bytes=memory_bytes(memory),
        memory_cap_bytes=int(0.8 * psutil.virtual_memory().total),
    )


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
    if made.record.get("code_sha256") != code_digest():
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
        sums = summed(manifest, ledger)
    close_run(made, tasks, outcome, sums, no_plot=no_plot, as_json=as_json)
