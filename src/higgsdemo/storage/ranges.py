"""Few large requests instead of many small ones."""

from __future__ import annotations

from collections.abc import Sequence

from higgsdemo.storage.source import Range


def coalesce(ranges: Sequence[Range], gap: int, limit: int) -> list[tuple[int, int, list[int]]]:
    """Group byte ranges that lie close together into spans to fetch at once.

    `ranges` are [start, stop), in any order. Two of them at most `gap` bytes apart share a span,
    which grows no longer than `limit` bytes (a longer range stays whole).

    Returns (start, stop, members) of each span in file order; members are indices into `ranges`.
    """
    spans: list[tuple[int, int, list[int]]] = []
    for index in sorted(range(len(ranges)), key=lambda i: ranges[i]):
        start, stop = ranges[index]
        if spans:
            first, last, members = spans[-1]
            if start - last <= gap and max(stop, last) - first <= limit:
                spans[-1] = (first, max(stop, last), [*members, index])
                continue
        spans.append((start, stop, [index]))
    return spans


def gap_within(ranges: Sequence[Range], waste: int) -> int:
    """Return the widest gap such that closing all gaps up to it reads at most `waste` bytes more.

    Bytes that nobody needs are paid for in bandwidth, requests in latency: the narrowest gaps
    save a request each for the fewest bytes.
    """
    ordered = sorted(ranges)
    gaps = []
    reached = ordered[0][1] if ordered else 0
    for start, stop in ordered[1:]:
        if start > reached:
            gaps.append(start - reached)
        reached = max(reached, stop)
    widest, spent = 0, 0
    gaps.sort()
    for position, gap in enumerate(gaps):
        spent += gap
        if spent > waste:
            # Of gaps that are equally wide, all are closed or none.
            return (
                widest if gap > widest else max((g for g in gaps[:position] if g < gap), default=0)
            )
        widest = gap
    return widest


def pieces(start: int, stop: int, size: int) -> list[Range]:
    """Cut [start, stop) into ranges of at most `size` bytes."""
    return [(at, min(at + size, stop)) for at in range(start, stop, size)]
