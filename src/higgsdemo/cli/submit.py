"""`submit`: a plan to clusters, all of them at once."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from higgsdemo import executors
from higgsdemo.cli.parts import beforehand
from higgsdemo.cli.parts.datasets import (
    ClusterPrefix,
    DatasetIndex,
    DatasetMapping,
    DatasetPattern,
    find_datasets,
    given_words,
    moved,
)
from higgsdemo.cli.parts.forecasting import Wanted
from higgsdemo.cli.parts.launching import contexts, launch, submit_again
from higgsdemo.cli.parts.options import RUNS, AsJson, RunsFolder, memory_bytes
from higgsdemo.cli.parts.placing import Placing, cluster_options
from higgsdemo.cli.parts.planning import (
    describe,
    make_settings,
    name_of_now,
    plan_samples,
    refuse_another,
)
from higgsdemo.cli.parts.repeating import SHAPE, refuse_other_options, said
from higgsdemo.cli.parts.storing import Storing, pod_storage_options
from higgsdemo.cli.run import (
    Certified,
    EventsPerTask,
    FilesPerTask,
    Filter,
    Limit,
    Option,
    SkipBad,
    Workflow,
)
from higgsdemo.clusters.mapping import PREFIX, read_mapping
from higgsdemo.ledger import open_run
from higgsdemo.plan import EVENTS_PER_TASK


@cluster_options
@pod_storage_options
def submit(
    context: typer.Context,
    samples: Annotated[
        list[str] | None,
        typer.Option(
            "--samples",
            metavar="SAMPLES",
            help="What to analyse, as of `run`: a built-in set, a sample file, file indexes; "
            "may be repeated.",
        ),
    ] = None,
    dataset_mapping: DatasetMapping = None,
    dataset_index: DatasetIndex = None,
    dataset_pattern: DatasetPattern = "",
    bucket: Annotated[
        str, typer.Option(metavar="BUCKET", help="The files are in this bucket instead.")
    ] = "",
    prefix: ClusterPrefix = PREFIX,
    workflow: Workflow = "h4l",
    option: Option = None,
    filters: Filter = None,
    limit: Limit = None,
    events_per_task: EventsPerTask = EVENTS_PER_TASK,
    files_per_task: FilesPerTask = 1,
    certified: Certified = None,
    memory: Annotated[str, typer.Option(help="Memory of a pod: what it gets, and its limit.")] = (
        "2GB"
    ),
    skip_bad_files: SkipBad = False,
    name: Annotated[
        str | None,
        typer.Option("--run", help="Name of the run.", show_default="workflow, date and time"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the forecast, make nothing.")
    ] = False,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
    *,
    storage: Storing,
    placing: Placing,
) -> None:
    """Submit a run to clusters, all of them at once; they work on without this machine.

    Every cluster is checked before anything is made in any. Give the same command with the same
    --run again and it makes what is missing, and changes nothing that is there; an option that
    says something else than then is refused. Follow the run and collect its results with `watch`.

    [bold]Examples[/]

      higgsdemo submit --samples nanoaod-2012 --clusters cern,gke --redis-host bus:6379 --run demo
      higgsdemo submit --dataset-mapping config/minimal.json --output-bucket results --dry-run
    """
    entries = read_mapping(dataset_mapping, prefix) if dataset_mapping else ()
    if placing.clusters and entries:
        entries = tuple(entry for entry in entries if entry.name in placing.clusters) or entries
    given = given_words(samples, dataset_mapping, dataset_index, dataset_pattern)
    settings = make_settings(workflow, option, events_per_task, files_per_task, certified)
    policy = executors.Policy(
        tries=max(3, placing.backoff_limit + 1),
        skip_bad_files=skip_bad_files,
        memory_bytes=memory_bytes(memory),
    )
    shape = {
        "bucket": bucket,
        "storage_type": placing.storage_type,
        "filters": filters or [],
        "limit": limit,
        "events_per_task": events_per_task,
        "files_per_task": files_per_task,
    }
    if name and not dry_run and (runs / name / "run.json").is_file():
        known = open_run(runs, name)
        refuse_another(known, given, settings)
        named = placing.clusters or [entry.name for entry in entries]
        refuse_other_options(known, placing, storage, policy, named, shape, said(context))
        submit_again(known, placing, storage, as_json=as_json)
        return
    chosen = contexts(placing, entries)
    found, owners, notes = find_datasets(
        samples, entries, dataset_index, dataset_pattern, mapped=set(chosen)
    )
    from higgsdemo import catalog

    found = moved(catalog.filter_set(found, filters or [], limit), bucket, placing.storage_type)
    planned = plan_samples(found, settings)
    # What pods stage in is none of this machine's disk.
    access = dataclasses.replace(storage.access(), stage_in=None)
    beforehand.check(planned.tasks, access, None, only_tell=True)
    record = {**describe(given, found, settings, policy, storage), SHAPE: shape}
    launch(
        Wanted(
            planned,
            chosen,
            owners,
            entries,
            notes,
            record if owners is None else {**record, "owners": dict(owners)},
        ),
        name or name_of_now(workflow),
        runs,
        placing,
        storage,
        policy,
        dry_run=dry_run,
        as_json=as_json,
    )
