"""What the Python peers share: the clock, the peak memory and the JSON line that run.py reads.

A peer is a program `PEER TINY [FILE]`. It analyses TINY (a hundred events), which pays for
imports, dictionaries and first calls; the CPU seconds of the process up to there are its start-up.
Then it analyses FILE, and only that pass is the measured loop. The C++ twin is measure.hpp.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BINS, LOWER, UPPER = 36, 70.0, 180.0  # m4l, GeV, as published

Counts = dict[str, object]


def channel(selected: int, mass: list[int]) -> dict[str, object]:
    """One channel of what a peer counts: events, and `BINS` + 2 bins with flow."""
    return {"selected": selected, "m4l": mass}


def peak_rss_mb() -> float:
    """VmHWM, because ru_maxrss of a child starts from that of the process that made it."""
    status = Path("/proc/self/status")
    if not status.exists():
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1024**2 if sys.platform == "darwin" else 1024)
    for line in status.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM in /proc/self/status")


def measure(
    analyse: Callable[[Any], Counts],
    tiny: str,
    path: str | None,
    prepare: Callable[[str], Any] = str,
) -> None:
    """Run both passes and print the JSON line. `process_time`: user + system, all threads.

    `prepare` is for what is not to be measured; only the floor has any.
    """
    first = analyse(prepare(tiny))
    report: dict[str, object] = {"start_cpu_s": time.process_time(), "tiny": first}
    if path is not None:
        prepared = prepare(path)
        cpu, wall = time.process_time(), time.perf_counter()
        counts = analyse(prepared)
        report["loop_cpu_s"] = time.process_time() - cpu
        report["loop_wall_s"] = time.perf_counter() - wall
        report["counts"] = counts
    report["peak_rss_mb"] = peak_rss_mb()
    print(json.dumps(report), flush=True)
