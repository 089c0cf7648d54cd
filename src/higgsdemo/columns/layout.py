"""Where the baskets of a TTree lie, read from its metadata without uproot.

Only branches of plain numbers (one per event, or a list counted by another branch) are understood;
everything else is `Unfamiliar`. Facts: ROOT, tree/tree/inc/TTree.h (versions 16 to 20), TBranch.h
(10 to 13), TLeaf.h (2), TBasket.h.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from higgsdemo.columns.problems import Unfamiliar
from higgsdemo.columns.stream import Item, Malformed, Stream

# Leaf class -> type of a signed or floating number, big endian; unsigned where the leaf says so.
_TYPES = {
    "TLeafO": "?",
    "TLeafB": "i1",
    "TLeafS": ">i2",
    "TLeafI": ">i4",
    "TLeafL": ">i8",
    "TLeafG": ">i8",
    "TLeafF": ">f4",
    "TLeafD": ">f8",
}
# fEntries first; the number of cluster ranges, where there is one, is the eleventh.
_TREE = {
    16: struct.Struct(">qqqqdiiiqqqqq"),
    17: struct.Struct(">qqqqdiiiiqqqqq"),
    18: struct.Struct(">qqqqqdiiiiqqqqqq"),
    19: struct.Struct(">qqqqqdiiiiIqqqqqq"),
    20: struct.Struct(">qqqqqdiiiiIqqqqqq"),
}
_CLUSTER_RANGES = 10
_BRANCH_HEAD = struct.Struct(">iiiiq")
_BRANCH_TAIL_10 = struct.Struct(">iIiqqq")
_BRANCH_TAIL = struct.Struct(">iIiqqqq")
_LEAF = struct.Struct(">iii??")
# Baskets without a table of offsets (ROOT::EIOFeatures): it is not needed here anyway.
_GENERATE_OFFSET_MAP = 1
_KEY_START = struct.Struct(">ihiIhh")
_U32 = struct.Struct(">I")
_BASKET = struct.Struct(">Hii")
_BASKET_END = struct.Struct(">ii")


@dataclass(frozen=True, slots=True)
class BasketHeader:
    """The header of a basket, bytes: `content_bytes` of values come first, then offsets."""

    length: int
    object_bytes: int
    key_bytes: int
    entries: int
    content_bytes: int


@dataclass(frozen=True)
class Branch:
    """A branch of plain numbers.

    `dtype` is as stored, big endian; `counter` names the branch with the length of each list, None
    for one number per event. Basket i holds entries [edges[i], edges[i+1]) and lies at
    `starts[i]`, `lengths[i]` bytes long; `embedded` has the content of those kept in the metadata.
    """

    name: str
    dtype: np.dtype[Any]
    counter: str | None
    edges: NDArray[np.int64]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    embedded: dict[int, memoryview] = field(default_factory=dict)


class Tree:
    """The metadata of a TTree; a branch is looked into when asked for.

    Raises Unfamiliar if it is not as expected: uproot then has a look.
    """

    def __init__(self, content: bytes, key_bytes: int) -> None:
        self._stream = Stream(content, key_bytes)
        self._items: dict[str, Item] = {}
        self._found: dict[str, Branch | Unfamiliar] = {}
        try:
            self.entries, items = self._read_tree()
            for item in items:
                if item is not None:
                    self._items.setdefault(self._name(item), item)
        except Malformed as error:
            raise Unfamiliar(f"the tree: {error}") from error
        self.branches = frozenset(self._items)
        # A branch is only understood if it has the entries of the tree. If none is, the number
        # may be what is damaged, and whatever is planned with it would be.
        if not any(isinstance(self._branch(name), Branch) for name in self._items):
            raise Unfamiliar("it has no branch of plain numbers with as many entries as the tree")

    def branch(self, name: str) -> Branch:
        """Return the layout of a branch; Unfamiliar if it is not one of plain numbers."""
        found = self._branch(name)
        if isinstance(found, Unfamiliar):
            raise found
        return found

    @functools.cached_property
    def boundaries(self) -> tuple[int, ...]:
        """Entries at which the baskets of all branches of plain numbers start anew."""
        found = (self._branch(name) for name in self._items)
        return boundaries((one for one in found if isinstance(one, Branch)), self.entries)

    def _branch(self, name: str) -> Branch | Unfamiliar:
        if name not in self._found:
            item = self._items[name]
            try:
                if item.kind != "TBranch":
                    raise Unfamiliar(f"branch {name} is a {item.kind}")
                self._found[name] = self._read_branch(name, self._stream.at(item.start))
            except Malformed as error:
                self._found[name] = Unfamiliar(f"branch {name}: {error}")
            except Unfamiliar as reason:
                self._found[name] = reason
        return self._found[name]

    def _read_tree(self) -> tuple[int, list[Item | None]]:
        stream = self._stream
        version, _ = stream.header()
        form = _TREE.get(version)
        if form is None:
            raise Unfamiliar(f"the tree is of version {version}")
        stream.named()
        for _ in ("TAttLine", "TAttFill", "TAttMarker"):
            stream.skip()
        fields = stream.unpack(form)
        if version >= 19:
            for _ in ("fClusterRangeEnd", "fClusterSize"):
                stream.array(">i8", fields[_CLUSTER_RANGES])
        if version >= 20:
            stream.skip()  # fIOFeatures
        if fields[0] < 0:
            raise Malformed(f"{fields[0]} entries")
        return fields[0], stream.items()

    def _name(self, item: Item) -> str:
        stream = self._stream.at(item.start)
        stream.header()
        if item.kind != "TBranch":  # a subclass: its TBranch part comes first
            stream.header()
        return stream.named()[0]

    def _read_branch(self, name: str, stream: Stream) -> Branch:
        version, _ = stream.header()
        if not 10 <= version <= 13:
            raise Unfamiliar(f"branch {name} is of version {version}")
        stream.named()
        stream.skip()  # TAttFill
        _, _, _, written, _ = stream.unpack(_BRANCH_HEAD)
        if version >= 13:
            stream.skip()  # fIOFeatures, whose last byte is its bits
            if stream.buffer[stream.position - 1] & ~_GENERATE_OFFSET_MAP:
                raise Unfamiliar(f"branch {name} has other baskets (TIOFeatures)")
        fields = stream.unpack(_BRANCH_TAIL_10 if version == 10 else _BRANCH_TAIL)
        slots, entries = fields[1], fields[3]
        if stream.items():
            raise Unfamiliar(f"branch {name} has branches of its own")
        leaves = stream.items()
        if len(leaves) != 1 or leaves[0] is None:
            raise Unfamiliar(f"branch {name} has {len(leaves)} leaves")
        dtype, counter = self._read_leaf(name, leaves[0])
        kept = stream.items()
        lengths = stream.array(">i4", slots).astype(np.int64)
        firsts = stream.array(">i8", slots).astype(np.int64)
        starts = stream.array(">i8", slots).astype(np.int64)
        if stream.string():
            raise Unfamiliar(f"branch {name} is in another file")
        if not 0 <= written <= slots or entries != self.entries:
            raise Malformed(f"{entries} of {self.entries} entries, {written} of {slots} baskets")
        embedded = {}
        for slot, item in enumerate(kept):
            if item is not None and slot < slots and starts[slot] == 0:
                count, content = self._read_embedded(item)
                if count:
                    embedded[slot] = content
        used = [slot for slot in range(slots) if slot < written or slot in embedded]
        position = {slot: index for index, slot in enumerate(used)}
        edges = np.append(firsts[used], entries)
        if (np.diff(edges) <= 0).any() or (edges[0] != 0):
            raise Malformed("its baskets do not follow one another")
        return Branch(
            name,
            dtype,
            counter,
            edges,
            starts[used],
            lengths[used],
            {position[slot]: content for slot, content in embedded.items()},
        )

    def _read_leaf(self, name: str, item: Item) -> tuple[np.dtype[Any], str | None]:
        kind = _TYPES.get(item.kind)
        if kind is None:
            raise Unfamiliar(f"branch {name} has a {item.kind}")
        stream = self._stream.at(item.start)
        stream.header()
        stream.header()
        stream.named()
        length, size, _, _, unsigned = stream.unpack(_LEAF)
        dtype = np.dtype(kind.replace("i", "u") if unsigned else kind)
        if length != 1 or size != dtype.itemsize:
            raise Unfamiliar(f"branch {name} has {length} numbers of {size} bytes")
        count = stream.item()
        if count is None:
            return dtype, None
        counted = self._stream.at(count.start)
        counted.header()
        counted.header()
        return dtype, counted.named()[0]

    def _read_embedded(self, item: Item) -> tuple[int, memoryview]:
        """Return entries and values of a basket kept in the metadata: never compressed."""
        if item.kind != "TBasket":
            raise Malformed(f"a {item.kind} among its baskets")
        content = memoryview(self._stream.buffer)[item.start : item.stop]
        header = read_basket_header(content)
        if header.content_bytes > len(content) - header.key_bytes:
            raise Malformed("an embedded basket is cut short")
        # Offsets, then the buffer with a second key header, whose last bytes are the values.
        return header.entries, content[len(content) - header.content_bytes :]


def read_basket_header(raw: bytes | memoryview) -> BasketHeader:
    """Return the header of a basket. Raises Malformed if it makes no sense."""
    # Spelt out, not by a Stream: it is called for every basket, thousands of times a file.
    try:
        length, version, object_bytes, _, key_bytes, _ = _KEY_START.unpack_from(raw)
        position = _KEY_START.size + (16 if version > 1000 else 8)  # fSeekKey, fSeekPdir
        for _ in ("class", "name", "title"):
            size = raw[position]
            if size == 255:
                (size,) = _U32.unpack_from(raw, position + 1)
                position += 4
            position += 1 + size
        # The fields of TBasket end the key.
        _, _, entry_bytes = _BASKET.unpack_from(raw, position)
        position += _BASKET.size
        if entry_bytes < 0:  # so says TBasket::Streamer that a byte of TIOFeatures follows
            position += 1
        entries, last = _BASKET_END.unpack_from(raw, position)
    except (struct.error, IndexError) as error:
        raise Malformed(f"a basket header within {len(raw)} bytes") from error
    position += _BASKET_END.size
    content_bytes = last - key_bytes
    if min(object_bytes, entries, content_bytes) < 0 or not position < key_bytes <= len(raw):
        raise Malformed("a basket with an impossible size")
    return BasketHeader(length, object_bytes, key_bytes, entries, content_bytes)


def boundaries(branches: Iterable[Branch], entries: int) -> tuple[int, ...]:
    """Return the entries, from 0 to `entries`, at which the baskets of all branches start anew."""
    common: NDArray[np.int64] | None = None
    for branch in branches:
        edges = branch.edges
        common = edges if common is None else np.intersect1d(common, edges, assume_unique=True)
    inner = [] if common is None else common.tolist()
    return tuple(sorted({0, entries, *inner}))
