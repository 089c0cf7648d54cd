"""A result as sums take it: those of its counts that are not zero, and where they belong."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from higgsdemo.model import Form

EXACT = 2**53  # counts up to here are exact in every program that reads them

Counts = npt.NDArray[np.int64]


class Tally(NamedTuple):
    """What sums take of a result.

    `counts`, shape (n,), are the n counts of its histograms that are not zero; `places`, shape
    (n,), where they are in a row of all (`Form.places`), none twice. `passed` are the counts of the
    cutflow (`Form.flow`).
    """

    task: str
    events: int
    form: Form
    places: Counts
    counts: Counts
    passed: Counts
    sections_seen: Mapping[str, list[list[int]]] | None
    sections_used: Mapping[str, list[list[int]]] | None
    counters: Mapping[str, float]


def tally_of(document: Mapping[str, Any], form: Form) -> Tally:
    """Return the tally of a packed result (`Result.pack`) of this form.

    ValueError, TypeError or KeyError if its counts are not as a `Result` has them:
    a sum never meets a surprise.
    """
    places, counts, passed = document["places"], document["counts"], document["passed"]
    numbers = [*places, *counts, *passed]
    if {type(places), type(counts), type(passed), *map(type, numbers)} - {list, int}:
        raise TypeError("a count is no whole number")
    if len(places) != len(counts) or len(passed) != len(form.flow):
        raise ValueError("it has not as many counts as its form")
    if any(map(operator.ge, places, places[1:])):
        raise ValueError("the bins are not in order")
    if places and (places[0] < 0 or places[-1] >= form.bins):
        raise ValueError("there is no such bin")
    if min(counts, default=1) < 1 or min(passed, default=0) < 0:
        raise ValueError("a count is too small")
    if sum(counts) >= EXACT or sum(passed) >= EXACT:
        raise ValueError("the counts are too large")
    row = np.array(numbers, dtype=np.int64)
    return Tally(
        document["task"],
        document["events"],
        form,
        row[: len(places)],
        row[len(places) : 2 * len(places)],
        row[2 * len(places) :],
        document["sections_seen"],
        document["sections_used"],
        document["counters"],
    )
