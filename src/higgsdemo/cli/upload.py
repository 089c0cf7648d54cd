"""`samples upload`: a whole sample set into a bucket."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from higgsdemo.cli.parts.console import err, out, print_json
from higgsdemo.cli.parts.copying import (
    DryRun,
    Filters,
    Limit,
    OverHttp,
    Server,
    chosen_set,
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
from higgsdemo.transfer import Bucket, Item, Upload, copied_set, items_of


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
    over_http: OverHttp = False,
    server: Server = None,
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
    chosen = chosen_set(samples, filters, limit, over_http=over_http, server=server)
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
    tell_outcome(outcome, bucket.url, str(listed) if outcome.complete else None, as_json=as_json)


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
