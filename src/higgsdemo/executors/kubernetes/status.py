"""The status of a Job, read once: which indexes are done, which have failed, whether it ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Ranges = tuple[tuple[int, int], ...]


def parse_indexes(text: str) -> Ranges:
    """Read a list of indexes as Kubernetes writes it, `0,2-5,9`, into inclusive ranges.

    Raises ValueError for anything else.
    """
    ranges: list[tuple[int, int]] = []
    for part in filter(None, text.split(",")):
        low, dash, high = part.partition("-")
        first = int(low)
        last = int(high) if dash else first
        if last < first or first < 0 or (ranges and first <= ranges[-1][1]):
            raise ValueError(f"not a list of indexes: {text[:60]!r}")
        ranges.append((first, last))
    return tuple(ranges)


def size(ranges: Ranges) -> int:
    """Count the indexes in ranges."""
    return sum(last - first + 1 for first, last in ranges)


def indexes(ranges: Ranges) -> set[int]:
    """Return the indexes in ranges."""
    return {index for first, last in ranges for index in range(first, last + 1)}


def format_indexes(numbers: Iterable[int]) -> str:
    """Write indexes as Kubernetes does."""
    ranges: list[list[int]] = []
    for number in sorted(set(numbers)):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(f"{low}" if low == high else f"{low}-{high}" for low, high in ranges)


@dataclass(frozen=True)
class JobStatus:
    """What a cluster says of a job.

    `parallelism` pods may run at once. `active` ones are there and not finished, `ready` of them
    run; `succeeded` and `failed` count pods. `ended` is the reason of the final condition, with
    `message`; empty while it goes on.
    """

    name: str
    uid: str = ""
    completions: int = 0
    parallelism: int = 1
    active: int = 0
    ready: int = 0
    succeeded: int = 0
    failed: int = 0
    completed: Ranges = ()
    failed_indexes: Ranges = ()
    suspended: bool = False
    ended: str = ""
    message: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def waits(self) -> bool:
        """Whether there is something to run, and no pod of it runs (or none can be made)."""
        return not (self.ended or self.suspended or self.ready) and self.parallelism > 0

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> JobStatus:
        """Read a Job."""
        metadata, spec = document["metadata"], document.get("spec") or {}
        status = document.get("status") or {}
        final: Mapping[str, Any] = {}
        for condition in status.get("conditions") or ():
            if condition.get("status") == "True" and condition["type"] in ("Complete", "Failed"):
                final = condition
        return cls(
            name=metadata["name"],
            uid=metadata.get("uid", ""),
            completions=spec.get("completions") or 0,
            parallelism=spec.get("parallelism", 1),
            active=status.get("active") or 0,
            ready=status.get("ready") or 0,
            succeeded=status.get("succeeded") or 0,
            failed=status.get("failed") or 0,
            completed=parse_indexes(status.get("completedIndexes") or ""),
            failed_indexes=parse_indexes(status.get("failedIndexes") or ""),
            suspended=bool(spec.get("suspend")),
            ended=(final.get("reason") or final["type"]) if final else "",
            message=final.get("message") or "",
            labels=metadata.get("labels") or {},
        )
