"""`generate`: SIMULATED DEMO DATA with the shape of the 2012 reduced NanoAOD."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from higgsdemo import simulation
from higgsdemo.cli.parts.console import err, out


def generate(
    output: Annotated[Path, typer.Option("--output", help="Folder for the eight files.")],
    luminosity: Annotated[
        float,
        typer.Option("--luminosity", metavar="FB", help="Luminosity of the pseudo-data, fb^-1."),
    ] = simulation.Settings.luminosity_fb,
    events_scale: Annotated[
        float,
        typer.Option(
            help="Size of the files; 1 is simulation as large as the real one. Yields stay right."
        ),
    ] = simulation.Settings.events_scale,
    seed: Annotated[int, typer.Option(help="The same seed gives the same events.")] = (
        simulation.Settings.seed
    ),
) -> None:
    """Make the 2012 set of eight files from documented physics, without any network.

    The files have the names, tree, branches and types of the real reduced NanoAOD and are
    labelled SIMULATED DEMO DATA everywhere.

    [bold]Example[/]:  higgsdemo generate --output demo-data && higgsdemo run demo-data
    """
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=err, transient=True,
    ) as bar:  # fmt: skip
        bars = {}

        def progress(name: str, done: int, of: int) -> None:
            if name not in bars:
                bars[name] = bar.add_task(name, total=of)
            bar.update(bars[name], completed=done, total=of)

        files = simulation.generate(
            simulation.Settings(output, luminosity, events_scale, seed), progress
        )
    for path in files:
        out.print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
    out.print(f"SIMULATED DEMO DATA; analyse it: higgsdemo run {output}")
