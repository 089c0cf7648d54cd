"""Which cluster gets which tasks, in which jobs: as a mapping says, or balanced over clusters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from higgsdemo.errors import UsageError
from higgsdemo.executors.kubernetes.documents import MAP_BYTES, MOST_MAPS
from higgsdemo.executors.kubernetes.names import MOST_INDEXES
from higgsdemo.ledger.placements import NewJob
from higgsdemo.model import Task
from higgsdemo.plan import BYTES_PER_CORE_SECOND

START_S = 3.0  # a pod is scheduled, its container starts, the worker imports what it needs
SHARE_OF_START = 0.1  # of a pod's life
MOST_SPLIT = 25  # samples that every cluster gets a part of: each is two requests a cluster
_TASK_BYTES = 700  # of a task in a manifest, compressed, at the very most in an ordinary run


@dataclass(frozen=True, slots=True)
class Target:
    """A cluster that takes tasks: `slots` pods run there at once; 0 is not known."""

    name: str
    slots: int = 0


def weigh(tasks: Sequence[Task]) -> list[float]:
    """Return what each task weighs: its bytes where all are known, else as much as any other."""
    sizes = [task.size_bytes for task in tasks]
    known = [size for size in sizes if size]
    return [float(size) for size in known] if len(known) == len(sizes) else [1.0] * len(tasks)


def balance(tasks: Sequence[Task], targets: Sequence[Target]) -> dict[str, list[Task]]:
    """Share tasks out by their bytes, in proportion to the slots of each cluster.

    Small samples stay in one cluster, as each sample of a cluster is a job of its own; large ones
    are split over all, and level the rest. The same input gives the same shares.
    """
    if not targets:
        raise UsageError("no cluster is named", hint="name them: --clusters C1,C2")
    room = {target.name: float(target.slots or 1) for target in targets}
    if not all(target.slots for target in targets):
        room = dict.fromkeys(room, 1.0)
    load = dict.fromkeys(room, 0.0)
    shares: dict[str, list[tuple[int, Task]]] = {name: [] for name in room}
    by_sample: dict[str, list[tuple[int, Task, float]]] = {}
    for number, (task, weight) in enumerate(zip(tasks, weigh(tasks), strict=True)):
        by_sample.setdefault(task.sample, []).append((number, task, weight))

    def give(name: str, pieces: Iterable[tuple[int, Task, float]]) -> None:
        for number, task, weight in pieces:
            shares[name].append((number, task))
            load[name] += weight

    def emptiest(weight: float) -> str:
        return min(room, key=lambda name: (load[name] + weight) / room[name])

    def total(sample: str) -> float:
        return math.fsum(weight for _, _, weight in by_sample[sample])

    ordered = sorted(by_sample, key=lambda sample: (-total(sample), sample))
    split = [name for name in ordered if len(by_sample[name]) >= 10 * len(room)][:MOST_SPLIT]
    for sample in ordered:
        if sample not in split:
            give(emptiest(total(sample)), by_sample[sample])
    for sample in split:
        for piece in by_sample[sample]:
            give(emptiest(piece[2]), [piece])
    return {
        name: [task for _, task in sorted(mine, key=lambda each: each[0])]
        for name, mine in shares.items()
        if mine
    }


def as_mapped(tasks: Sequence[Task], owners: Mapping[str, str]) -> dict[str, list[Task]]:
    """Share tasks out as a mapping says: `owners` has the cluster of each file, by its name.

    A task of several files goes where its first file does.
    """
    shares: dict[str, list[Task]] = {}
    for task in tasks:
        owner = owners.get(task.files[0].name)
        if owner is None:
            raise UsageError("the mapping has no cluster for a file", where=task.label)
        shares.setdefault(owner, []).append(task)
    return shares


def tasks_per_pod(tasks: Sequence[Task], slots: int, wanted: int = 0) -> int:
    """Return how many tasks a pod does: `wanted`, or such that start-up is a small part of it.

    Not more than leave every slot of the cluster with something to do. Where sizes are unknown
    it is one.
    """
    if wanted:
        return wanted
    sizes = [task.size_bytes for task in tasks]
    known = [size for size in sizes if size is not None]
    if not tasks or len(known) < len(sizes):
        return 1
    seconds = sum(known) / len(known) / BYTES_PER_CORE_SECOND
    useful = math.ceil(START_S * (1 - SHARE_OF_START) / SHARE_OF_START / max(seconds, 1e-3))
    fair = max(1, len(tasks) // max(1, slots))
    return max(1, min(useful, fair, 1000))


def make_jobs(
    cluster: str,
    tasks: Sequence[Task],
    *,
    memory_bytes: int,
    slots: int = 0,
    per_pod: int = 0,
    parallelism: int = 0,
    later: bool = False,
) -> list[NewJob]:
    """Put the tasks of a cluster into jobs: one for each sample, several where it is too large.

    `parallelism` is for the whole cluster; the jobs share it by their number of pods. Where there
    are more jobs than it allows pods, some begin with none, and get theirs as others end. Without
    it, it follows the `slots`, and without those every pod may run at once. What is made `later`
    begins with none: other jobs of the cluster have what there is, and give it as they end.
    """
    by_sample: dict[str, list[Task]] = {}
    for task in tasks:
        by_sample.setdefault(task.sample, []).append(task)
    count = tasks_per_pod(tasks, slots, per_pod)
    pods = {
        sample: [
            tuple(task.id for task in mine[start : start + count])
            for start in range(0, len(mine), count)
        ]
        for sample, mine in by_sample.items()
    }
    longest = max(1, min(MOST_INDEXES, MOST_MAPS * MAP_BYTES // (_TASK_BYTES * count)))
    parts = [
        (sample, indexes[start : start + longest])
        for sample, indexes in pods.items()
        for start in range(0, len(indexes), longest)
    ]
    sizes = [len(part) for _, part in parts]
    at_once = parallelism or max(pods_at_once(slots) or sum(sizes), len(parts))
    limited = bool(parallelism or slots)
    shares = share_out(0 if later and limited else at_once, sizes)
    return [
        NewJob(cluster, sample, part, memory_bytes, share)
        for (sample, part), share in zip(parts, shares, strict=True)
    ]


def pods_at_once(slots: int, parallelism: int = 0) -> int:
    """Return how many pods of a run a cluster may be given at once; 0 is not known.

    No more than have room: one that has to wait is written and told to all watchers once more, and
    tried again whenever another ends, which costs the API server a fifth of its work.
    """
    return parallelism or slots


def share_out(total: int, sizes: Sequence[int]) -> list[int]:
    """Share a number out in proportion to sizes by largest remainder, to none more than its size.

    Each gets at least one where there are enough. Sizes are at least 1.
    """
    whole = sum(sizes)
    if total >= whole:
        return list(sizes)
    least = int(total >= len(sizes))
    shares = [max(least, total * size // whole) for size in sizes]

    def owed(number: int) -> int:
        """Return by how much a share is too small, in parts of `whole`."""
        return total * sizes[number] - shares[number] * whole

    missing = total - sum(shares)
    for _ in range(missing):
        poor = (number for number, share in enumerate(shares) if share < sizes[number])
        shares[max(poor, key=owed)] += 1
    for _ in range(-missing):  # as so many have one that are owed less
        rich = (number for number, share in enumerate(shares) if share > least)
        shares[min(rich, key=owed)] -= 1
    return shares
