"""A result as sums take it: all its counts in two arrays.

Results of one sample are alike but for their numbers. What they have in common is their `Shape`;
tallies of one shape are added as they are, array to array.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from higgsdemo.model import Axis, Histogram

_EXACT = 2**53  # counts up to here are exact in every program that reads them
_MOST = 256  # shapes remembered; a run has a few
_KIND = (1, "int")  # UHI schema and storage of all that is added here

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """Which histograms and which cutflow a result has; two are the same only by identity.

    `axes` by histogram; `sizes` are their numbers of counts, under- and overflow included;
    `steps` are (channel, step) of all cutflow counts.
    """

    axes: Mapping[str, Axis]
    sizes: tuple[int, ...]
    steps: tuple[tuple[str, str], ...]
    _described: list[Any]  # the axes, as documents have them
    _names: list[str]  # of the steps
    _lengths: list[int]  # of the cutflow of each channel

    def parts(self, counts: Counts) -> dict[str, Counts]:
        """Return the part of each histogram in an array of all counts: views, not copies."""
        found, begin = {}, 0
        for key, size in zip(self.axes, self.sizes, strict=True):
            found[key] = counts[begin : begin + size]
            begin += size
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """What sums take of a result.

    `counts` has those of all histograms, shape (sum of `shape.sizes`,), uint8 where all are small
    enough, else int64; `passed`, those of the cutflow, shape (len(`shape.steps`),), int64.
    """

    task: str
    events: int
    shape: Shape
    counts: npt.NDArray[np.uint8] | Counts
    passed: Counts
    sections_seen: Mapping[str, list[list[int]]] | None
    sections_used: Mapping[str, list[list[int]]] | None
    counters: Mapping[str, float]


class Tallies:
    """Makes tallies of documents (`Result.to_json`), and knows the shapes met so far."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[str, ...], list[Shape]] = {}  # by names of all that is in it
        self._met = 0

    def of(self, document: Mapping[str, Any]) -> Tally:
        """Return the tally of a result.

        ValueError, TypeError, KeyError, AttributeError or OverflowError if histograms and cutflow
        are not as `Result.to_json` writes them: a sum never meets a surprise.
        """
        histograms, cutflow = document["histograms"], document["cutflow"]
        stored = list(histograms.values())
        storages = [one["storage"] for one in stored]
        kinds = [
            (one["uhi_schema"], storage["type"])
            for one, storage in zip(stored, storages, strict=True)
        ]
        if kinds.count(_KIND) != len(kinds):
            raise ValueError("a histogram has no integer counts")
        values = [storage["values"] for storage in storages]
        flows = list(cutflow.values())
        steps = list(chain.from_iterable(flows))
        if {*map(len, steps)} - {2}:
            raise ValueError("a step of the cutflow has not a name and a count")
        flat = list(chain.from_iterable(steps))
        passed = flat[1::2]
        shape = self._shape(
            tuple(chain(histograms, cutflow)),
            [one["axes"] for one in stored],
            tuple(map(len, values)),
            flat[::2],
            list(map(len, flows)),
            document,
        )
        return Tally(
            document["task"],
            document["events"],
            shape,
            whole_numbers(values),
            _passed(passed),
            document["sections_seen"],
            document["sections_used"],
            document["counters"],
        )

    def _shape(
        self,
        names: tuple[str, ...],
        described: list[Any],
        sizes: tuple[int, ...],
        steps: list[str],
        lengths: list[int],
        document: Mapping[str, Any],
    ) -> Shape:
        known = self._shapes.setdefault(names, [])
        for shape in known:
            if (shape.sizes, shape._described, shape._names, shape._lengths) == (
                sizes, described, steps, lengths
            ):  # fmt: skip
                return shape
        if {*map(type, steps)} - {str}:
            raise ValueError("a step of the cutflow has no name")
        shape = Shape(
            {key: Histogram.from_uhi(one).axis for key, one in document["histograms"].items()},
            sizes,
            tuple((key, step) for key, flow in document["cutflow"].items() for step, _ in flow),
            described,
            steps,
            lengths,
        )
        if self._met == _MOST:  # somebody sends nonsense: not to be kept
            self._shapes.clear()
            self._met, known = 0, self._shapes.setdefault(names, [])
        known.append(shape)
        self._met += 1
        return shape


def whole_numbers(values: Sequence[list[int]]) -> npt.NDArray[np.uint8] | Counts:
    """Return counts in a row as an array, of bytes where all are small: the fastest of all ways.

    TypeError or OverflowError if one is no integer of 64 bits; ValueError if one is negative, or
    all together are not exact in floating point.
    """
    try:
        # Bytes: none is negative, and so many that they add up to 2^53 fit nowhere.
        return np.frombuffer(b"".join(map(bytearray, values)), dtype=np.uint8)
    except (ValueError, OverflowError):  # one is above 255, or negative
        counts = np.frombuffer(array("q", chain.from_iterable(values)), dtype=np.int64)
    if counts.min() < 0:
        raise ValueError("a histogram has negative counts")
    if counts.sum(dtype=np.float64) >= _EXACT:
        raise ValueError("the counts of the histograms are too large")
    return counts


def _passed(counts: list[int]) -> Counts:
    if {*map(type, counts)} - {int} or not all(
        0 <= end < _EXACT for end in (min(counts, default=0), max(counts, default=0))
    ):
        raise ValueError("a step of the cutflow has no count")
    return np.frombuffer(array("q", counts), dtype=np.int64)
