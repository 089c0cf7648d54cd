"""`--metrics-port`: the figures of a run for Prometheus, beside whatever a command does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated

import typer

from higgsdemo.cli.parts.console import err
from higgsdemo.ledger import RunDirectory
from higgsdemo.monitor import Background
from higgsdemo.monitor.metrics import Latest, check_installed, serve


def _checked(port: int | None) -> int | None:
    """Tell what is missing before anything is made."""
    if port is not None:
        check_installed()
    return port


MetricsPort = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        metavar="PORT",
        callback=_checked,
        help="Serve figures for Prometheus on this port of the loopback interface (0: any free).",
    ),
]


@contextlib.contextmanager
def metered(latest: Latest, port: int | None) -> Iterator[None]:
    """Serve the figures of the latest view while this is open, if a port is given."""
    if port is None:
        yield
        return
    with serve(latest, port) as endpoint:
        err.print(endpoint.said)
        yield


@contextlib.contextmanager
def metered_run(run: RunDirectory, port: int | None) -> Iterator[None]:
    """As `metered`, for a command that does not follow the run itself."""
    if port is None:
        yield
        return
    with Background(run) as latest, metered(latest, port):
        yield
