"""`plot` and `yields`: what a run has given so far, normalised."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from higgsdemo.cli.parts.console import err, out, print_json, print_table
from higgsdemo.cli.parts.options import RUNS, AsJson, RunName, RunsFolder
from higgsdemo.display.tables import cutflow_tables, sections_lines
from higgsdemo.ledger import Merger, RunDirectory, left_out, open_run
from higgsdemo.model import CHANNELS, Totals

if TYPE_CHECKING:
    from higgsdemo.catalog.recorded import Recorded

FORMATS = ("png", "pdf", "svg")


def totals_of(made: RunDirectory) -> Totals:
    """Merge what the ledger of a run holds now."""
    manifest = made.manifest()
    merger = Merger(manifest)
    with made.look() as ledger:
        merger.update(ledger)
        return merger.totals(left_out(manifest, ledger))


LuminosityFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--luminosity",
        metavar="FILE",
        help="Recorded luminosity by section (CSV of brilcalc, lumiCalc2, CERN Open Data) or by "
        "file (JSON): scale to that of exactly what is in. May be repeated.",
    ),
]


def recorded_totals_of(
    made: RunDirectory, tables: list[str] | None
) -> tuple[Totals, tuple[Recorded, ...]]:
    """Merge what the ledger of a run holds now, and take its luminosity from `tables`, if any."""
    totals = totals_of(made)
    if not tables:
        return totals, ()
    from higgsdemo.catalog import recorded

    read = recorded.read_tables(tables)
    by_file: dict[str, float] = {}
    if read.by_file:
        with made.look() as ledger:
            done = {task_id for task_id, _ in ledger.digests()}
        by_file = recorded.luminosity_by_file(read.by_file, made.manifest().tasks, done)
    return recorded.with_luminosity(totals, read, by_file)


def plot(
    name: RunName,
    variable: Annotated[
        str | None,
        typer.Option(
            help="What is drawn, e.g. m4l, m4l_wide, mZ1, mZ2.", show_default="m4l, or the first"
        ),
    ] = None,
    channel: Annotated[
        str | None,
        typer.Option(help="One final state: " + ", ".join(CHANNELS) + ".", show_default="all"),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="png, pdf, svg; may be repeated.", show_default="all three"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Path without ending.", show_default="the plots folder of the run"),
    ] = None,
    luminosity: LuminosityFiles = None,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Draw the stacked histogram of a run, partial or complete, as PNG, PDF and SVG.

    [bold]Example[/]:  higgsdemo plot h4l-20261123-201500 --channel 4mu --format png
    """
    made = open_run(runs, name)
    totals, _ = recorded_totals_of(made, luminosity)
    variable = variable or _main_variable(totals)
    stem = output or made.plots / "-".join(filter(None, (variable, channel)))
    paths = _draw(totals, stem, variable, channel, tuple(formats or FORMATS))
    if as_json:
        print_json({"run": made.id, "files": [str(path) for path in paths]})
    else:
        for path in paths:
            out.print(str(path))


def yields(
    name: RunName,
    cutflow: Annotated[
        bool, typer.Option("--cutflow", help="Show the events left after each step instead.")
    ] = False,
    luminosity: LuminosityFiles = None,
    runs: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> None:
    """Show expected and observed events per channel and group, with statistical errors.

    `--json` gives the contents of every bin per group, channel and year too, and the cutflow.
    """
    made = open_run(runs, name)
    totals, recorded = recorded_totals_of(made, luminosity)
    if as_json:
        told = {"recorded_luminosity": [one.to_json() for one in recorded]} if recorded else {}
        print_json({**_report(made, totals), **told})
    elif cutflow:
        for table in cutflow_tables(totals):
            print_table(table)
    else:
        _print_yields(totals)
    if not as_json:
        for one in recorded:
            first, *more = one.lines()
            out.print("\n  ".join([escape(first), *map(escape, more)]))


def finish(made: RunDirectory, totals: Totals, *, no_plot: bool, as_json: bool) -> None:
    """End a run: plot and summary."""
    variable = _main_variable(totals)
    paths = [] if no_plot else _draw(totals, made.plots / variable, variable, None, FORMATS)
    if as_json:
        print_json({**_report(made, totals), "plots": [str(path) for path in paths]})
        return
    _print_yields(totals)
    if totals.skipped:
        out.print(f"[yellow]left out: {len(totals.skipped)} files[/]: {', '.join(totals.skipped)}")
    out.print(f"run [bold]{made.id}[/] is in {made.path}")
    if paths:
        out.print(
            f"plot: [bold]{paths[0]}[/] (also {', '.join(path.suffix for path in paths[1:])})"
        )


def _main_variable(totals: Totals) -> str:
    return next(iter(totals.variables), "m4l")


def _draw(
    totals: Totals, stem: Path, variable: str, channel: str | None, formats: tuple[str, ...]
) -> list[Path]:
    from higgsdemo.display.plot import plot as draw

    with err.status("drawing"):
        return draw(totals, stem, variable=variable, channel=channel, formats=formats)


def _print_yields(totals: Totals) -> None:
    from higgsdemo import inference
    from higgsdemo.display.captions import fit_text
    from higgsdemo.display.yields import yields_table

    normalised = inference.normalise(totals, _main_variable(totals))
    print_table(yields_table(inference.yields(normalised)))
    for line in fit_text(inference.fit(normalised)):
        out.print(line)
    for line in sections_lines(totals):
        out.print(line)


def _report(made: RunDirectory, totals: Totals) -> dict[str, Any]:
    from higgsdemo import inference

    normalised = inference.normalise(totals, _main_variable(totals))
    return {
        "run": made.id,
        "complete": totals.complete,
        "skipped": list(totals.skipped),
        "simulated_demo_data": totals.demo,
        **inference.yields(normalised).to_json(),
        "fit": inference.fit(normalised).to_json(),
        "cutflow": {
            name: {channel: list(steps) for channel, steps in one.cutflow.items()}
            for name, one in totals.samples.items()
        },
    }
