"""What a plan would take on clusters, those that are there and those that a mapping describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from higgsdemo.cli.parts.console import print_json, print_table
from higgsdemo.display.forecast import forecast_table
from higgsdemo.errors import UsageError, nearest
from higgsdemo.plan import ClusterShape, Forecast, Plan, make_forecast, read_prices, shape_of_flavor

if TYPE_CHECKING:
    from higgsdemo.clusters import ClusterEntry
    from higgsdemo.executors.kubernetes.settings import PodSettings
    from higgsdemo.executors.kubernetes.submit import Room


@dataclass(frozen=True)
class Wanted:
    """What is to be submitted: a plan, and where; `owners` has the cluster of each file."""

    planned: Plan
    clusters: tuple[str, ...]
    owners: Mapping[str, str] | None = None
    entries: Sequence[ClusterEntry] = ()
    notes: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)


def share(
    wanted: Wanted, settings: PodSettings, rooms: Mapping[str, Room]
) -> tuple[dict[str, list[Any]], list[Any]]:
    """Share the tasks out among clusters; return them by cluster, and the jobs they make."""
    from higgsdemo.executors.kubernetes.shares import Target, as_mapped, balance, make_jobs

    if wanted.owners is None:
        targets = [Target(name, rooms[name].slots) for name in wanted.clusters]
        shares = balance(wanted.planned.tasks, targets)
    else:
        shares = as_mapped(wanted.planned.tasks, wanted.owners)
    jobs = [
        job
        for cluster, mine in shares.items()
        for job in make_jobs(
            cluster,
            mine,
            memory_bytes=settings.memory_bytes,
            slots=rooms[cluster].slots,
            per_pod=settings.tasks_per_pod,
            parallelism=settings.parallelism,
        )
    ]
    return shares, jobs


def rooms_of(entries: Sequence[ClusterEntry], settings: PodSettings) -> dict[str, Room]:
    """Return the room of clusters that are not there yet, by the machines that a mapping names.

    Raises UsageError for a flavor that the price table does not have.
    """
    from higgsdemo.clusters.capacity import quantity
    from higgsdemo.executors.kubernetes.submit import Room

    rooms = {}
    prices = read_prices()
    for entry in entries:
        shape = shape_of_flavor(
            entry.name,
            entry.flavor,
            entry.nodes,
            prices,
            task_cores=quantity(settings.cpu),
            task_memory_bytes=settings.memory_bytes + settings.stage_bytes,
        )
        if shape is None:
            raise UsageError(
                f"what machines of type {entry.flavor!r} are like is not known"
                if entry.flavor
                else "the mapping does not say of which machines the cluster is",
                where=f"cluster {entry.name!r} of the mapping",
                nearest=nearest(entry.flavor, prices.machines),
                hint="name a flavor of the price table, or put it into a table of your own "
                "(HIGGSDEMO_PRICES); of clusters that are there: higgsdemo submit --dry-run",
            )
        rooms[entry.name] = Room("", shape.nodes, shape.slots)
    return rooms


def forecast_of(
    wanted: Wanted,
    settings: PodSettings,
    rooms: Mapping[str, Room],
    shares: Mapping[str, Sequence[Any]],
) -> Forecast:
    """Forecast what is wanted, shared out like this."""
    from higgsdemo.executors.kubernetes.shares import tasks_per_pod

    flavors = {entry.name: entry.flavor for entry in wanted.entries}
    shapes = [
        (ClusterShape(name, room.slots, max(1, room.nodes), flavors.get(name, "")), mine)
        for name, room in rooms.items()
        for mine in [shares.get(name, ())]
    ]
    per_pod = [
        tasks_per_pod(mine, rooms[name].slots, settings.tasks_per_pod)
        for name, mine in shares.items()
    ]
    prices = read_prices() if any(flavors.values()) else None
    return make_forecast(shapes, prices=prices, tasks_per_pod=min(per_pod, default=1))


def show_forecast(forecast: Forecast, as_json: bool) -> None:
    """Print a forecast."""
    if as_json:
        print_json(forecast.to_json())
    else:
        print_table(forecast_table(forecast))
