"""`samples download` and `samples upload`: whole sample sets to where they are needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from higgsdemo import catalog
from higgsdemo.cli.parts.console import err, out, print_json
from higgsdemo.cli.parts.options import AsJson
from higgsdemo.cli.parts.storing import Storing, storage_options
from higgsdemo.cli.samples import SetSpec
from higgsdemo.display.progress import duration
from higgsdemo.display.tables import number, size
from higgsdemo.display.transfer import TransferProgress
from higgsdemo.display.words import plain
from higgsdemo.errors import HiggsdemoError, TaskError, UsageError
from higgsdemo.model import InputFile, SampleSet
from higgsdemo.storage import redact
from higgsdemo.transfer import (
    Bucket,
    Download,
    Item,
    Outcome,
    Survey,
    Upload,
    copied_set,
    items_of,
)
from higgsdemo.transfer.download import check_space

_NAMED = 10  # failed files named; all of them with --json

Filters = Annotated[
    list[str] | None,
    typer.Option("--filter", "-f", metavar="KEY=GLOB", help="Only samples that match."),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first N files of each sample.")]
Streams = Annotated[int, typer.Option(min=1, max=64, help="Transfers at once.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and end.")]


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
    over_http: Annotated[
        bool, typer.Option("--http", help="From the portal by http, not by root (XRootD).")
    ] = False,
    server: Annotated[
        str | None, typer.Option(help="The portal.", show_default="CERN Open Data")
    ] = None,
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
    chosen = _chosen(samples, filters, limit, over_http=over_http, server=server)
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
    _tell(outcome, str(folder), str(folder) if outcome.complete else None, as_json=as_json)


@storage_options
def upload(
    samples: SetSpec,
    to: Annotated[
        str, typer.Option("--to", metavar="URL", help="s3://BUCKET/PREFIX or gs://BUCKET/PREFIX.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Sample file of the copies.", show_default="SET-BUCKET.yaml"),
    ] = None,
    indexes: Annotated[
        Path | None,
        typer.Option(
            help="Folder for file indexes too, SAMPLE_file_index.txt with lines s3/BUCKET/path."
        ),
    ] = None,
    filters: Filters = None,
    limit: Limit = None,
    streams: Annotated[int, typer.Option(min=1, max=64, help="Files at once.")] = 4,
    over_http: Annotated[
        bool, typer.Option("--http", help="From the portal by http, not by root (XRootD).")
    ] = False,
    server: Annotated[
        str | None, typer.Option(help="The portal.", show_default="CERN Open Data")
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    *,
    storage: Storing,
) -> None:
    """Copy a sample set into a bucket, verified, and write the sample file of the copies.

    From local files or any URL that can be read; nothing is kept here on the way. Run again, what
    is there whole is left as it is. Nothing is overwritten. Exit status 1 if a file is missing at
    the end.

    [bold]Examples[/]

      higgsdemo samples upload demo-data --to s3://my-bucket/demo
      higgsdemo samples upload aod-2011.yaml --to gs://my-bucket --indexes datasets
    """
    chosen = _chosen(samples, filters, limit, over_http=over_http, server=server)
    access = storage.access()
    access = dataclasses.replace(
        access, connections=max(access.connections, 3 * streams), stage_in=None
    )
    bucket = Bucket(to, access)
    items = items_of(chosen, public_paths=True)
    listed = output or Path(f"{chosen.name}-{bucket.name}.yaml")
    if dry_run:
        _tell_upload_plan(items, bucket, listed, as_json=as_json)
        return
    work = Upload(items, bucket, access, streams=streams)
    try:
        with TransferProgress(err) as progress:
            outcome = work.run(progress.watch)
    except KeyboardInterrupt:
        err.print("interrupted: the same command leaves out what is there whole")
        raise
    if outcome.complete:
        _list_copies(chosen, items, bucket, work.sizes, outcome.checksums, listed)
        if indexes is not None:
            _write_indexes(items, bucket, indexes)
    _tell(outcome, bucket.url, str(listed) if outcome.complete else None, as_json=as_json)


def _tell_upload_plan(
    items: Sequence[Item], bucket: Bucket, listed: Path, *, as_json: bool
) -> None:
    sizes = [item.file.size_bytes for item in items]
    known = [one for one in sizes if one is not None]
    total = sum(known) if len(known) == len(sizes) else None
    if as_json:
        copies = [
            {
                "url": redact(item.file.url),
                "to": bucket.url_of(item.path),
                "bytes": item.file.size_bytes,
            }
            for item in items
        ]
        print_json({"to": bucket.url, "bytes": total, "samples": str(listed), "files": copies})
        return
    out.print(
        f"to upload to {escape(bucket.url)}: {number(len(items))} files, {size(total)}, "
        "less what is there whole"
    )
    first, its_copy = redact(items[0].file.url), bucket.url_of(items[0].path)
    out.print(f"the first: {escape(plain(first))} -> {escape(plain(its_copy))}")
    out.print(f"sample file to be written: {escape(str(listed))}")


def _list_copies(
    chosen: SampleSet,
    items: Sequence[Item],
    bucket: Bucket,
    sizes: Mapping[str, int],
    checksums: Mapping[str, str],
    listed: Path,
) -> None:
    from higgsdemo.catalog import portal

    def place(item: Item) -> InputFile:
        return dataclasses.replace(
            item.file,
            url=bucket.url_of(item.path),
            size_bytes=sizes[item.path],
            checksum=checksums.get(item.path, item.file.checksum),
            replicas=(),
        )

    portal.write_set(copied_set(chosen, items, place), listed, overwrite=True)


def _write_indexes(items: Sequence[Item], bucket: Bucket, folder: Path) -> None:
    lines: dict[str, list[str]] = {}
    for item in items:
        lines.setdefault(item.sample, []).append(bucket.index_line(item.path))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for sample, its in lines.items():
            (folder / f"{sample}_file_index.txt").write_text("\n".join(its) + "\n")
    except OSError as error:
        raise UsageError(
            "cannot write the file indexes", why=error.strerror, where=str(folder)
        ) from error


def _chosen(
    spec: str, filters: list[str] | None, limit: int | None, *, over_http: bool, server: str | None
) -> SampleSet:
    """Return the set, with what the portal knows of its records."""
    wanted = catalog.filter_set(catalog.load_set(spec), filters or [], None)
    asked = [
        sample
        for sample in wanted.samples
        if sample.record is not None
        and (over_http or not all(file.checksum for file in sample.files) or not sample.files)
    ]
    if asked:
        wanted = _with_portal(wanted, over_http=over_http, server=server)
    return catalog.filter_set(wanted, [], limit)


def _with_portal(wanted: SampleSet, *, over_http: bool, server: str | None) -> SampleSet:
    from higgsdemo.catalog import portal

    try:
        with err.status("asking the portal"):
            found = portal.fetch_set(
                wanted,
                portal=portal.Portal() if server is None else portal.Portal(server),
                protocol="http" if over_http else "root",
            )
        return found if over_http else _where_the_user_says(wanted, found)
    except HiggsdemoError as error:
        if over_http or not all(sample.files for sample in wanted.samples):
            raise
        err.print(
            f"[yellow]without the checksums of the portal[/]: {escape(error.why or error.what)}"
        )
        return wanted


def _where_the_user_says(wanted: SampleSet, found: SampleSet) -> SampleSet:
    """Return the set with the sizes and checksums that were `found`, its own files where it has.

    The portal's place of a file is a further copy.
    """
    samples = []
    for mine, its in zip(wanted.samples, found.samples, strict=True):
        if not mine.files:
            samples.append(its)
            continue
        known = {file.name: file for file in its.files}
        files = []
        for file in mine.files:
            other = known.get(file.name, file)
            copies = [*file.replicas, other.url]
            files.append(
                dataclasses.replace(
                    file,
                    size_bytes=file.size_bytes or other.size_bytes,
                    checksum=file.checksum or other.checksum,
                    replicas=tuple(dict.fromkeys(one for one in copies if one != file.url)),
                )
            )
        samples.append(dataclasses.replace(mine, files=tuple(files)))
    return dataclasses.replace(wanted, samples=tuple(samples))


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
                "failed": _failures(survey.failed),
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
    _tell_failures(survey.failed)


def _failures(failed: Sequence[tuple[Item, TaskError]]) -> list[dict[str, Any]]:
    return [
        {"path": item.path, "url": error.where, "cause": error.cause, "message": str(error)}
        for item, error in failed
    ]


def _tell_failures(failed: Sequence[tuple[Item, TaskError]]) -> None:
    for item, error in failed[:_NAMED]:
        err.print(f"[red]{escape(plain(item.path))}[/]: {escape(plain(str(error), lines=True))}")
    if len(failed) > _NAMED:
        err.print(f"and {len(failed) - _NAMED} more: all of them with --json")


def _tell(outcome: Outcome, where: str, runnable: str | None, *, as_json: bool) -> None:
    """Say what came of it, and the command that goes on; exit status 1 if it is not complete."""
    if as_json:
        print_json(
            {
                "where": where,
                "complete": outcome.complete,
                **{
                    key: getattr(outcome, key)
                    for key in ("files", "bytes", "present", "moved", "bytes_moved", "unverified")
                },
                "seconds": round(outcome.seconds, 3),
                "failed": _failures(outcome.failed),
                "next": None if runnable is None else f"higgsdemo run {runnable}",
            }
        )
    else:
        _tell_failures(outcome.failed)
        rate = size(outcome.bytes_moved / max(outcome.seconds, 1e-3))
        out.print(
            f"{escape(where)}: {number(outcome.moved)} files copied, "
            f"{size(outcome.bytes_moved)} in {duration(outcome.seconds)} ({rate}/s); "
            f"{number(outcome.present)} were there"
        )
        if outcome.unverified:
            out.print(
                f"[yellow]of {number(outcome.unverified)} files nobody knows a checksum[/]: "
                "their sizes are right"
            )
        if runnable is not None:
            out.print(f"what comes next: higgsdemo run {escape(runnable)}")
    if not outcome.complete:
        if not as_json:
            err.print(
                f"[bold red]{number(len(outcome.failed))} of {number(outcome.files)} files are "
                "missing[/]: the same command tries them again"
            )
        raise typer.Exit(1)
