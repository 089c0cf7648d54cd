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
