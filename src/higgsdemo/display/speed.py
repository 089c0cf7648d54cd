"""The performance record of a run in words."""

from __future__ import annotations

from higgsdemo.display.progress import duration
from higgsdemo.display.words import quantity
from higgsdemo.monitor import Performance


def performance_lines(found: Performance) -> list[str]:
    """Return the record as a few lines (see docs/performance.md for what the words mean)."""
    if not found.tasks:
        return []
    took = f"took {duration(found.elapsed_s)}: {found.events:,} events"
    size, read = quantity(found.size_bytes, "B"), quantity(found.bytes_read, "B")
    lines = [f"{took} of {found.files:.0f} files, {size} ({read} of them read)"]
    rates = [
        (found.event_rate, "events/s", ""),
        (found.event_rate_per_core, "events/s", " a core"),
        (found.input_rate_bits, "b/s", " input"),
        (found.read_rate_bits, "b/s", " read"),
    ]
    lines.append(
        "rates: " + ", ".join(quantity(x, unit) + more for x, unit, more in rates if x is not None)
    )
    cores = f"cores: {found.cores_peak} at most"
    if found.cores_mean is not None:
        cores += f", {found.cores_mean:.3g} on average"
    if found.cpu_efficiency is not None:
        cores += f"; CPU efficiency {100 * found.cpu_efficiency:.0f} %"
    if found.lost_core_s:
        cores += f"; {duration(found.lost_core_s)} in attempts that failed"
    lines.append(cores)
    return lines
