"""The leptons of a chunk: which branches, checked for NaN, gathered for the events that matter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from higgsdemo.columns import Chunk
from higgsdemo.errors import InputError

Bools = NDArray[np.bool_]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Flavour:
    """A kind of lepton: its collection, its isolation branch, and the acceptance.

    `pt_min` in GeV. The numbers are the same in the AOD analysis (HiggsDemoAnalyzerGit.cc) and
    in the public RDataFrame tutorial df103.
    """

    collection: str
    isolation: str
    pt_min: float
    eta_max: float
    pdg_id: int

    @property
    def attributes(self) -> tuple[str, ...]:
        """The branches read, without the collection's name."""
        return (*_COMMON, self.isolation)


_COMMON = ("pt", "eta", "phi", "mass", "charge", "dxy", "dxyErr", "dz", "dzErr")
MUON = Flavour("Muon", "pfRelIso04_all", pt_min=5.0, eta_max=2.4, pdg_id=13)
ELECTRON = Flavour("Electron", "pfRelIso03_all", pt_min=7.0, eta_max=2.5, pdg_id=11)

_BLOCK = 1 << 15  # events; twice as many or half as many are slower


class Leptons:
    """The leptons of one flavour in some events of a chunk.

    `counts` has shape (events,), `bounds` (events + 1,): where the leptons of each event begin.
    A column, e.g. ``leptons["pt"]``, is flat: the leptons of all these events one after another,
    in the order stored; floating-point ones are float32.
    """

    def __init__(self, chunk: Chunk, flavour: Flavour, events: slice | Indices) -> None:
        self.flavour = flavour
        self._chunk = chunk
        self._columns: dict[str, NDArray[Any]] = {}
        counts = chunk.counts[flavour.collection]
        bounds = chunk_bounds(counts)
        self._where: slice | Indices
        if isinstance(events, slice):
            self.counts = counts[events]
            inside = bounds[events.start : events.stop + 1]
            self.bounds: Indices = inside - inside[0]
            self._where = slice(int(inside[0]), int(inside[-1]))
        else:
            self.counts = counts.take(events)
            self.bounds = chunk_bounds(self.counts)
            shift = bounds.take(events) - self.bounds[:-1]
            self._where = np.repeat(shift, self.counts) + np.arange(self.bounds[-1])

    def __getitem__(self, attribute: str) -> NDArray[Any]:
        if attribute not in self._columns:
            values = self._chunk.values[f"{self.flavour.collection}_{attribute}"]
            values = (
                values[self._where] if isinstance(self._where, slice) else values.take(self._where)
            )
            if attribute != "charge":
                values = values.astype(np.float32, copy=False)  # NanoAOD's type, in any file
            self._columns[attribute] = values
        return self._columns[attribute]

    @property
    def isolation(self) -> NDArray[Any]:
        """The relative isolation; -999 where it is not a particle-flow candidate."""
        return self[self.flavour.isolation]

    def in_chunk(self, leptons: Indices) -> Indices:
        """Turn positions in these columns into positions in the chunk's own arrays."""
        if isinstance(self._where, slice):
            return leptons + int(self._where.start)
        return self._where.take(leptons)

    def ranks(self, flags: NDArray[Any]) -> Indices:
        """Return how many leptons have the flag before each event, shape (events + 1,)."""
        running: Indices = np.zeros(flags.size + 1, dtype=np.intp)
        np.cumsum(flags, out=running[1:])
        return running.take(self.bounds)

    def count(self, flags: NDArray[Any]) -> Indices:
        """Return how many leptons of each event have the flag, shape (events,)."""
        counted: Indices = np.diff(self.ranks(flags))
        return counted

    def every(self, flags: Bools) -> Bools:
        """Return whether all leptons of each event have the flag, shape (events,)."""
        if flags.all():
            return np.ones(self.counts.size, dtype=np.bool_)
        all_flagged: Bools = self.count(flags) == self.counts
        return all_flagged


def blocks(possible: Bools) -> Iterator[Indices]:
    """Yield the possible events in blocks whose columns stay in the processor's cache.

    There is at least one block, if an empty one: every step is counted.
    """
    entries = np.flatnonzero(possible)
    for start in range(0, max(entries.size, 1), _BLOCK):
        yield entries[start : start + _BLOCK]


def span(block: Indices) -> slice | Indices:
    """Return the range of a block that most events of the range are in, else the block.

    The columns of a range need not be copied.
    """
    if block.size and 2 * block.size > block[-1] - block[0]:
        return slice(int(block[0]), int(block[-1]) + 1)
    return block


def require_finite(chunk: Chunk, flavour: Flavour, where: str) -> None:
    """Raise InputError where a lepton branch holds NaN or infinite values.

    Such values fail every cut or none, silently; a file with them is broken.
    """
    for attribute in flavour.attributes:
        branch = f"{flavour.collection}_{attribute}"
        if chunk.values[branch].dtype.kind != "f":
            continue
        values = chunk.values[branch].astype(np.float32, copy=False)  # as it will be used
        # A sum is finite only if all terms are; the converse fails only where it overflows.
        if np.isfinite(np.add.reduce(values)):
            continue
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size == 0:
            continue
        counts = chunk.counts[flavour.collection]
        event = int(np.searchsorted(chunk_bounds(counts), bad[0], side="right")) - 1
        raise InputError(
            f"branch {branch!r} holds NaN or infinite values",
            where=where,
            why=f"{bad.size} of {values.size} values in entries {chunk.start} to {chunk.stop}, "
            f"the first in entry {chunk.start + event}",
            hint="the file is broken or was written wrongly: get it again, or leave it out",
        )


def chunk_bounds(counts: NDArray[np.int64]) -> Indices:
    """Return where the leptons of each event begin, and the end: shape (events + 1,)."""
    bounds = np.zeros(counts.size + 1, dtype=np.intp)
    np.cumsum(counts, out=bounds[1:])
    return bounds
