"""`watch`: a run as it goes, in a terminal or a pipe."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from higgsdemo.cli.parts.console import out
from higgsdemo.cli.parts.finding import AnyRun, find_run
from higgsdemo.cli.parts.following import follow
from higgsdemo.cli.parts.in_clusters import (
    Following,
    Reconciling,
    check_cluster,
    follow_clusters,
    is_in_clusters,
)
from higgsdemo.cli.parts.metering import MetricsPort, metered, metered_run
from higgsdemo.cli.parts.options import RUNS, AsJson, RunsFolder
from higgsdemo.errors import UsageError
from higgsdemo.ledger import COPY, RunDirectory
from higgsdemo.monitor import Monitor, View, record_performance
from higgsdemo.monitor.gathering import Gathering
from higgsdemo.sinks import open_sinks

_CLUSTERS = "Kubernetes"

Sinks = Annotated[
    list[str] | None,
    typer.Option(
        "--sink",
        metavar="URL",
        help="Collect from here meanwhile: redis://HOST:PORT/DB, s3://BUCKET/PREFIX, ... "
        "(see: higgsdemo collect). Repeat it where workers deliver to several.",
    ),
]
Every = Annotated[
    float | None,
    typer.Option(
        min=0.05,
        metavar="SECONDS",
        help="How often it shows news.",
        show_default="0.25 in a terminal, else 5; 2 in clusters",
    ),
]
Once = Annotated[bool, typer.Option("--once", help="Show how it is now, and end.")]


def watch(
    name: AnyRun = None,
    sinks: Sinks = None,
    every: Every = None,
    once: Once = False,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster", metavar="C", help="Show this cluster only.", rich_help_panel=_CLUSTERS
        ),
    ] = None,
    cluster_patience: Annotated[
        float,
        typer.Option(
            min=1,
            metavar="SECONDS",
            help="A cluster silent for longer is given up: its tasks go to others.",
            rich_help_panel=_CLUSTERS,
        ),
    ] = 300,
    give_up: Annotated[
        list[str] | None,
        typer.Option(
            metavar="C",
            help="Give this cluster up now; may be repeated.",
            rich_help_panel=_CLUSTERS,
        ),
    ] = None,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Kubeconfig.",
            show_default="KUBECONFIG or ~/.kube/config",
            rich_help_panel=_CLUSTERS,
        ),
    ] = None,
    metrics_port: MetricsPort = None,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Watch a run until every task has ended: tasks, rates, failures, the spectrum as it grows.

    One screen in a terminal, a line at a time in a pipe, JSON lines with --json. Ctrl-C ends the
    watching, not the run. Exit status 0 if the run is complete, 1 if tasks are missing.

    A run in clusters is followed there too: its results are collected, what is lost is placed
    anew. A line in a pipe is then that of the 2019 demo, with pods and jobs; --json says what it
    says of any run, with `clusters` besides. While another process follows the run, this one looks
    on: it knows no pods, and its lines are those of any run.

    [bold]Examples[/]

      higgsdemo watch
      higgsdemo watch h4l-20261123-201500 --sink redis://bus:6379
      higgsdemo watch --json | jq .rates.events_per_s
    """
    made = find_run(runs, name, sinks or ())
    if cluster is not None:
        check_cluster(made, cluster)
        if once:
            raise UsageError(
                "--once asks no cluster, so there is nothing of one to show",
                hint="leave out --once, or --cluster",
            )
        if cluster in (give_up or ()):
            raise UsageError(f"cluster {cluster} is to be given up, and to be shown")
    if is_in_clusters(made) and not once:
        following = Following(kubeconfig, sinks or (), cluster_patience, give_up or ())
        with metered_run(made, metrics_port):
            _watch_clusters(made, following, cluster, every, as_json=as_json)
        return
    with contextlib.ExitStack() as stack:
        gathering = Gathering(made, lambda: open_sinks(sinks)) if sinks else None
        if gathering is not None:
            stack.enter_context(gathering)
        monitor = stack.enter_context(Monitor(made))
        stack.enter_context(metered(monitor.latest, metrics_port))

        def notes(view: View) -> list[str]:
            if gathering is not None:
                gathering.check()
                return gathering.standing.notes
            return _idle(made, view)

        view = follow(monitor, as_json=as_json, every_s=every, once=once, notes=notes)
        if gathering is not None:
            gathering.check()
            if view.ended:
                record_performance(made)
    if not view.complete:
        raise typer.Exit(1)


def _watch_clusters(
    made: RunDirectory,
    following: Following,
    only: str | None,
    every: float | None,
    *,
    as_json: bool,
) -> None:
    """Follow a run in clusters, or look on while another process does."""
    if made.driven is not True and (as_json or not out.is_terminal):
        follow_clusters(
            made, following, only=only, every_s=every, as_json=as_json, report=not as_json
        )
        return
    with Reconciling(made, following, only) as driving, Monitor(made) as monitor:
        view = follow(
            monitor,
            as_json=as_json,
            every_s=every,
            notes=lambda _: driving.notes,
            ended=lambda view: view.ended if driving.looks_on else driving.ended,
        )
    driving.close()
    if not view.complete:
        raise typer.Exit(1)


def _idle(made: RunDirectory, view: View) -> list[str]:
    """Say that nobody works on a run which has not ended."""
    if view.ended or made.driven is not False or COPY in made.record:
        return []
    return [f"nobody works on this run now; go on with it: higgsdemo resume {made.id}"]
