"""Reduced-NanoAOD-like files from arrays, and what compares two readings of one.

Other rooms' tests may use it: `from tests.columns.files import write_events`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from higgsdemo.columns import EventFile, Wanted

Scalars = Mapping[str, NDArray[Any]]
Collections = Mapping[str, tuple[NDArray[Any], Mapping[str, NDArray[Any]]]]
COMPRESSIONS = {
    "none": None,
    "zlib": uproot.ZLIB(1),
    "lz4": uproot.LZ4(4),
    "zstd": uproot.ZSTD(5),
    "lzma": uproot.LZMA(5),
}


def write_events(
    path: Path,
    scalars: Scalars,
    collections: Collections,
    *,
    compression: str = "zlib",
    basket_events: int | None = None,
    tree: str = "Events",
) -> Path:
    """Write a TTree with one basket per branch and `basket_events` events (None: all in one).

    `scalars` are arrays of one number per event. `collections` maps "Muon" to its counts per event
    and its flat values, {"pt": ...}: written are `nMuon` and `Muon_pt`, jagged.
    """
    columns: dict[str, Any] = dict(scalars)
    for name, (counts, fields) in collections.items():
        columns[name] = ak.zip({key: ak.unflatten(flat, counts) for key, flat in fields.items()})
    types = {
        key: value.dtype if isinstance(value, np.ndarray) else value.type.content
        for key, value in columns.items()
    }
    events = len(next(iter(columns.values())))
    step = basket_events or max(events, 1)
    with uproot.recreate(path, compression=COMPRESSIONS[compression]) as file:
        made = file.mktree(tree, types)
        for start in range(0, events, step):
            made.extend({key: value[start : start + step] for key, value in columns.items()})
    return path


def random_events(events: int, seed: int = 1, mean: float = 2.1) -> tuple[Any, Any]:
    """Return scalars and collections for `write_events`: 40 branches, made to compress well."""
    random = np.random.default_rng(seed)
    number = np.arange(events)
    scalars = {
        "run": (194_000 + number // 500).astype(np.int32),
        "luminosityBlock": (number // 50).astype(np.uint32),
        "event": (number * 1_000_003).astype(np.uint64),
        "PV_npvs": random.poisson(15, events).astype(np.int32),
        "HLT_any": random.random(events) < 0.3,
        "MET_pt": np.round(random.exponential(30, events)).astype(np.float32),
    }
    collections = {}
    for name in ("Muon", "Electron", "Tau"):
        counts = random.poisson(mean, events)
        total = int(counts.sum())
        fields = {
            key: np.round(random.exponential(20, total)).astype(np.float32)
            for key in ("pt", "eta", "phi", "mass", "iso", "dxy", "dxyErr", "dz", "dzErr")
        }
        fields["charge"] = random.choice(np.array([-1, 1], np.int32), total)
        collections[name] = (counts, fields)
    collections["Muon"][1]["tightId"] = random.random(collections["Muon"][1]["pt"].size) < 0.7
    return scalars, collections


WANTED = Wanted(
    scalars=("run", "HLT_any", "MET_pt"),
    collections={"Muon": ("pt", "charge", "tightId"), "Electron": ("dzErr", "pt"), "Tau": ()},
    optional=("event", "notThere"),
)


def read(
    file: EventFile,
    wanted: Wanted = WANTED,
    start: int | None = None,
    stop: int | None = None,
    events: int = 200_000,
) -> dict[str, NDArray[Any]]:
    """Return all chunks as one: scalars and values by name, counts as "nMuon"."""
    parts: dict[str, list[NDArray[Any]]] = {}
    position = start or 0
    for chunk in file.chunks(wanted, start, stop, events):
        assert chunk.start == position
        position = chunk.stop
        counts = {f"n{name}": count for name, count in chunk.counts.items()}
        for columns in (chunk.scalars, counts, chunk.values):
            for name, column in columns.items():
                parts.setdefault(name, []).append(column)
        assert all(column.size == chunk.size for column in chunk.scalars.values())
        assert all(count.size == chunk.size for count in counts.values())
    return {name: np.concatenate(columns) for name, columns in parts.items()}


def assert_same(one: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]]) -> None:
    """Check that two readings are the same, bit for bit, in native byte order."""
    assert one.keys() == other.keys()
    for name, column in one.items():
        assert column.dtype == other[name].dtype, name
        assert column.dtype.isnative, name
        assert column.tobytes() == other[name].tobytes(), name


def assert_content(
    found: Mapping[str, NDArray[Any]],
    scalars: Scalars,
    collections: Collections,
    start: int = 0,
    stop: int | None = None,
) -> None:
    """Check a reading of entries [start, stop) against the arrays that were written."""
    for name, column in found.items():
        if name in scalars:
            expected: NDArray[Any] = scalars[name][start:stop]
        elif name[1:] in collections:
            expected = collections[name[1:]][0][start:stop]
        else:
            collection, _, key = name.partition("_")
            counts, fields = collections[collection]
            first = int(counts[:start].sum())
            expected = fields[key][first : first + int(counts[start:stop].sum())]
        np.testing.assert_array_equal(column, expected, err_msg=name)
