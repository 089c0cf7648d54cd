"""Which run is meant: one that is here, or one whose plan is in the sink of its results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from higgsdemo import ledger
from higgsdemo.cli.parts.console import err
from higgsdemo.cli.parts.options import complete_run
from higgsdemo.errors import HiggsdemoError, UsageError
from higgsdemo.ledger import Manifest, NameTakenError, RunDirectory, open_run, run_names
from higgsdemo.sinks import Patience, Sink, open_sink
from higgsdemo.storage import Access

_PATIENCE = Patience(total_s=5.0, longest_s=1.0)  # somebody waits for the answer

AnyRun = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="Name of the run, or the path of its folder.",
        show_default="the newest",
        autocompletion=complete_run,
    ),
]


def find_run(
    runs: Path, name: str | None, urls: Sequence[str] = (), access: Access | None = None
) -> RunDirectory:
    """Return the run of this name, or the newest; of sinks, see `ledger.find_run`.

    Raises UsageError, with the nearest names, if there is none.
    """
    if not urls:
        if name is not None:
            return open_run(runs, name)
        known = run_names(runs)
        if not known:
            raise UsageError(
                "there is no run yet", where=str(runs), hint="start one: higgsdemo run FOLDER"
            )
        return open_run(runs, known[-1])
    with _opened(urls, access) as sinks:
        known = run_names(runs)
        found = ledger.find_run(runs, name, sinks)
    origin = found.record.get(ledger.COPY)
    if origin and found.id not in known:
        err.print(f"run [bold]{escape(found.id)}[/]: its plan is from {escape(origin)}")
        err.print(f"  what is collected here is kept in {escape(str(found.path))}")
    return found


def check_name(manifest: Manifest, urls: Sequence[str], access: Access) -> list[str]:
    """Return the sinks that we reach; NameTakenError if one has another run of the name."""
    reached = []
    for url in urls:
        try:
            with _opened([url], access) as sinks:
                ledger.refuse_taken(manifest, sinks)
        except NameTakenError:
            raise
        except HiggsdemoError as error:  # pods may see what we do not
            _not_there(url, error)
        else:
            reached.append(url)
    return reached


def publish(run: RunDirectory, urls: Sequence[str], access: Access) -> None:
    """Put the plan of a run into sinks, so that it can be followed from elsewhere."""
    for url in urls:
        try:
            with _opened([url], access) as sinks:
                ledger.publish(run, sinks)
        except HiggsdemoError as error:  # the run goes on all the same
            _not_there(url, error)


def _not_there(url: str, error: HiggsdemoError) -> None:
    err.print(
        f"[yellow]note:[/] the plan is not in {escape(url)}: {escape(error.why or error.what)}\n"
        "  the run goes on; who follows it from another machine needs its folder"
    )


@contextmanager
def _opened(urls: Sequence[str], access: Access | None) -> Iterator[list[Sink]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(open_sink(url, access=access, patience=_PATIENCE)) for url in urls
        ]
