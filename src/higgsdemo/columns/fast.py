"""The fast reader: plain TTree branches straight from their baskets into flat columns.

What makes it fast: only the wanted branches are read, in requests as large as the storage likes;
steps follow the clusters, and a basket that straddles two steps is inflated once; the table of
offsets at the end of each basket of lists, a third of the bytes, is foretold from the counter
instead of inflated (`inflate_head`), and so verified too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from higgsdemo.columns import problems
from higgsdemo.columns.chunk import Chunk, Wanted
from higgsdemo.columns.inflate import Corrupt, inflate_head
from higgsdemo.columns.layout import Branch, Tree, boundaries, read_basket_header
from higgsdemo.columns.problems import Unfamiliar
from higgsdemo.columns.rootfile import RootFile
from higgsdemo.columns.steps import steps
from higgsdemo.columns.stream import Malformed
from higgsdemo.errors import InputError
from higgsdemo.storage import Range, ReadsAhead

Raw = bytes | memoryview


@dataclass(frozen=True, slots=True)
class _Basket:
    """An inflated basket of entries [first, last); `values` as stored, big endian.

    The values of entry e are [offsets[e - first], offsets[e - first + 1]); None: one each.
    """

    first: int
    last: int
    values: NDArray[Any]
    offsets: NDArray[np.int64] | None

    def between(self, start: int, stop: int) -> NDArray[Any]:
        """Return the values of those of its entries that are in [start, stop)."""
        begin, end = max(start, self.first) - self.first, min(stop, self.last) - self.first
        if self.offsets is not None:
            begin, end = int(self.offsets[begin]), int(self.offsets[end])
        return self.values[begin:end]


@dataclass(slots=True)
class _Column:
    """A branch being read, with the baskets that the next step needs again."""

    branch: Branch
    held: dict[int, _Basket] = field(default_factory=dict)

    def touched(self, start: int, stop: int) -> range:
        """Return the numbers of the baskets with entries in [start, stop)."""
        edges = self.branch.edges
        return range(
            int(np.searchsorted(edges, start, side="right")) - 1,
            int(np.searchsorted(edges, stop, side="left")),
        )

    def missing(self, start: int, stop: int, coming: range = range(0)) -> list[int]:
        """Return the numbers of those that are neither held nor `coming`."""
        return [
            index
            for index in self.touched(start, stop)
            if index not in self.held and index not in coming
        ]

    def gather(self, start: int, stop: int) -> NDArray[Any]:
        """Return the values of entries [start, stop), in native byte order."""
        parts = [self.held[index].between(start, stop) for index in self.touched(start, stop)]
        native = self.branch.dtype.newbyteorder("=")
        found = np.empty(sum(part.size for part in parts), native)
        position = 0
        for part in parts:
            found[position : position + part.size] = part
            position += part.size
        return found

    def forget(self, entry: int) -> None:
        """Let go of the baskets that end at or before `entry`."""
        self.held = {index: one for index, one in self.held.items() if one.last > entry}


@dataclass(slots=True)
class _Collection:
    """Lists that share a counter."""

    counter: _Column
    lists: dict[str, _Column]

    def span(self, start: int, stop: int, before: tuple[int, int] | None = None) -> tuple[int, int]:
        """Return the entries whose counts are needed to read the lists of [start, stop).

        That is from where the first missing basket starts to where the last one ends; those
        of the step `before` will be there.
        """
        first, last = start, stop
        for column in self.lists.values():
            coming = column.touched(*before) if before else range(0)
            for index in column.missing(start, stop, coming):
                first = min(first, int(column.branch.edges[index]))
                last = max(last, int(column.branch.edges[index + 1]))
        return first, last


@dataclass(frozen=True, slots=True)
class _Step:
    """Entries [start, stop): whose counts are needed, and the baskets to fetch."""

    start: int
    stop: int
    spans: dict[str, tuple[int, int]]
    missing: list[tuple[Branch, list[int]]]


@dataclass(frozen=True, slots=True)
class _Offsets:
    """Where the lists of entries from `first` on start: counted in values, `ends[0]` is 0."""

    counter: str
    first: int
    ends: NDArray[np.int64]
    _found: dict[tuple[int, int], NDArray[np.int64]] = field(default_factory=dict)
    _tables: dict[tuple[int, int, int, int], memoryview] = field(default_factory=dict)

    def of(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the offsets of entries [start, stop) from the first of their values."""
        found = self._found.get((start, stop))
        if found is None:  # the lists of a collection mostly have the same baskets
            found = self.ends[start - self.first : stop - self.first + 1]
            found = found - found[0] if found[0] else found
            self._found[start, stop] = found
        return found

    def table(self, start: int, stop: int, item_bytes: int, key_bytes: int) -> memoryview:
        """Return the table of offsets that ROOT writes after the lists, but for its last number.

        It is how many numbers follow, then where each entry starts, counted from the key's first
        byte (ROOT, TBasket::WriteBuffer). The last number is 0 (ROOT) or where the values end
        (uproot).
        """
        known = (start, stop, item_bytes, key_bytes)
        if known not in self._tables:
            ends = self.of(start, stop)
            # In 32 bits, in place: a basket is below 2 GiB.
            table = ends.astype(np.int32)
            table[1:] = table[:-1]
            table *= item_bytes
            table += key_bytes
            table[0] = ends.size
            table.byteswap(inplace=True)
            self._tables[known] = table.data.cast("B")
        return self._tables[known]


class FastReader:
    """Reads the plain branches of a TTree. Raises Unfamiliar for what it does not know."""

    name = "fast"

    def __init__(self, file: RootFile, tree: str) -> None:
        key = file.find(tree)
        if key is None or key.kind != "TTree":
            raise Unfamiliar(f"{tree} is a {key.kind if key else 'name of another directory'}")
        self._source = file.source
        self._url = file.source.url
        self._stop = file.stop
        self._tree = Tree(file.content(key), key.key_bytes)
        self.entries = self._tree.entries
        self.branches = self._tree.branches

    @property
    def boundaries(self) -> tuple[int, ...]:
        """Entries at which the baskets of all plain branches start anew."""
        return self._tree.boundaries

    def chunks(self, wanted: Wanted, start: int, stop: int, events: int) -> Iterator[Chunk]:
        """Return the entries [start, stop) in steps; Unfamiliar before anything is read."""
        names = [*wanted.scalars, *(name for name in wanted.optional if name in self.branches)]
        scalars = {name: _Column(self._scalar(name)) for name in names}
        collections = {
            name: self._collection(name, fields) for name, fields in wanted.collections.items()
        }
        branches = [column.branch for column in scalars.values()]
        for collection in collections.values():
            branches.append(collection.counter.branch)
            branches += [column.branch for column in collection.lists.values()]
        cuts = boundaries(branches, self.entries)
        return self._chunks(scalars, collections, list(steps(cuts, start, stop, events)))

    def close(self) -> None:
        """Do nothing: the source is all that is open."""

    def _scalar(self, name: str) -> Branch:
        branch = self._tree.branch(name)
        if branch.counter is not None:
            raise problems.wrong_kind(self._url, name, "a list per event", "a number per event")
        return branch

    def _collection(self, name: str, fields: tuple[str, ...]) -> _Collection:
        counter = f"n{name}"
        if counter not in self.branches:
            raise Unfamiliar(f"there is no branch {counter}")
        branch = self._scalar(counter)
        if branch.dtype.kind not in "iu":
            raise problems.wrong_kind(self._url, counter, "no integers", "one integer per event")
        lists = {}
        for one in (f"{name}_{suffix}" for suffix in fields):
            listed = self._tree.branch(one)
            if listed.counter is None:
                raise problems.wrong_kind(self._url, one, "a number per event", "a list per event")
            if listed.counter != counter:
                raise Unfamiliar(f"{one} is counted by {listed.counter}")
            lists[one] = _Column(listed)
        return _Collection(_Column(branch), lists)

    def _chunks(
        self,
        scalars: dict[str, _Column],
        collections: dict[str, _Collection],
        cuts: list[tuple[int, int]],
    ) -> Iterator[Chunk]:
        for position, (start, stop) in enumerate(cuts):
            step = self._step(scalars, collections, start, stop)
            fetched = self._fetch(step.missing)
            if position + 1 < len(cuts) and isinstance(self._source, ReadsAhead):
                following = self._step(scalars, collections, *cuts[position + 1], step)
                self._source.prefetch(_ranges(following.missing))
            yield self._chunk(scalars, collections, step, fetched)

    def _step(
        self,
        scalars: dict[str, _Column],
        collections: dict[str, _Collection],
        start: int,
        stop: int,
        before: _Step | None = None,
    ) -> _Step:
        """Plan the entries [start, stop); the baskets of the step `before` are on their way."""
        missing = []
        spans = {}
        previous = (before.start, before.stop) if before else (0, 0)

        def add(column: _Column, span: tuple[int, int], past: tuple[int, int]) -> None:
            coming = column.touched(*past) if before else range(0)
            missing.append((column.branch, column.missing(*span, coming)))

        for column in scalars.values():
            add(column, (start, stop), previous)
        for name, collection in collections.items():
            spans[name] = collection.span(start, stop, previous if before else None)
            add(collection.counter, spans[name], before.spans[name] if before else (0, 0))
            for column in collection.lists.values():
                add(column, (start, stop), previous)
        return _Step(start, stop, spans, missing)

    def _chunk(
        self,
        scalars: dict[str, _Column],
        collections: dict[str, _Collection],
        step: _Step,
        fetched: dict[tuple[str, int], Raw],
    ) -> Chunk:
        start, stop = step.start, step.stop
        columns = {}
        for name, column in scalars.items():
            self._fill(column, start, stop, fetched, None)
            columns[name] = column.gather(start, stop)
            column.forget(stop)
        counts, values = {}, {}
        for name, collection in collections.items():
            first, last = step.spans[name]
            self._fill(collection.counter, first, last, fetched, None)
            lengths = self._lengths(collection.counter, first, last)
            collection.counter.forget(stop)
            offsets = _Offsets(
                collection.counter.branch.name, first, np.append(0, np.cumsum(lengths))
            )
            counts[name] = lengths[start - first : stop - first]
            for branch, column in collection.lists.items():
                self._fill(column, start, stop, fetched, offsets)
                values[branch] = column.gather(start, stop)
                column.forget(stop)
        return Chunk(start, stop, columns, counts, values)

    def _lengths(self, column: _Column, first: int, last: int) -> NDArray[np.int64]:
        """Return the counts of entries [first, last)."""
        lengths = column.gather(first, last).astype(np.int64)
        if lengths.size and lengths.min() < 0:
            at = int(np.argmax(lengths < 0))
            name = column.branch.name
            raise problems.negative(self._url, name, first + at, int(lengths[at]))
        return lengths

    def _fetch(self, missing: list[tuple[Branch, list[int]]]) -> dict[tuple[str, int], Raw]:
        """Read all missing baskets at once: the storage makes few requests of them."""
        where: list[tuple[str, int]] = []
        for branch, indices in missing:
            for index in indices:
                if index in branch.embedded:
                    continue
                begin, size = int(branch.starts[index]), int(branch.lengths[index])
                if begin <= 0 or size <= 0:
                    raise self._broken(branch, index, "the basket was never written")
                if begin + size > self._stop:
                    why = f"a basket ends at byte {begin + size}, the content at {self._stop}"
                    raise problems.truncated(self._url, why, branch=branch.name)
                where.append((branch.name, index))
        return dict(zip(where, self._source.read(_ranges(missing)), strict=True))

    def _fill(
        self,
        column: _Column,
        start: int,
        stop: int,
        fetched: dict[tuple[str, int], Raw],
        offsets: _Offsets | None,
    ) -> None:
        """Inflate the missing baskets of a column; their bytes are let go of at once."""
        branch = column.branch
        for index in column.missing(start, stop):
            first, last = int(branch.edges[index]), int(branch.edges[index + 1])
            ends = offsets.of(first, last) if offsets is not None else None
            size = int(ends[-1]) if ends is not None else last - first
            content: Raw | None = branch.embedded.get(index)
            if content is None:
                raw = fetched.pop((branch.name, index))
                content = self._inflate(branch, index, raw, offsets)
            if len(content) != size * branch.dtype.itemsize:
                found = len(content) // branch.dtype.itemsize
                if offsets is None:
                    raise self._broken(branch, index, f"{found} numbers for {size} entries")
                raise problems.disagrees(
                    self._url, branch.name, offsets.counter, first, last, found, size
                )
            values = np.frombuffer(content, branch.dtype)
            column.held[index] = _Basket(first, last, values, ends)

    def _inflate(self, branch: Branch, index: int, raw: Raw, offsets: _Offsets | None) -> Raw:
        """Return the values of a basket, which has the number of entries the tree says."""
        try:
            header = read_basket_header(raw)
        except Malformed as error:
            raise self._broken(branch, index, str(error)) from error
        start, stop = int(branch.edges[index]), int(branch.edges[index + 1])
        entries = stop - start
        if header.length != len(raw) or header.entries != entries:
            why = (
                f"the basket says {header.length} bytes and {header.entries} entries, "
                f"the tree {len(raw)} and {entries}"
            )
            raise self._broken(branch, index, why)
        head, size = header.content_bytes, header.object_bytes
        if head > size:
            raise self._broken(branch, index, f"{head} bytes of values in a basket of {size}")
        table, last = None, list[bytes]()
        item_bytes = branch.dtype.itemsize
        if offsets is not None and offsets.of(start, stop)[-1] * item_bytes == head:
            table = offsets.table(start, stop, item_bytes, header.key_bytes)
            last = [bytes(4), _big_endian(head + header.key_bytes)]
        try:
            content = inflate_head(
                memoryview(raw)[header.key_bytes :], size, head, last, table or b""
            )
        except Corrupt as error:
            raise self._broken(branch, index, str(error)) from error
        if table is not None and len(content) > head:
            self._compare(branch, index, bytes(content[head:]), bytes(table))
        return memoryview(content)[:head]

    def _compare(self, branch: Branch, index: int, tail: bytes, table: bytes) -> None:
        """Compare the table of offsets in a basket with the one that the counter foretells."""
        first = int(branch.edges[index])
        if len(tail) < len(table):
            why = f"a table of offsets of {len(tail)} bytes instead of {len(table) + 4}"
            raise self._broken(branch, index, why)
        # Not the first number, which is how many follow.
        stored = np.frombuffer(tail[4 : len(table)], ">i4")
        other = np.flatnonzero(stored != np.frombuffer(table[4:], ">i4"))
        if other.size:  # a list starts elsewhere: the one before it has another length
            at = first + max(int(other[0]) - 1, 0)
            raise problems.disagrees_at(self._url, branch.name, str(branch.counter), at)

    def _broken(self, branch: Branch, index: int, why: str) -> InputError:
        return problems.damaged(self._url, why, branch=branch.name, entry=int(branch.edges[index]))


def _ranges(missing: list[tuple[Branch, list[int]]]) -> list[Range]:
    """Return where the baskets are that are not in the tree itself."""
    return [
        (int(branch.starts[index]), int(branch.starts[index]) + int(branch.lengths[index]))
        for branch, indices in missing
        for index in indices
        if index not in branch.embedded
    ]


def _big_endian(number: int) -> bytes:
    return number.to_bytes(4, "big")
