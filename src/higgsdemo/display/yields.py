"""The yields as a table for the terminal: groups down, channels across."""

from __future__ import annotations

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from higgsdemo.display.style import DEMO_MARK, GROUP_STYLES, STACK
from higgsdemo.inference import Yield, Yields
from higgsdemo.model import Group


class YieldsTable:
    """A rich renderable: framed and coloured in a terminal, plain columns in a pipe."""

    def __init__(self, yields: Yields) -> None:
        self._yields = yields

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give the tables, then what they lack."""
        del options  # the frame depends on where it goes, not on its width
        framed = console.is_terminal
        yields = self._yields
        unit = yields.normalised.axis.unit
        if yields.normalised.demo:
            yield Text(DEMO_MARK, style="bold red")
        lower, upper = yields.whole
        yield self._table(f"Events in {lower:g}-{upper:g} {unit}", window=False, framed=framed)
        if yields.window is not None:
            lower, upper = yields.window
            yield Text()
            yield self._table(f"Events in {lower:g}-{upper:g} {unit}", window=True, framed=framed)
        for line in self._notes():
            yield Text(line, style="yellow")

    def _table(self, title: str, *, window: bool, framed: bool) -> Table:
        yields = self._yields
        table = Table(
            title=title.rstrip(),
            title_justify="left",
            title_style="bold",
            box=box.ROUNDED if framed else None,
            pad_edge=framed,
        )
        table.add_column("", no_wrap=True)
        for channel in (*yields.channels, "all"):
            table.add_column(channel, justify="right", no_wrap=True)
        stacked = [group for group in reversed(STACK) if group in yields.groups]
        backgrounds: list[Group] = [group for group in stacked if group != "higgs"]
        for group in backgrounds:
            self._row(table, GROUP_STYLES[group].plain, [group], window=window)
        if len(backgrounds) > 1:
            table.add_section()
            self._row(table, "background", backgrounds, window=window)
        if "higgs" in stacked:
            self._row(table, GROUP_STYLES["higgs"].plain, ["higgs"], window=window)
        if len(stacked) > 1:
            self._row(table, "expected", stacked, window=window, style="bold")
        if "data" in yields.groups:
            table.add_section()
            name = "pseudo-data" if yields.normalised.demo else "data"
            self._row(table, name, ["data"], window=window, style="bold")
        return table

    def _row(
        self, table: Table, name: str, groups: list[Group], *, window: bool, style: str = ""
    ) -> None:
        wheres: list[list[str] | None] = [*([one] for one in self._yields.channels), None]
        cells = [self._yields.count(groups, where, window=window) for where in wheres]
        show = _counted if groups == ["data"] else _estimated
        known = [self._known(groups, where) for where in wheres]
        table.add_row(
            name,
            *(show(cell) if there else "-" for cell, there in zip(cells, known, strict=True)),
            style=style,
        )

    def _known(self, groups: list[Group], where: list[str] | None) -> bool:
        """Whether anything of these groups is normalised there: else 0 would be a guess."""
        normalised = self._yields.normalised
        return any(
            bool(one.contents.any())
            or not any(
                (left_out.group, left_out.year) == (one.group, one.year)
                and one.channel in left_out.channels
                for left_out in normalised.excluded
            )
            for one in normalised.templates
            if one.group in groups and (where is None or one.channel in where)
        )

    def _notes(self) -> list[str]:
        return [
            *(f"not in the simulation: {one}" for one in self._yields.normalised.excluded),
            *(
                f"simulation not scaled to the data of {one}"
                for one in self._yields.normalised.without_luminosity
            ),
        ]


def yields_table(yields: Yields) -> YieldsTable:
    """Return the yields, with statistical errors, as something `rich` prints.

    Simulated numbers have the error of the simulation; data are counts.
    """
    return YieldsTable(yields)


def _counted(cell: Yield) -> str:
    return str(cell.counts)


def _estimated(cell: Yield) -> str:
    """Write the error with two digits at least, the number with as many decimals."""
    decimals = 2 if cell.error >= 0.1 or cell.error == 0 else 3
    return f"{cell.events:.{decimals}f} ± {cell.error:.{decimals}f}"
