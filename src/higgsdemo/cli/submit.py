"""`submit`: a plan to clusters, all of them at once."""

from __future__ import annotations

import dataclasses
import fnmatch
from pathlib import Path
from typing import Annotated

import typer

from higgsdemo import executors
from higgsdemo.cli.parts import beforehand
from higgsdemo.cli.parts.launching import Wanted, contexts, launch, submit_again
from higgsdemo.cli.parts.options import RUNS, AsJson, RunsFolder, memory_bytes
from higgsdemo.cli.parts.placing import Placing, cluster_options
from higgsdemo.cli.parts.planning import (
    describe,
    load_samples,
    make_settings,
    name_of_now,
    plan_samples,
    refuse_another,
)
from higgsdemo.cli.parts.storing import Storing, storage_options
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
from higgsdemo.clusters.mapping import PREFIX, ClusterEntry, read_mapping
from higgsdemo.errors import UsageError
from higgsdemo.ledger import open_run
from higgsdemo.model import SampleSet
from higgsdemo.plan import EVENTS_PER_TASK


@cluster_options
@storage_options
def submit(
    samples: Annotated[
        list[str] | None,
        typer.Option(
            "--samples",
            metavar="SAMPLES",
            help="What to analyse, as of `run`: a built-in set, a sample file, file indexes; "
            "may be repeated.",
        ),
    ] = None,
    dataset_mapping: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Which cluster works on which file indexes (config/)."),
    ] = None,
    dataset_index: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where the file indexes are.", show_default="here"),
    ] = None,
    dataset_pattern: Annotated[
        str, typer.Option(metavar="GLOB", help="Only file indexes that match, e.g. '*Higgs*'.")
    ] = "",
    bucket: Annotated[
        str, typer.Option(metavar="BUCKET", help="The files are in this bucket instead.")
    ] = "",
    prefix: Annotated[
        str, typer.Option(help="Begins the names of a mapping's clusters; a number ends them.")
    ] = PREFIX,
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
    --run again and it makes what is missing, and changes nothing that is there. Follow the run
    and collect its results with `watch`.

    [bold]Examples[/]

      higgsdemo submit --samples nanoaod-2012 --clusters cern,gke --redis-host bus:6379 --run demo
      higgsdemo submit --dataset-mapping config/minimal.json --output-bucket results --dry-run
    """
    entries = read_mapping(dataset_mapping, prefix) if dataset_mapping else ()
    if placing.clusters and entries:
        entries = tuple(entry for entry in entries if entry.name in placing.clusters) or entries
    chosen = contexts(placing, entries)
    given = _given(samples, dataset_mapping, dataset_index, dataset_pattern)
    settings = make_settings(workflow, option, events_per_task, files_per_task, certified)
    policy = executors.Policy(
        tries=max(3, placing.backoff_limit + 1),
        skip_bad_files=skip_bad_files,
        memory_bytes=memory_bytes(memory),
    )
    if name and (runs / name / "run.json").is_file():
        known = open_run(runs, name)
        refuse_another(known, given, settings)
        submit_again(known, placing, storage, as_json=as_json)
        return
    found, owners, notes = _samples(
        samples, entries, dataset_index, dataset_pattern, mapped=set(chosen)
    )
    from higgsdemo import catalog

    found = _moved(catalog.filter_set(found, filters or [], limit), bucket, placing.storage_type)
    planned = plan_samples(found, settings)
    beforehand.check(planned.tasks, storage.access(), None, only_tell=True)
    record = describe(given, found, settings, policy, storage)
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


def _given(
    samples: list[str] | None, mapping: Path | None, index: Path | None, pattern: str
) -> list[str]:
    if samples and mapping:
        raise UsageError("--samples and --dataset-mapping exclude each other")
    if not samples and not mapping and not pattern and index is None:
        raise UsageError(
            "nothing to analyse is named",
            hint="--samples nanoaod-2012, --dataset-mapping FILE, or --dataset-pattern GLOB",
        )
    parts = [*(samples or []), str(mapping or ""), str(index or ""), pattern]
    return [part for part in parts if part]


def _samples(
    samples: list[str] | None,
    entries: tuple[ClusterEntry, ...],
    folder: Path | None,
    pattern: str,
    *,
    mapped: set[str],
) -> tuple[SampleSet, dict[str, str] | None, tuple[str, ...]]:
    """Return the samples, the cluster of each file where a mapping decides, and what is said."""
    if samples:
        return load_samples(samples, None, None), None, ()
    if not entries:
        paths = sorted((folder or Path.cwd()).glob(pattern or "*.txt"))
        if not paths:
            where = str(folder or Path.cwd())
            raise UsageError(f"no file index matches {pattern or '*.txt'!r}", where=where)
        return load_samples([str(path) for path in paths], None, None), None, ()
    from higgsdemo.clusters.datasets import resolve

    if pattern:
        entries = tuple(
            dataclasses.replace(
                entry,
                datasets=tuple(
                    one for one in entry.datasets if fnmatch.fnmatch(Path(one).name, pattern)
                ),
            )
            for entry in entries
        )
    resolved = resolve(entries, folder)
    names = {entry.name for entry in entries}
    # Clusters named beside a mapping that is not of them: its files, shared out among these.
    owners = dict(resolved.owners) if names <= mapped else None
    return resolved.samples, owners, resolved.repeated


def _moved(found: SampleSet, bucket: str, storage_type: str) -> SampleSet:
    """Return the samples as they lie in another bucket, or kind of store, under the same keys."""
    if not bucket and storage_type == "s3":
        return found
    scheme = "gs" if storage_type == "gcs" else "s3"

    def moved(url: str) -> str:
        old, _, rest = url.partition("://")
        if old not in ("s3", "gs"):
            if not bucket:
                return url
            raise UsageError("--bucket is for files in buckets", where=url)
        there, _, key = rest.partition("/")
        return f"{scheme}://{bucket or there}/{key}"

    return dataclasses.replace(
        found,
        samples=tuple(
            dataclasses.replace(
                sample,
                files=tuple(
                    dataclasses.replace(file, url=moved(file.url)) for file in sample.files
                ),
            )
            for sample in found.samples
        ),
    )
