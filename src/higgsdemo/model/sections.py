"""Luminosity sections: which stretches of data taking a file has, as inclusive ranges by run."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

Sections = dict[int, list[list[int]]]  # run -> inclusive ranges of luminosity sections


def sections_of(runs: np.ndarray[Any, Any], sections: np.ndarray[Any, Any]) -> Sections:
    """Pack (run, luminosity section) pairs, any order and repeated, into inclusive ranges.

    Both are unsigned 32-bit numbers, as in the branches `run` and `luminosityBlock`.
    """
    if runs.size == 0:
        return {}
    keys = (runs.astype(np.uint64) << np.uint64(32)) | sections.astype(np.uint64)
    changed = np.flatnonzero(keys[1:] != keys[:-1]) + 1
    keys = np.unique(keys[np.append(0, changed)])
    # The last section there can be and section 0 of the next run are neighbours in `keys` only.
    same_run = keys[1:] >> np.uint64(32) == keys[:-1] >> np.uint64(32)
    cuts = np.flatnonzero((np.diff(keys) != 1) | ~same_run) + 1
    packed: Sections = {}
    begins, ends = keys[np.append(0, cuts)], keys[np.append(cuts, keys.size) - 1]
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        packed.setdefault(begin >> 32, []).append([begin & 0xFFFFFFFF, end & 0xFFFFFFFF])
    return packed


def merge_sections(one: Sections | None, other: Sections | None) -> Sections | None:
    """Return the union of two sets of sections; None (unknown) gives way."""
    if one is None or other is None:
        return other if one is None else one
    merged: Sections = {}
    for run in sorted({*one, *other}):
        spans = join_spans([], [*one.get(run, []), *other.get(run, [])])
        if spans:  # there may be none, as in certified-sections files
            merged[run] = spans
    return merged


def join_spans(joined: list[list[int]], more: Iterable[list[int]]) -> list[list[int]]:
    """Return inclusive ranges, in order and apart, with more of them: a few cost little.

    Ranges of `joined` that stay are the same lists; neither argument is changed.
    """
    spans, more = [*joined], sorted(more)
    if len(more) > len(spans) // 8:  # putting them in one by one would cost more than all anew
        spans, more = [], sorted([*spans, *more])
    for low, high in more:
        first = bisect.bisect_left(spans, [low])
        if first and spans[first - 1][1] + 1 >= low:
            first -= 1
        last = first
        while last < len(spans) and spans[last][0] <= high + 1:
            low, high = min(low, spans[last][0]), max(high, spans[last][1])
            last += 1
        spans[first:last] = [[low, high]]
    return spans


def count_sections(sections: Sections | None) -> int:
    """Return how many luminosity sections there are."""
    return sum(high - low + 1 for spans in (sections or {}).values() for low, high in spans)


def sections_to_json(sections: Sections | None) -> dict[str, list[list[int]]] | None:
    """Return sections ready for JSON, whose keys are text."""
    if sections is None:
        return None
    return {str(run): spans for run, spans in sorted(sections.items())}


def sections_from_json(document: Mapping[str, list[list[int]]] | None) -> Sections | None:
    """Read sections written by `sections_to_json`."""
    if document is None:
        return None
    return {int(run): spans for run, spans in document.items()}
