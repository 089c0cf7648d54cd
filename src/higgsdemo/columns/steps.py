"""Cut a range of entries into steps that follow the layout of the file."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

# A step may be this much longer than asked for if it then ends where all baskets end: a basket
# cut in two costs more (it is kept in memory) than a few entries more.
STRETCH = 1.5


def steps(
    boundaries: Sequence[int], start: int, stop: int, events: int
) -> Iterator[tuple[int, int]]:
    """Yield entry ranges of about `events` entries that together are [start, stop).

    `boundaries` are the entries, ascending, at which all baskets start anew. A step ends at the
    last of them within reach; where there is none (huge clusters, or none at all) it ends after
    exactly `events` entries.
    """
    position = start
    while position < stop:
        end = min(position + events, stop)
        if end < stop:
            within = bisect_right(boundaries, end) - 1
            beyond = bisect_left(boundaries, end)
            if within >= 0 and boundaries[within] > position:
                end = boundaries[within]
            elif beyond < len(boundaries) and boundaries[beyond] - position <= STRETCH * events:
                end = min(boundaries[beyond], stop)
        yield position, end
        position = end
