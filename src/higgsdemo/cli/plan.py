"""`plan`: what a run would do and take, here or on the clusters of a mapping."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from higgsdemo import catalog, executors
from higgsdemo.cli.parts import beforehand
from higgsdemo.cli.parts.console import err
from higgsdemo.cli.parts.datasets import (
    ClusterPrefix,
    DatasetIndex,
    DatasetMapping,
    DatasetPattern,
    find_datasets,
    sized,
)
from higgsdemo.cli.parts.forecasting import Wanted, forecast_of, rooms_of, share, show_forecast
from higgsdemo.cli.parts.options import AsJson, memory_bytes
from higgsdemo.cli.parts.planning import load_samples, make_settings, plan_samples, show_plan
from higgsdemo.cli.parts.storing import Storing, storage_options
from higgsdemo.cli.run import (
    SAMPLES,
    Certified,
    EventsPerTask,
    FilesPerTask,
    Filter,
    Limit,
    Option,
    Workers,
    Workflow,
)
from higgsdemo.clusters.mapping import PREFIX, read_mapping
from higgsdemo.errors import UsageError
from higgsdemo.plan import EVENTS_PER_TASK, check_formats


@storage_options
def plan(
    inputs: Annotated[
        list[str] | None,
        SAMPLES,
    ] = None,
    dataset_mapping: DatasetMapping = None,
    dataset_index: DatasetIndex = None,
    dataset_pattern: DatasetPattern = "",
    prefix: ClusterPrefix = PREFIX,
    file_size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Of files whose size is not known, in a mapping, e.g. 2.6GB."
        ),
    ] = None,
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
    """Show what a run would do: tasks, bytes, events, time. Nothing is written.

    With a dataset mapping: what it would take on clusters of these machines, in waves, time and
    money, whether they are there or not; pods have 1 core and 2 GB. For other pods, or clusters as
    they are: `submit --dry-run`.

    [bold]Examples[/]

      higgsdemo plan nanoaod-2012
      higgsdemo plan --dataset-mapping config/full.json --dataset-index F --file-size 2.6GB
    """
    settings = make_settings(workflow, option, events_per_task, files_per_task, certified)
    if dataset_mapping is None:
        if not inputs:
            raise UsageError(
                "nothing to analyse is named",
                hint="higgsdemo plan SAMPLES, or --dataset-mapping FILE",
            )
        planned = plan_samples(load_samples(inputs, filters, limit), settings)
        cores = workers or executors.usable_cores()
        beforehand.check(planned.tasks, storage.access(), planned.seconds(cores), only_tell=True)
        show_plan(planned, cores, as_json)
        return
    if inputs:
        raise UsageError("SAMPLES and --dataset-mapping exclude each other")
    entries = read_mapping(dataset_mapping, prefix)
    names = tuple(entry.name for entry in entries)
    found, owners, notes = find_datasets(
        None, entries, dataset_index, dataset_pattern, mapped=set(names)
    )
    for note in notes:
        err.print(f"[yellow]counted once:[/] {escape(note)}")
    found = catalog.filter_set(found, filters or [], limit)
    if file_size is not None:
        found = sized(found, memory_bytes(file_size, "--file-size"))
    try:
        check_formats(found, workflow)
    except UsageError as error:
        beforehand.would_not_start(error)
    planned = plan_samples(found, settings, only_forecast=True)
    _forecast(Wanted(planned, names, owners, entries), as_json)


def _forecast(wanted: Wanted, as_json: bool) -> None:
    """Show what a plan would take on the clusters of a mapping."""
    from higgsdemo.executors.kubernetes.settings import PodSettings

    pods = PodSettings(image="worker", sinks=(), clusters=wanted.clusters)
    rooms = rooms_of(wanted.entries, pods)
    shares, _ = share(wanted, pods, rooms)
    show_forecast(forecast_of(wanted, pods, rooms, shares), as_json)
