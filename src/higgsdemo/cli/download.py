"""`samples download`: a whole sample set into a folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from higgsdemo import catalog
from higgsdemo.cli.parts.console import err, out, print_json
from higgsdemo.cli.parts.copying import (
    DryRun,
    Filters,
    Limit,
    OverHttp,
    Server,
    Streams,
    chosen_set,
    failures,
    tell_failures,
    tell_outcome,
)
from higgsdemo.cli.parts.options import AsJson
from higgsdemo.cli.parts.storing import Storing, storage_options
from higgsdemo.cli.samples import SetSpec
from higgsdemo.display.tables import number, size
from higgsdemo.display.transfer import TransferProgress
from higgsdemo.display.words import plain
from higgsdemo.errors import UsageError
from higgsdemo.model import InputFile, SampleSet
from higgsdemo.storage import redact
from higgsdemo.transfer import Download, Item, Outcome, Survey, copied_set, items_of
from higgsdemo.transfer.download import check_space


@storage_options
def download(
    samples: SetSpec,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Folder for the files.", show_default="name of the set"),
    ] = None,
    filters: Filters = None,
    limit: Limit = None,
    streams: Streams = 8,
    over_http: OverHttp = False,
    server: Server = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    *,
    storage: Storing,
) -> None:
    """Download a sample set into a folder that `run` takes, verified.

    From anywhere: http(s), root, s3, gs, local files; the lists, sizes and checksums of built-in
    sets come from the CERN Open Data portal. Stopped or killed at any moment, the same command
    goes on where it was. A file gets its name once size and checksum are right. Exit status 1 if
    a file is missing at the end.

    [bold]Examples[/]

      higgsdemo samples download nanoaod-2012 --output data
      higgsdemo samples download my-samples.yaml --filter year=2012 --dry-run
    """
    chosen = chosen_set(samples, filters, limit, over_http=over_http, server=server)
    folder = (output or Path(chosen.name)).expanduser()
    _refuse_other_set(folder, chosen)
    access = dataclasses.replace(storage.access(), connections=streams, stage_in=None)
    items = items_of(chosen)
    work = Download(items, folder, access, streams=streams)
    with err.status("looking at what is there"):
        survey = work.survey()
    if dry_run:
        _tell_plan(survey, folder, as_json=as_json)
        check_space(survey, folder)
        return
    try:
        with TransferProgress(err) as progress:
            outcome = work.run(survey, progress.watch)
    except KeyboardInterrupt:
        err.print("interrupted: what came is kept; the same command goes on from there")
        raise
    if outcome.complete:
        _write(chosen, items, folder, outcome)
    tell_outcome(outcome, str(folder), str(folder) if outcome.complete else None, as_json=as_json)


def _refuse_other_set(folder: Path, chosen: SampleSet) -> None:
    listed = folder / "samples.yaml"
    if listed.exists() and (there := catalog.load_set(listed).name) != chosen.name:
        raise UsageError(
            "the folder holds another sample set",
            why=f"it is {there!r}, not {chosen.name!r}",
            where=str(listed),
            hint="name another folder with --output",
        )


def _write(chosen: SampleSet, items: Sequence[Item], folder: Path, outcome: Outcome) -> Path:
    """Write the folder's samples.yaml: numbers, logical names and checksums of the copies."""
    from higgsdemo.catalog import portal

    def place(item: Item) -> InputFile:
        return dataclasses.replace(
            item.file,
            url=item.path,
            size_bytes=(folder / item.path).stat().st_size,
            checksum=outcome.checksums.get(item.path, item.file.checksum),
            replicas=(),
        )

    copied = copied_set(chosen, items, place)
    return portal.write_set(copied, folder / "samples.yaml", overwrite=True)


def _tell_plan(survey: Survey, folder: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "bytes": survey.bytes,
                "needed_bytes": survey.needed_bytes,
                "free_bytes": survey.free_bytes,
                "present": [item.path for item in survey.present],
                "todo": [
                    {"path": item.path, "url": redact(item.file.url), "bytes": bytes_}
                    for item, bytes_ in survey.todo
                ],
                "failed": failures(survey.failed),
            }
        )
        return
    by_sample: dict[str, list[int]] = {}
    for item, bytes_ in survey.todo:
        by_sample.setdefault(item.sample, []).append(bytes_)
    for name, sizes in by_sample.items():
        out.print(f"{escape(plain(name))}: {number(len(sizes))} files, {size(sum(sizes))}")
    out.print(
        f"to download into {escape(str(folder))}: {number(len(survey.todo))} files; "
        f"{number(len(survey.present))} are there; "
        f"{size(survey.needed_bytes)} of disk needed, {size(survey.free_bytes)} free"
    )
    tell_failures(survey.failed)
