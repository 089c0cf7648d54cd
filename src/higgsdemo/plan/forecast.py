"""The forecast: what a run will take on its clusters, in waves, time and money, before it starts.

Nothing here is measured on the clusters of the run. The time is a floor: the largest of what the
slots, the network, the Job controller and the API server each allow at best. After the run,
`higgsdemo.plan.fact` sets what it took beside it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from higgsdemo.model import Task
from higgsdemo.plan.prices import Prices
from higgsdemo.plan.tasks import BYTES_PER_CORE_SECOND, START_S

# A node keeps a part for itself: GKE leaves 15.89 of 16 cores and about 93 % of 104 GiB to pods.
ALLOCATABLE = 0.93


@dataclass(frozen=True, slots=True)
class Pace:
    """What the forecast assumes about speeds.

    Parameters
    ----------
    bytes_per_core_s : compressed bytes a core gets through (see benchmarks; a third of it)
    start_s : a pod starts, and the worker in it imports what it needs
    pods_per_s : pods a Job controller brings to their end. 27 with the default limit of 50 requests
        a second, 63 with 400 (measured with 26,920 pods on two cores, see benchmarks)
    node_bytes_per_s : network of a node. 16 Gbit/s: what machines of 8 cores and more have at least
    store_bytes_per_s : what the store gives all clusters together; None is no limit
    api_core_s_per_pod : CPU seconds of an API server for the life of a pod (measured: 6.5 CPU
        minutes for 26,920 pods)
    api_cores : cores that a control plane has
    """

    bytes_per_core_s: float = BYTES_PER_CORE_SECOND
    start_s: float = START_S + 1.0
    pods_per_s: float = 27.0
    node_bytes_per_s: float = 2e9
    store_bytes_per_s: float | None = None
    api_core_s_per_pod: float = 0.0145
    api_cores: float = 4.0


@dataclass(frozen=True, slots=True)
class ClusterShape:
    """A cluster as the forecast sees it: `slots` tasks run at once on `nodes` nodes."""

    name: str
    slots: int
    nodes: int = 1
    flavor: str = ""


@dataclass(frozen=True, slots=True)
class ClusterForecast:
    """What one cluster will take.

    `floors_s` are the seconds that each limit allows at best: slots, network, controller, api;
    where sizes are not known, slots and network are missing. `seconds` is the largest, None
    where it could be larger for all we know.
    """

    cluster: ClusterShape
    tasks: int
    pods: int
    size_bytes: int | None
    floors_s: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None
    usd: float | None = None
    usd_spot: float | None = None

    @property
    def waves(self) -> int:
        """How many times the slots are filled."""
        return math.ceil(self.pods / self.cluster.slots) if self.cluster.slots else 0

    @property
    def bound(self) -> str | None:
        """Which limit decides."""
        if self.seconds is None or not self.floors_s:
            return None
        return max(self.floors_s, key=lambda name: self.floors_s[name])


@dataclass(frozen=True)
class Forecast:
    """What a run will take: per cluster, and all together (clusters work at once)."""

    clusters: tuple[ClusterForecast, ...]
    pace: Pace
    setup_s: float = 0.0
    currency: str = "USD"
    source: str = ""  # of the prices

    @property
    def tasks(self) -> int:
        """All tasks."""
        return sum(one.tasks for one in self.clusters)

    @property
    def size_bytes(self) -> int | None:
        """All bytes, where all are known."""
        total = _sum(one.size_bytes for one in self.clusters)
        return None if total is None else int(total)

    @property
    def slots(self) -> int:
        """How many tasks run at once."""
        return sum(one.cluster.slots for one in self.clusters)

    @property
    def seconds(self) -> float | None:
        """The time of the slowest cluster, or of the common store, s; a floor."""
        times = [one.seconds for one in self.clusters]
        known = [time for time in times if time is not None]
        if len(known) < len(times):
            return None
        if self.pace.store_bytes_per_s and self.size_bytes is not None:
            known.append(self.size_bytes / self.pace.store_bytes_per_s)
        return max(known, default=0.0)

    @property
    def usd(self) -> float | None:
        """The price on demand, with the time in which clusters are made and deleted."""
        return _sum(one.usd for one in self.clusters)

    @property
    def usd_spot(self) -> float | None:
        """The same on machines that may be taken away."""
        return _sum(one.usd_spot for one in self.clusters)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready document, for programs and for the record of a run."""
        return {
            "tasks": self.tasks,
            "size_bytes": self.size_bytes,
            "slots": self.slots,
            "seconds": self.seconds,
            "currency": self.currency,
            "price": self.usd,
            "price_spot": self.usd_spot,
            "setup_s": self.setup_s,
            "assumed": dataclasses.asdict(self.pace),
            "clusters": [_cluster_json(one) for one in self.clusters],
        }


def slots_of(
    nodes: int, cores: float, memory_bytes: float, task_cores: float, task_memory_bytes: float
) -> int:
    """Return how many tasks run at once on `nodes` nodes of which each leaves so much to pods."""
    by_cores = math.floor(cores / task_cores + 1e-9) if task_cores else math.inf
    by_memory = math.floor(memory_bytes / task_memory_bytes) if task_memory_bytes else math.inf
    each = min(by_cores, by_memory)
    return nodes * int(each) if math.isfinite(each) else nodes


def shape_of_flavor(
    name: str,
    flavor: str,
    nodes: int,
    prices: Prices,
    *,
    task_cores: float,
    task_memory_bytes: float,
) -> ClusterShape | None:
    """Return the shape of a cluster that is not there yet; None for an unknown flavor."""
    machine = prices.machines.get(flavor)
    if machine is None:
        return None
    slots = slots_of(
        nodes,
        machine.cores if machine.cores < 2 else machine.cores - 0.11,
        ALLOCATABLE * machine.memory_bytes,
        task_cores,
        task_memory_bytes,
    )
    return ClusterShape(name, slots, nodes, flavor)


def make_forecast(
    shares: Iterable[tuple[ClusterShape, Sequence[Task]]],
    *,
    pace: Pace | None = None,
    prices: Prices | None = None,
    tasks_per_pod: int = 1,
) -> Forecast:
    """Forecast a run whose tasks are shared out among clusters like this."""
    pace = pace or Pace()
    found = tuple(
        _forecast_cluster(shape, tasks, pace, prices, max(1, tasks_per_pod))
        for shape, tasks in shares
    )
    if prices is None:
        return Forecast(found, pace)
    return Forecast(found, pace, prices.setup_s, prices.currency, prices.source)


def _forecast_cluster(
    shape: ClusterShape,
    tasks: Sequence[Task],
    pace: Pace,
    prices: Prices | None,
    tasks_per_pod: int,
) -> ClusterForecast:
    size = _bytes_of(tasks)
    pods = math.ceil(len(tasks) / tasks_per_pod)
    floors = {
        "controller": pods / pace.pods_per_s,
        "api": pods * pace.api_core_s_per_pod / pace.api_cores,
    }
    seconds = None
    if not tasks:
        floors, seconds = {}, 0.0
    elif size is not None and shape.slots:
        work = size / pace.bytes_per_core_s + pods * pace.start_s
        # No less than what a pod takes, however many slots there are.
        floors["slots"] = max(work / shape.slots, work / pods)
        floors["network"] = size / (pace.node_bytes_per_s * max(1, shape.nodes))
        seconds = max(floors.values())
    usd = usd_spot = None
    if prices is not None and seconds is not None and shape.flavor:
        billed = seconds + prices.setup_s
        usd = prices.usd(shape.flavor, shape.nodes, billed)
        usd_spot = prices.usd(shape.flavor, shape.nodes, billed, spot=True)
    return ClusterForecast(shape, len(tasks), pods, size, floors, seconds, usd, usd_spot)


def _bytes_of(tasks: Iterable[Task]) -> int | None:
    """Return the bytes of all files, each once: tasks may be ranges of one file."""
    sizes = {(task.sample, file.name): file.size_bytes for task in tasks for file in task.files}
    known = [size for size in sizes.values() if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _cluster_json(one: ClusterForecast) -> dict[str, Any]:
    return {
        "name": one.cluster.name,
        "flavor": one.cluster.flavor,
        "nodes": one.cluster.nodes,
        "slots": one.cluster.slots,
        "tasks": one.tasks,
        "pods": one.pods,
        "size_bytes": one.size_bytes,
        "waves": one.waves,
        "floors_s": dict(one.floors_s),
        "bound": one.bound,
        "seconds": one.seconds,
        "price": one.usd,
        "price_spot": one.usd_spot,
    }


def _sum(parts: Iterable[float | None]) -> float | None:
    """Add up what is known, if all is; the sum of nothing is 0."""
    values = list(parts)
    known = [value for value in values if value is not None]
    return math.fsum(known) if len(known) == len(values) else None
