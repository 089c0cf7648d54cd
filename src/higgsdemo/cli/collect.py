"""`collect`: results that travelled over a sink, into the ledger of their run."""

from __future__ import annotations

import time
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.markup import escape

from higgsdemo import workflows
from higgsdemo.cli.console import err, out, print_json
from higgsdemo.cli.options import RUNS, AsJson, RunName, RunsFolder
from higgsdemo.display.tables import counts_line
from higgsdemo.errors import HiggsdemoError, RunError, TransientError
from higgsdemo.ledger import (
    Collected,
    Collector,
    Ledger,
    Manifest,
    RunDirectory,
    closing_check,
    open_run,
)
from higgsdemo.sinks import Sink, open_sink

_NAMED = 10  # refused documents named; all of them with --json


def collect(
    name: RunName,
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="URL",
            help="The sink: file://FOLDER, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, "
            "redis://HOST:PORT/DB, rediss://HOST:PORT/DB.",
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
) -> None:
    """Fill the ledger of a run from the sink its workers deliver to.

    Each result is taken once, in any order; killed at any moment, it goes on where it was.
    What is of another run, schema or workflow version, or damaged, is refused, named and left
    in the sink. Exit status 0 if the run is complete, 1 if tasks are missing.

    [bold]Example[/]:  higgsdemo collect h4l-20261123-201500 --from redis://bus:6379 --follow
    """
    made = open_run(runs, name)
    manifest = made.manifest()
    if urlsplit(source).password:
        err.print(
            "[yellow]a password in a command line is seen by all users of this machine[/]: "
            "give it as REDIS_PASSWORD in the environment"
        )
    with open_sink(source) as sink, made.driving(), made.ledger() as ledger:
        collector = Collector(
            ledger, manifest, sink, versions=_versions(manifest), trim=trim, start_over=again
        )
        try:
            _look(collector, sink, ledger, follow=follow, quiet=as_json)
        except KeyboardInterrupt:
            err.print(f"interrupted: {counts_line(ledger.counts())}; what was collected is kept")
            raise
        lost = collector.lose() if final else 0
        _report(made, manifest, ledger, collector.total, lost, sink, as_json=as_json)


def _versions(manifest: Manifest) -> dict[str, str]:
    """Return the versions of the run's workflows as installed here, where they are."""
    versions = {}
    for name in {task.workflow for task in manifest.tasks}:
        try:
            versions[name] = workflows.load(name).version
        except HiggsdemoError:  # run by workers that have it; then the first result decides
            continue
    return versions


def _look(collector: Collector, sink: Sink, ledger: Ledger, *, follow: bool, quiet: bool) -> None:
    while True:
        try:
            new = collector.look()
        except TransientError as error:
            if not follow:
                raise
            err.print(f"[yellow]waiting for the sink[/]: {escape(error.why or error.what)}")
            continue  # `look` itself waited, with pauses that grow
        counts = ledger.counts()
        if new.anything and follow and not quiet:
            out.print(counts_line(counts))
        if not follow or counts.ended:
            return
        time.sleep(sink.poll_s)


def _report(
    made: RunDirectory,
    manifest: Manifest,
    ledger: Ledger,
    total: Collected,
    lost: int,
    sink: Sink,
    *,
    as_json: bool,
) -> None:
    counts = ledger.counts()
    complete = counts.done == counts.planned
    wrong = closing_check(ledger, manifest) if counts.ended else []
    if as_json:
        print_json(_document(made, total, lost, sink, complete=complete, wrong=wrong))
    else:
        _tell(made, total, lost, sink)
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
    total: Collected,
    lost: int,
    sink: Sink,
    *,
    complete: bool,
    wrong: list[str],
) -> dict[str, Any]:
    return {
        "run": made.id,
        "from": sink.url,
        **vars(total),
        "lost": lost,
        "complete": complete,
        "problems": wrong,
    }


def _tell(made: RunDirectory, total: Collected, lost: int, sink: Sink) -> None:
    said = [f"{total.results} results"]
    said += [f"{total.duplicates} duplicates"] if total.duplicates else []
    said += [f"{count} failed: {cause}" for cause, count in sorted(total.failures.items())]
    out.print(f"collected from {escape(sink.url)}: {', '.join(said)}")
    if total.alarms:
        out.print(f"[bold red]alarm:[/] {total.alarms} tasks gave another result than before")
    if total.emptied:
        out.print(
            f"[yellow]the sink came back without what it held[/] ({total.emptied} times): "
            "results that nobody had collected are gone; they show as tasks without a result"
        )
    if total.refused:
        out.print(f"[yellow]refused:[/] {len(total.refused)} documents, left in the sink")
        for document, why in list(total.refused.items())[:_NAMED]:
            out.print(f"  {escape(_plain(document))}: {escape(_plain(why))}")
        if len(total.refused) > _NAMED:
            out.print(f"  and {len(total.refused) - _NAMED} more: all of them with --json --again")
    if lost:
        out.print(
            f"[yellow]lost:[/] {lost} tasks ended without a result; "
            f"do them again: higgsdemo resume {made.id}"
        )


def _plain(text: str) -> str:
    """Return text that others wrote, without what moves a terminal's cursor or changes colours."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
