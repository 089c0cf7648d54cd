"""`samples list | show | check | fetch`: what there is to analyse."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from higgsdemo import catalog
from higgsdemo.cli.parts.console import err, out, print_json, print_table
from higgsdemo.cli.parts.options import AsJson
from higgsdemo.display.tables import new_table, number, size
from higgsdemo.model import SampleSet

app = typer.Typer(no_args_is_help=True, help="Look at sample sets: built-in ones and your own.")

SetSpec = Annotated[
    str,
    typer.Argument(
        metavar="SAMPLES",
        help="A built-in set, a sample file (YAML, JSON), a folder, or a ROOT file.",
        autocompletion=lambda incomplete: [
            name for name in catalog.builtin_names() if name.startswith(incomplete)
        ],
    ),
]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the built-in sample sets."""
    sets = catalog.list_sets()
    if as_json:
        print_json([dataclasses.asdict(each) for each in sets])
        return
    table = new_table("set", "samples", "years", "what", right=("samples",))
    for each in sets:
        years = ", ".join(str(year) for year in each.years)
        table.add_row(each.name, number(each.samples), years, escape(each.title))
    print_table(table)
    out.print("look into one: higgsdemo samples show SET")


@app.command()
def show(
    samples: SetSpec,
    sources: Annotated[
        bool, typer.Option("--sources", help="Say where each number comes from.")
    ] = False,
    files: Annotated[bool, typer.Option("--files", help="List the files.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the samples of a set: groups, cross sections, events, luminosity, files.

    [bold]Examples[/]

      higgsdemo samples show nanoaod-2012 --sources
      higgsdemo samples show demo-data --files
    """
    loaded = catalog.load_set(samples)
    if as_json:
        print_json(catalog.to_json(loaded))
        return
    table = new_table(
        "sample", "group", "year", "channels", "files", "bytes", "sigma/pb", "generated", "lumi*pb",
        title=escape(loaded.title or loaded.name),
        right=("files", "bytes", "sigma/pb", "generated", "lumi*pb"),
    )  # fmt: skip
    for row in catalog.summarise_samples(loaded):
        section = "" if row.cross_section_pb is None else f"{row.cross_section_pb:g}"
        if row.scale_factor != 1:
            section += f" x {row.scale_factor:g}"
        table.add_row(
            escape(row.name), row.group, str(row.year or "?"), " ".join(row.channels),
            number(row.files or row.published_files), size(row.size_bytes), section,
            "" if row.generated_events is None else number(row.generated_events),
            "" if row.luminosity_pb is None else f"{row.luminosity_pb:,.2f}",
        )  # fmt: skip
    print_table(table)
    for sample in loaded.samples:
        if sources and sample.sources:
            out.print(f"[bold]{escape(sample.name)}[/]")
            for key, source in sample.sources.items():
                out.print(f"  {key}: {escape(source)}")
        if files:
            for file in sample.files:
                out.print(escape(file.url))


@app.command()
def check(samples: SetSpec, as_json: AsJson = False) -> None:
    """Check a set before it runs: missing or cut-off files, missing numbers, double counting.

    Looks at names, sizes and first bytes, not at the events. Exit status 1 if it finds an error.
    """
    loaded = catalog.load_set(samples)
    findings = catalog.check_set(loaded)
    if as_json:
        print_json([dataclasses.asdict(finding) for finding in findings])
    else:
        colours = {"error": "red", "warning": "yellow", "note": "dim"}
        for finding in findings:
            where = f" ({escape(finding.where)})" if finding.where else ""
            sample = f"{escape(finding.sample)}: " if finding.sample else ""
            colour = colours[finding.level]
            out.print(f"[{colour}]{finding.level}[/] {sample}{escape(finding.message)}{where}")
        out.print(f"{len(loaded.samples)} samples, {len(findings)} findings")
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)


@app.command()
def fetch(
    records: Annotated[
        list[str],
        typer.Argument(
            metavar="SET|RECORD",
            help="A built-in set, a sample file that names records, or record numbers.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Sample file to write.", show_default="NAME.yaml"),
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", "-f", metavar="KEY=GLOB", help="Only samples that match."),
    ] = None,
    over_http: Annotated[
        bool, typer.Option("--http", help="List http URLs instead of root ones.")
    ] = False,
    online_only: Annotated[
        bool, typer.Option("--online-only", help="Leave out files that are on tape.")
    ] = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask again, however young the cache is.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Use the cache alone.")] = False,
    server: Annotated[
        str | None, typer.Option(help="The portal.", show_default="CERN Open Data")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for an answer.")] = 30,
) -> None:
    r"""Get the file lists, sizes and checksums of CERN Open Data records into a sample file.

    What was read is cached, so it works without a network later; the sample file says how old
    it is. Needs the extra: pip install 'higgsdemo\[portal]'.

    [bold]Examples[/]

      higgsdemo samples fetch nanoaod-2012
      higgsdemo samples fetch aod-2011-2012 --filter year=2011 --http --output aod-2011.yaml
    """
    from higgsdemo.catalog import portal

    wanted: SampleSet | list[int]
    if all(record.isdigit() for record in records):
        wanted = [int(record) for record in records]
    else:
        loaded = catalog.load_set(records[0] if len(records) == 1 else records)
        wanted = catalog.filter_set(loaded, filters or [], None)
    asked = portal.Portal(timeout_s=timeout) if server is None else portal.Portal(server, timeout)
    with err.status("asking the portal"):
        found = portal.fetch_set(
            wanted,
            portal=asked,
            refresh=refresh,
            offline=offline,
            protocol="http" if over_http else "root",
            online_only=online_only,
        )
    path = portal.write_set(found, output or Path(f"{found.name}.yaml"))
    files = sum(len(sample.files) for sample in found.samples)
    total = catalog.summarise_set(found).size_bytes
    out.print(f"{path}: {len(found.samples)} samples, {number(files)} files, {size(total)}")
    out.print(f"what comes next: higgsdemo plan {path}")
