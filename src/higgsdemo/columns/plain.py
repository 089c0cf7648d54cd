"""The reader for every layout: plain uproot, slower than the fast one and with the same result.

uproot and awkward are imported when the first file needs them, not before.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from higgsdemo.columns import problems
from higgsdemo.columns.chunk import Chunk, Wanted
from higgsdemo.columns.steps import steps
from higgsdemo.errors import HiggsdemoError
from higgsdemo.storage import Source

TREES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple", "ROOT::Experimental::RNTuple")


class UprootReader:
    """Reads a TTree or RNTuple with uproot. Raises InputError for whatever uproot cannot read."""

    name = "uproot"

    def __init__(self, source: Source, tree: str) -> None:
        import uproot

        self._url = source.url
        with _blamed(self._url):
            self._file = uproot.open(
                _Handle(source),
                object_cache=None,
                array_cache=None,
                custom_classes=_classes_of_one_file(),
            )
            classes = {
                key.rpartition(";")[0]: kind
                for key, kind in self._file.classnames(recursive=True).items()
            }
        if tree not in classes:
            trees = [name for name, kind in classes.items() if kind in TREES]
            raise problems.no_tree(self._url, tree, trees)
        if classes[tree] not in TREES:
            raise problems.not_tree(self._url, tree, classes[tree])
        with _blamed(self._url):
            self._tree = self._file[tree]
            self.entries = int(self._tree.num_entries)
            self.branches = frozenset(self._tree.keys(recursive=False))
            counts = {_entries(branch) for branch in self._tree.values(recursive=False)}
        # Whatever is planned with a damaged number of entries would never end.
        if counts - {None} and self.entries not in counts:
            why = f"the tree says {self.entries} entries, its branches {counts.pop()}"
            raise problems.damaged(self._url, why)

    @functools.cached_property
    def boundaries(self) -> tuple[int, ...]:
        """Entries at which all baskets (of an RNTuple: clusters) start anew."""
        with _blamed(self._url):
            if hasattr(self._tree, "common_entry_offsets"):
                found = self._tree.common_entry_offsets()
            else:
                found = [summary.num_first_entry for summary in self._tree.cluster_summaries]
        return tuple(sorted({0, self.entries, *(int(entry) for entry in found)}))

    def chunks(self, wanted: Wanted, start: int, stop: int, events: int) -> Iterator[Chunk]:
        """Yield the entries [start, stop) in steps."""
        for begin, end in steps(self.boundaries, start, stop, events):
            yield self._chunk(wanted, begin, end)

    def close(self) -> None:
        """Close what uproot holds; the source stays open."""
        self._file.close()

    def _chunk(self, wanted: Wanted, start: int, stop: int) -> Chunk:
        scalars = {}
        present = (name for name in wanted.optional if name in self.branches)
        for name in (*wanted.scalars, *present):
            scalars[name], counts = self._read(name, start, stop)
            if counts is not None:
                raise problems.wrong_kind(self._url, name, "a list per event", "a number per event")
        lengths: dict[str, NDArray[np.int64]] = {}
        values: dict[str, NDArray[Any]] = {}
        for collection, fields in wanted.collections.items():
            counter = f"n{collection}"
            if counter in self.branches:
                lengths[collection] = self._counter(counter, start, stop)
            for field in fields:
                name = f"{collection}_{field}"
                values[name], counts = self._read(name, start, stop)
                if counts is None:
                    raise problems.wrong_kind(
                        self._url, name, "a number per event", "a list per event"
                    )
                # A std::vector counts itself: its counter branch may be absent.
                self._compare(name, counter, lengths.setdefault(collection, counts), counts, start)
        return Chunk(start, stop, scalars, lengths, values)

    def _counter(self, counter: str, start: int, stop: int) -> NDArray[np.int64]:
        numbers, counts = self._read(counter, start, stop)
        if counts is not None or numbers.dtype.kind not in "iu":
            raise problems.wrong_kind(self._url, counter, "no integers", "one integer per event")
        lengths = numbers.astype(np.int64)
        if lengths.size and lengths.min() < 0:
            at = int(np.argmax(lengths < 0))
            raise problems.negative(self._url, counter, start + at, int(lengths[at]))
        return lengths

    def _compare(
        self,
        name: str,
        counter: str,
        counted: NDArray[np.int64],
        found: NDArray[np.int64],
        start: int,
    ) -> None:
        if np.array_equal(counted, found):
            return
        at = int(np.argmax(counted != found))
        raise problems.disagrees(
            self._url, name, counter, start + at, start + at + 1, int(found[at]), int(counted[at])
        )

    def _read(
        self, name: str, start: int, stop: int
    ) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
        """Return the flat numbers of a branch, and their count per event if it holds lists."""
        import awkward as ak

        with _blamed(self._url, name, start):
            branch = self._tree[name]
            entries = _entries(branch)
        if entries not in (None, self.entries):
            why = f"the tree says {self.entries} entries, this branch {entries}"
            raise problems.damaged(self._url, why, branch=name)
        with _blamed(self._url, name, start):
            array = branch.array(entry_start=start, entry_stop=stop, library="ak", array_cache=None)
            layout = ak.to_packed(array).layout
        counts = None
        if isinstance(layout, ak.contents.ListOffsetArray):
            counts = np.diff(np.asarray(layout.offsets.data)).astype(np.int64)
            layout = layout.content
        elif isinstance(layout, ak.contents.RegularArray):  # a fixed-size array in every event
            counts = np.full(layout.length, layout.size, np.int64)
            layout = layout.content
        elif isinstance(layout, ak.contents.NumpyArray) and layout.data.ndim == 2:
            counts = np.full(layout.length, layout.data.shape[1], np.int64)
            layout = layout.to_RegularArray().content
        numeric = isinstance(layout, ak.contents.NumpyArray) and layout.data.ndim == 1
        if not numeric or layout.parameter("__array__") is not None:  # letters of a string
            raise problems.wrong_kind(
                self._url, name, f"{array.type.content}", "numbers or flat lists of numbers"
            )
        numbers = np.asarray(layout.data)
        return numbers.astype(numbers.dtype.newbyteorder("="), copy=False), counts


def _classes_of_one_file() -> dict[str, Any]:
    """Return uproot's classes such that what a file adds to them stays with that file.

    uproot makes a class for a version it has not met from the file's own description of it, and
    keeps it for all files read later. A damaged version number then replaces a class that was
    right, and every sound file that this process reads afterwards would be blamed.
    """
    import uproot

    return {
        name: type(kind.__name__, (kind,), {"known_versions": dict(kind.known_versions)})
        if issubclass(kind, uproot.model.DispatchByVersion)
        else kind
        for name, kind in uproot.classes.items()
    }


def _entries(branch: Any) -> int | None:
    """Return the entries of a branch; None for a field of an RNTuple, which has no such number."""
    return int(branch.member("fEntries")) if hasattr(branch, "member") else None


class _Handle:
    """A source as the file-like object that uproot reads from."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._position = 0

    def __repr__(self) -> str:  # uproot's messages name the file with it
        return self._source.url

    def seek(self, position: int) -> int:
        self._position = position
        return position

    def read(self, size: int) -> bytes:
        start = min(self._position, self._source.size)
        stop = min(start + size, self._source.size)
        self._position = stop
        return bytes(self._source.read([(start, stop)])[0])


@contextlib.contextmanager
def _blamed(url: str, branch: str | None = None, entry: int | None = None) -> Iterator[None]:
    """Turn what uproot raises on bytes it cannot interpret into an InputError.

    On damaged metadata that is any exception at all (TypeError, AssertionError, RecursionError
    ...), so not its type decides but where it was raised: in the code of uproot or below it, the
    file is at fault; in this package, it is a bug and stays one.
    """
    try:
        yield
    except (HiggsdemoError, MemoryError):
        raise
    except Exception as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        # Code that uproot generates for a class has no module name.
        module = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else __name__
        if module.startswith("higgsdemo."):
            raise
        said = " ".join(str(error).split())
        why = f"{type(error).__name__}: {said[:400]}"
        raise problems.unreadable(url, why, branch=branch, entry=entry) from error
