"""What a workflow asks of a file of events, and what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Wanted:
    """The branches to read.

    `scalars` are numbers per event that must exist; `optional` ones are read where present.
    `collections` are lists per event: "Muon": ("pt", "eta") reads the branches `Muon_pt`,
    `Muon_eta` and their counter `nMuon`.
    """

    scalars: tuple[str, ...] = ()
    collections: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    optional: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chunk:
    """Columns of the entries [start, stop) of a file, all in native byte order.

    `scalars` maps a name to an array of shape (size,). `counts` maps a collection to its length
    in each event, shape (size,). `values` maps a branch, e.g. "Muon_pt", to the flat values of
    all events one after another, shape (counts["Muon"].sum(),), in the type stored.
    The arrays may be read-only.
    """

    start: int
    stop: int
    scalars: Mapping[str, NDArray[Any]]
    counts: Mapping[str, NDArray[np.int64]]
    values: Mapping[str, NDArray[Any]]

    @property
    def size(self) -> int:
        """The number of events."""
        return self.stop - self.start
