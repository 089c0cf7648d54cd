"""How well a run went, in the field's terms; the definitions are in docs/performance.md.

After the 200 Gbps Challenge (A. Held et al., arXiv:2503.15464) and the IRIS-HEP Analysis Grand
Challenge, which speak of data rates into the processing and of event rates per core.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from higgsdemo.ledger import Ledger, Manifest, RunDirectory, news
from higgsdemo.monitor.rates import Shares

NAME = "performance.json"  # in the run directory
PERFORMANCE_SCHEMA = 1


@dataclass(frozen=True)
class Performance:
    """What a run did and how fast. Times in s, sizes in bytes, rates per s; None: not known.

    Time is counted while at least one task ran, by our own clock: each result is taken to have
    begun its wall time before it was received.
    """

    tasks: int = 0
    files: float = 0.0
    events: int = 0
    size_bytes: float = 0.0  # of the input files, as they are stored
    bytes_read: float = 0.0  # fetched for the columns that were needed
    elapsed_s: float = 0.0
    core_s: float = 0.0  # wall time of tasks, one core each
    cpu_s: float = 0.0
    cores_peak: int = 0
    event_rate: float | None = None
    event_rate_per_core: float | None = None
    input_rate_bits: float | None = None
    read_rate_bits: float | None = None
    cpu_efficiency: float | None = None
    cores_mean: float | None = None
    occupancy: float | None = None
    until_half_s: float | None = None
    until_90_percent_s: float | None = None
    until_first_s: float | None = None
    task_median_s: float | None = None
    task_longest_s: float | None = None
    peak_memory_bytes: float | None = None
    attempts: int = 0
    attempts_failed: dict[str, int] = field(default_factory=dict)  # by cause
    lost_core_s: float = 0.0  # in attempts that failed

    def to_json(self) -> dict[str, Any]:
        """Return the record as a JSON-ready document."""
        return {"schema": PERFORMANCE_SCHEMA, **asdict(self)}


def measure(ledger: Ledger, manifest: Manifest) -> Performance:
    """Read from a ledger how well the run has gone until now."""
    shares = Shares.of(manifest)
    events, files, size, read, cpu = 0, 0.0, 0.0, 0.0, 0.0
    walls: list[float] = []
    ends: list[float] = []
    memory: list[float] = []
    for taken in news.arrivals(ledger):
        task, counters = taken.tally.task, taken.tally.counters
        events += taken.tally.events
        files += shares.files[task]
        size += shares.bytes[task]
        read += float(counters.get("bytes_read", 0))
        cpu += float(counters.get("cpu_s", 0.0))
        walls.append(max(0.0, float(counters.get("wall_s", 0.0))))
        ends.append(taken.received)
        if "peak_memory_bytes" in counters:
            memory.append(float(counters["peak_memory_bytes"]))
    wasted = ledger.ask(
        "SELECT started, ended, outcome FROM attempts WHERE ended IS NOT NULL"
        " AND outcome NOT IN ('done', 'duplicate') AND ended >= started"
    )
    spans = [(end - wall, end) for end, wall in zip(ends, walls, strict=True)]
    spans += [(started, ended) for started, ended, _ in wasted]
    spans.sort()
    elapsed, peak, when = _covered(spans, ends)
    core_s = math.fsum(walls)
    lost = math.fsum(ended - started for started, ended, _ in wasted)
    causes = [outcome for _, _, outcome in wasted]
    return Performance(
        tasks=len(walls),
        files=files,
        events=events,
        size_bytes=size,
        bytes_read=read,
        elapsed_s=elapsed,
        core_s=core_s,
        cpu_s=cpu,
        cores_peak=peak,
        event_rate=_over(events, elapsed),
        event_rate_per_core=_over(events, core_s),
        input_rate_bits=_over(8 * size, elapsed),
        read_rate_bits=_over(8 * read, elapsed),
        cpu_efficiency=_over(cpu, core_s),
        cores_mean=_over(core_s + lost, elapsed),
        occupancy=_over(core_s + lost, elapsed * peak),
        until_first_s=when[0] if when else None,
        until_half_s=_share(when, 0.5),
        until_90_percent_s=_share(when, 0.9),
        task_median_s=_share(sorted(walls), 0.5),
        task_longest_s=max(walls, default=None),
        peak_memory_bytes=max(memory, default=None),
        attempts=int(ledger.ask("SELECT count(*) FROM attempts")[0][0]),
        attempts_failed={cause: causes.count(cause) for cause in sorted(set(causes))},
        lost_core_s=lost,
    )


def record_performance(run: RunDirectory) -> Performance:
    """Write `performance.json` into the run; what was measured is returned.

    A run directory that cannot be written is no reason to fail.
    """
    with run.look() as ledger:
        found = measure(ledger, run.manifest())
    path = run.path / NAME
    part = path.with_name(f".{NAME}.{os.getpid()}")
    with contextlib.suppress(OSError):
        part.write_text(json.dumps(found.to_json(), indent=1) + "\n")
        part.replace(path)
    return found


def read_performance(run: RunDirectory) -> Performance | None:
    """Return the record of a run that ended; None if there is none that can be read."""
    try:
        document = json.loads((run.path / NAME).read_text())
        if document.pop("schema") != PERFORMANCE_SCHEMA:
            return None
        return Performance(**document)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _covered(
    spans: Iterable[tuple[float, float]], ends: Sequence[float]
) -> tuple[float, int, list[float]]:
    """Return the time in which a span was open, how many at most were, and when `ends` were.

    The last are in that time too: pauses are left out. Spans are sorted by their begin.
    """
    moments: list[tuple[float, int]] = []
    for begin, end in spans:
        moments += [(begin, 1), (end, -1)]
    moments.sort()
    total, open_now, most, before = 0.0, 0, 0, 0.0
    at: dict[float, float] = {}
    for moment, step in moments:
        if open_now:
            total += moment - before
        open_now += step
        most = max(most, open_now)
        before = moment
        at[moment] = total
    return total, most, sorted(at[end] for end in ends)


def _over(amount: float, by: float) -> float | None:
    return amount / by if by > 0 else None


def _share(ordered: Sequence[float], share: float) -> float | None:
    """Return the value that this share of the ordered values does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None
