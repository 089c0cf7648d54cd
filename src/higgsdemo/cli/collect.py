"""`collect`: results that travelled over a sink, into the ledger of their run."""

from __future__ import annotations

import contextlib
import time
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.markup import escape

from higgsdemo.cli.parts.console import err, out, print_json
from higgsdemo.cli.parts.options import RUNS, AsJson, RunName, RunsFolder
from higgsdemo.cli.parts.storing import Storing, storage_options
from higgsdemo.display.tables import counts_line
from higgsdemo.display.words import plain
from higgsdemo.errors import RunError, TransientError
from higgsdemo.ledger import (
    Collector,
    Ledger,
    Manifest,
    RunDirectory,
    closing_check,
    open_run,
)
from higgsdemo.monitor import record_performance
from higgsdemo.monitor.gathering import known_versions
from higgsdemo.sinks import open_sinks

_NAMED = 10  # refused documents named; all of them with --json


@storage_options
def collect(
    name: RunName,
    sources: Annotated[
        list[str],
        typer.Option(
            "--from",
            metavar="URL",
            help="The sink: file://FOLDER, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, "
            "redis://HOST:PORT/DB, rediss://HOST:PORT/DB. Repeat it where workers deliver to "
            "several.",
        ),
    ],
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on until every task of the run has ended.")
    ] = False,
    final: Annotated[
        bool,
        typer.Option(
            "--final", help="No worker is left: tasks without a result are counted as lost."
        ),
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="Read from the beginning, and look again at what was refused."
        ),
    ] = False,
    trim: Annotated[
        bool,
        typer.Option(
            "--trim", help="Redis: let go of results once the ledger has them, to bound its memory."
        ),
    ] = False,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
    *,
    storage: Storing,
) -> None:
    """Fill the ledger of a run from the sink its workers deliver to.

    Each result is taken once, in any order; killed at any moment, it goes on where it was.
    What is of another run, schema or workflow version, or damaged, is refused, named and left
    in the sink. Exit status 0 if the run is complete, 1 if tasks are missing.

    [bold]Examples[/]

      higgsdemo collect h4l-20261123-201500 --from redis://bus:6379 --follow
      higgsdemo collect h4l-20261123-201500 --from s3://my-bucket/runs --from redis://bus:6379
    """
    made = open_run(runs, name)
    manifest = made.manifest()
    if any(urlsplit(source).password for source in sources):
        err.print(
            "[yellow]a password in a command line is seen by all users of this machine[/]: "
            "give it as REDIS_PASSWORD in the environment"
        )
    access = storage.over(made.record.get("storage", {})).access()
    with contextlib.ExitStack() as stack:
        sinks = [stack.enter_context(sink) for sink in open_sinks(sources, access=access)]
        stack.enter_context(made.driving())
        ledger = stack.enter_context(made.ledger())
        collector = Collector(
            ledger, manifest, *sinks, versions=known_versions(manifest), trim=trim, start_over=again
        )
        try:
            _look(collector, ledger, follow=follow, quiet=as_json)
        except KeyboardInterrupt:
            err.print(f"interrupted: {counts_line(ledger.counts())}; what was collected is kept")
            raise
        lost = collector.lose() if final else 0
        _report(made, manifest, ledger, collector, lost, as_json=as_json)


def _look(collector: Collector, ledger: Ledger, *, follow: bool, quiet: bool) -> None:
    said: set[str] = set()
    while True:
        try:
            new = collector.look(everywhere=not follow)
        except TransientError as error:
            if not follow:
                raise
            err.print(f"[yellow]waiting for the sink[/]: {escape(error.why or error.what)}")
            continue  # `look` itself waited, with pauses that grow
        for url in collector.silent.keys() - said:
            why = collector.silent[url].why
            err.print(f"[yellow]going on without {escape(url)}[/]: {escape(why or '')}")
        said = set(collector.silent)
        counts = ledger.counts()
        if new.anything and follow and not quiet:
            out.print(counts_line(counts))
        if not follow or counts.ended:
            return
        time.sleep(collector.poll_s)


def _report(
    made: RunDirectory,
    manifest: Manifest,
    ledger: Ledger,
    collector: Collector,
    lost: int,
    *,
    as_json: bool,
) -> None:
    counts = ledger.counts()
    complete = counts.done == counts.planned
    wrong = closing_check(ledger, manifest) if counts.ended else []
    if counts.ended:
        record_performance(made)
    if as_json:
        print_json(_document(made, collector, lost, complete=complete, wrong=wrong))
    else:
        _tell(made, collector, lost)
        out.print(f"run [bold]{made.id}[/]: {counts_line(counts)}")
    if wrong:
        raise RunError(
            f"run {made.id} does not add up",
            where=str(made.path),
            why="; ".join(wrong),
            hint=f"see the alarms: higgsdemo status {made.id}",
        )
    if not complete:
        raise typer.Exit(1)


def _document(
    made: RunDirectory,
    collector: Collector,
    lost: int,
    *,
    complete: bool,
    wrong: list[str],
) -> dict[str, Any]:
    return {
        "run": made.id,
        "from": list(collector.urls),
        "silent": sorted(collector.silent),
        **vars(collector.total),
        "lost": lost,
        "complete": complete,
        "problems": wrong,
    }


def _tell(made: RunDirectory, collector: Collector, lost: int) -> None:
    total = collector.total
    said = [f"{total.results} results"]
    said += [f"{total.duplicates} duplicates"] if total.duplicates else []
    said += [f"{count} failed: {cause}" for cause, count in sorted(total.failures.items())]
    out.print(f"collected from {escape(', '.join(collector.urls))}: {', '.join(said)}")
    if total.alarms:
        out.print(f"[bold red]alarm:[/] {total.alarms} tasks gave another result than before")
    if total.emptied:
        out.print(
            f"[yellow]a sink came back without what it held[/] ({total.emptied} times): "
            + (
                "the record beside it has what nobody had collected"
                if collector.has_record
                else "results that nobody had collected are gone; "
                "they show as tasks without a result"
            )
        )
    if total.refused:
        out.print(f"[yellow]refused:[/] {len(total.refused)} documents, left in the sink")
        for document, why in list(total.refused.items())[:_NAMED]:
            out.print(f"  {escape(plain(document))}: {escape(plain(why))}")
        if len(total.refused) > _NAMED:
            out.print(f"  and {len(total.refused) - _NAMED} more: all of them with --json --again")
    if lost:
        out.print(
            f"[yellow]lost:[/] {lost} tasks ended without a result; "
            f"do them again: higgsdemo resume {made.id}"
        )
