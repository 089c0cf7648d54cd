"""The program `higgsdemo`: all commands, and what an error looks like."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Annotated

import typer

import higgsdemo
from higgsdemo.cli import (
    cleanup,
    clusters,
    collect,
    dashboard,
    download,
    generate,
    notebook,
    plan,
    prepare,
    replay,
    run,
    samples,
    show,
    status,
    submit,
    upload,
    watch,
    worker,
)
from higgsdemo.cli.parts.console import say_error
from higgsdemo.errors import HiggsdemoError

app = typer.Typer(
    name="higgsdemo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a bug shows the plain traceback, whole
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
    epilog="First steps:  higgsdemo generate --output demo-data  &&  higgsdemo run demo-data",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"higgsdemo {higgsdemo.__version__}")
        raise typer.Exit


@app.callback()
def higgsdemo_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Discover the Higgs boson (H -> ZZ -> 4 leptons) in CMS Open Data, or run your own analysis.

    Exit status: 0 done and complete, 1 failed or incomplete, 2 wrong usage, 130 interrupted
    (what was done is kept).
    """


_RUN = "Run an analysis"
_CLUSTERS = "Kubernetes clusters"
_SEE = "See what came of it"
_DATA = "Samples"

app.command("run", rich_help_panel=_RUN)(run.run)
app.command("plan", rich_help_panel=_RUN)(plan.plan)
app.command("resume", rich_help_panel=_RUN)(run.resume)
app.command("collect", rich_help_panel=_RUN)(collect.collect)
app.command("clusters-create", rich_help_panel=_CLUSTERS)(clusters.clusters_create)
app.command("clusters-delete", rich_help_panel=_CLUSTERS)(clusters.clusters_delete)
app.command("prepare", rich_help_panel=_CLUSTERS)(prepare.prepare)
app.command("submit", rich_help_panel=_CLUSTERS)(submit.submit)
app.command("cleanup", rich_help_panel=_CLUSTERS)(cleanup.cleanup)
app.command(
    "worker",
    rich_help_panel=_RUN,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)(worker.worker)
app.command("status", rich_help_panel=_SEE)(status.status)
app.command("watch", rich_help_panel=_SEE)(watch.watch)
app.command("replay", rich_help_panel=_SEE)(replay.replay)
app.command("notebook", rich_help_panel=_SEE)(notebook.notebook)
app.command("plot", rich_help_panel=_SEE)(show.plot)
app.command("dashboard", rich_help_panel=_SEE)(dashboard.dashboard)
app.command("yields", rich_help_panel=_SEE)(show.yields)
samples.app.command("download")(download.download)
samples.app.command("upload")(upload.upload)
app.add_typer(samples.app, name="samples", rich_help_panel=_DATA)
app.command("generate", rich_help_panel=_DATA)(generate.generate)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line; errors a user can act on are told in a few lines."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except HiggsdemoError as error:
        say_error(error)
        sys.exit(error.exit_code)
