"""Copying sample sets: which files, and what came of it; see `download`, `upload`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.markup import escape

from higgsdemo import catalog
from higgsdemo.cli.parts.console import err, out, print_json
from higgsdemo.display.progress import duration
from higgsdemo.display.tables import number, size
from higgsdemo.display.words import plain
from higgsdemo.errors import HiggsdemoError, TaskError
from higgsdemo.model import SampleSet
from higgsdemo.transfer import Item, Outcome

_NAMED = 10  # failed files named; all of them with --json

Filters = Annotated[
    list[str] | None,
    typer.Option("--filter", "-f", metavar="KEY=GLOB", help="Only samples that match."),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first N files of each sample.")]
Streams = Annotated[int, typer.Option(min=1, max=64, help="Transfers at once.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and end.")]
OverHttp = Annotated[
    bool, typer.Option("--http", help="From the portal by http, not by root (XRootD).")
]
Server = Annotated[str | None, typer.Option(help="The portal.", show_default="CERN Open Data")]


def chosen_set(
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


def failures(failed: Sequence[tuple[Item, TaskError]]) -> list[dict[str, Any]]:
    """Return files that failed, ready for JSON."""
    return [
        {"path": item.path, "url": error.where, "cause": error.cause, "message": str(error)}
        for item, error in failed
    ]


def tell_failures(failed: Sequence[tuple[Item, TaskError]]) -> None:
    """Say which files failed, and why; not more than a screen of them."""
    for item, error in failed[:_NAMED]:
        err.print(f"[red]{escape(plain(item.path))}[/]: {escape(plain(str(error), lines=True))}")
    if len(failed) > _NAMED:
        err.print(f"and {len(failed) - _NAMED} more: all of them with --json")


def tell_outcome(outcome: Outcome, where: str, runnable: str | None, *, as_json: bool) -> None:
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
                "failed": failures(outcome.failed),
                "next": None if runnable is None else f"higgsdemo run {runnable}",
            }
        )
    else:
        tell_failures(outcome.failed)
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
