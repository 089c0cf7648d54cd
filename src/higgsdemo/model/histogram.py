"""One-dimensional histograms of integer counts, and their UHI form.

Counts are integers so that merging is exact: in any order, on any engine, the same bits
(promise P2). Weights enter at normalisation. The serialised form is UHI schema 1
(scikit-hep/uhi, "histograms.schema.json"), so `hist`, `boost-histogram` and ROOT read it.
A worker starts without boost-histogram; the bin rule below is boost-histogram's.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
UHI_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Axis:
    """A regular axis of `bins` bins in [`lower`, `upper`), with under- and overflow.

    `label` and `unit` are for people, e.g. "m4l", "GeV".
    """

    bins: int
    lower: float
    upper: float
    label: str = ""
    unit: str = ""

    def __post_init__(self) -> None:
        width = self.upper - self.lower
        if self.bins < 1 or not (math.isfinite(width) and width > 0):
            raise ValueError(f"no axis of {self.bins} bins from {self.lower} to {self.upper}")

    @property
    def edges(self) -> npt.NDArray[np.float64]:
        """The bins + 1 edges."""
        return np.linspace(self.lower, self.upper, self.bins + 1)

    @property
    def width(self) -> float:
        """The width of a bin."""
        return (self.upper - self.lower) / self.bins

    def to_uhi(self) -> dict[str, Any]:
        """Return an empty histogram over the axis in UHI schema 1, ready for JSON."""
        described = {
            "type": "regular",
            "lower": float(self.lower),  # a workflow may have said 0
            "upper": float(self.upper),
            "bins": int(self.bins),
            "underflow": True,
            "overflow": True,
            "circular": False,
            "metadata": {"label": self.label, "unit": self.unit},
        }
        return {"uhi_schema": UHI_SCHEMA, "axes": [described], "storage": {"type": "int"}}

    @classmethod
    def from_uhi(cls, document: Mapping[str, Any]) -> Axis:
        """Read the axis of a histogram in UHI schema 1; ValueError unless it is one like this."""
        try:
            if document.get("uhi_schema") != UHI_SCHEMA:
                raise ValueError(f"UHI schema {document.get('uhi_schema')!r}, not {UHI_SCHEMA}")
            (described,) = document["axes"]
            flow = (described["underflow"], described["overflow"], described["circular"])
            if described["type"] != "regular" or flow != (True, True, False):
                raise ValueError("not one regular axis with under- and overflow")
            metadata = described.get("metadata", {})
            return cls(
                operator.index(described["bins"]),
                float(described["lower"]),
                float(described["upper"]),
                str(metadata.get("label", "")),
                str(metadata.get("unit", "")),
            )
        except (AttributeError, KeyError, OverflowError, TypeError) as error:
            raise ValueError(f"not a UHI histogram: {error}") from error

    def index(self, values: npt.ArrayLike) -> npt.NDArray[np.intp]:
        """Bin numbers of `values` in a counts array with flow: 0 underflow, bins + 1 overflow.

        As boost-histogram's regular axis: z = (x - lower) / (upper - lower), then floor(z * bins);
        NaN goes to overflow.
        """
        x = np.asarray(values, dtype=np.float64)
        with np.errstate(over="ignore"):  # a huge value is infinitely far out
            z = np.asarray((x - self.lower) / (self.upper - self.lower))
        inside = (z >= 0) & (z < 1)
        found = np.where(z < 0, 0, self.bins + 1).astype(np.intp)
        found[inside] = (z[inside] * self.bins).astype(np.intp) + 1
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Integer counts over an axis. `counts` has shape (bins + 2,): underflow, bins, overflow."""

    axis: Axis
    counts: Counts

    def __post_init__(self) -> None:
        if self.counts.shape != (self.axis.bins + 2,) or self.counts.dtype != np.int64:
            raise ValueError(f"counts must be {self.axis.bins + 2} int64 numbers")

    @classmethod
    def zeros(cls, axis: Axis) -> Histogram:
        """Return an empty histogram."""
        return cls(axis, np.zeros(axis.bins + 2, dtype=np.int64))

    @classmethod
    def of(cls, axis: Axis, values: npt.ArrayLike) -> Histogram:
        """Return the histogram of `values`."""
        filled = np.bincount(axis.index(values), minlength=axis.bins + 2)
        return cls(axis, filled.astype(np.int64, copy=False))

    @property
    def values(self) -> Counts:
        """The counts without under- and overflow, shape (bins,)."""
        return self.counts[1:-1]

    @property
    def total(self) -> int:
        """All entries, under- and overflow included."""
        return int(self.counts.sum())

    def between(self, lower: float, upper: float) -> int:
        """Return the counts of the bins that lie wholly in [lower, upper)."""
        edges = self.axis.edges
        slack = 1e-9 * self.axis.width
        inside = (edges[:-1] >= lower - slack) & (edges[1:] <= upper + slack)
        return int(self.values[inside].sum())

    def __add__(self, other: Histogram) -> Histogram:
        if other.axis != self.axis:
            raise ValueError(f"axes differ: {self.axis} and {other.axis}")
        return Histogram(self.axis, self.counts + other.counts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return self.axis == other.axis and np.array_equal(self.counts, other.counts)

    def __hash__(self) -> int:
        return hash((self.axis, self.counts.tobytes()))

    def to_uhi(self) -> dict[str, Any]:
        """Return the histogram in UHI schema 1, ready for JSON."""
        return {**self.axis.to_uhi(), "storage": {"type": "int", "values": self.counts.tolist()}}

    @classmethod
    def from_uhi(cls, document: Mapping[str, Any]) -> Histogram:
        """Read a histogram written by `to_uhi`; raise ValueError for any other kind."""
        axis = Axis.from_uhi(document)
        try:
            counts = np.asarray(document["storage"]["values"])
            if document["storage"]["type"] != "int" or counts.dtype.kind != "i":
                raise ValueError("not integer counts")  # a cast would cut fractions off
            return cls(axis, counts.astype(np.int64, copy=False))
        except (AttributeError, KeyError, OverflowError, TypeError) as error:
            raise ValueError(f"not a UHI histogram: {error}") from error
