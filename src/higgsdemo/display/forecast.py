"""The forecast as a table: per cluster tasks, waves, time and price; and the fact beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape

from higgsdemo.display.progress import duration
from higgsdemo.display.tables import new_table, number, size
from higgsdemo.plan import Forecast


def forecast_table(forecast: Forecast) -> RenderableType:
    """Return the forecast: a row a cluster, then the sums and what was assumed."""
    right = ("nodes", "slots", "tasks", "pods", "bytes", "waves", "at least")
    table = new_table(
        "cluster", "flavor", "nodes", "slots", "tasks", "pods", "bytes", "waves", "at least",
        "bound by", right=right,
    )  # fmt: skip
    for one in forecast.clusters:
        table.add_row(
            escape(one.cluster.name), escape(one.cluster.flavor or "-"), number(one.cluster.nodes),
            number(one.cluster.slots), number(one.tasks), number(one.pods), size(one.size_bytes),
            number(one.waves), time(one.seconds), one.bound or "-",
        )  # fmt: skip
    return Group(table, *forecast_lines(forecast))


def forecast_lines(forecast: Forecast) -> list[str]:
    """Say the sums, the price with its doubts, and what was assumed."""
    pace = forecast.pace
    said = (
        f"{number(forecast.tasks)} tasks, {size(forecast.size_bytes)}, on"
        f" {number(forecast.slots)} slots of {len(forecast.clusters)} clusters:"
        f" at least {time(forecast.seconds)}"
    )
    lines = [said]
    if forecast.usd is not None:
        spot = (
            f", about {amount(forecast.usd_spot)} on spot machines"
            if forecast.usd_spot is not None
            else ""
        )
        lines.append(
            f"price: about {amount(forecast.usd)} {escape(forecast.currency)} on demand{spot}; with"
            f" {duration(forecast.setup_s)} to make, prepare and delete the clusters"
        )
    lines.append(
        f"assumed: {pace.bytes_per_core_s / 1e6:.0f} MB/s a core, {pace.start_s:.1f} s for a pod to"
        f" start, {pace.pods_per_s:.0f} pods/s a Job controller,"
        f" {8 * pace.node_bytes_per_s / 1e9:.0f} Gbit/s a node"
        + (
            f", {8 * pace.store_bytes_per_s / 1e9:.0f} Gbit/s from the store"
            if pace.store_bytes_per_s
            else ""
        )
    )
    return lines


def fact_line(document: Mapping[str, Any]) -> str | None:
    """Say in one line what was forecast and what it took; None where there is no forecast."""
    ratio = document.get("fact_over_forecast")
    if ratio is None:
        return None
    return (
        f"forecast: at least {time(document['forecast']['seconds'])};"
        f" took {time(document['fact']['seconds'])}, {ratio:.1f}x"
    )


def amount(money: float) -> str:
    """Format a price: a small one to the hundredth."""
    return f"{money:,.0f}" if money >= 10 else f"{money:.2f}"


def time(seconds: float | None) -> str:
    """Format a time that may be unknown."""
    return "unknown" if seconds is None else duration(seconds)
