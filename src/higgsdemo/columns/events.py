"""The one door to the events of a file, whichever reader reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

from higgsdemo.columns import problems
from higgsdemo.columns.chunk import Chunk, Wanted
from higgsdemo.columns.fast import FastReader
from higgsdemo.columns.plain import UprootReader
from higgsdemo.columns.problems import Unfamiliar
from higgsdemo.columns.rootfile import read_root_file
from higgsdemo.errors import UsageError
from higgsdemo.storage import Closing, Source, open_source

ReaderChoice = Literal["auto", "fast", "uproot"]


class Reader(Protocol):
    """What reads a tree: see `EventFile` for the meaning of each."""

    name: str
    entries: int
    branches: frozenset[str]

    @property
    def boundaries(self) -> tuple[int, ...]:
        """See `EventFile.boundaries`."""
        ...

    def chunks(self, wanted: Wanted, start: int, stop: int, events: int) -> Iterator[Chunk]:
        """See `EventFile.chunks`; the range is within the file, the branches exist."""
        ...

    def close(self) -> None:
        """Close what the reader opened, not the source."""
        ...


class EventFile(Closing):
    """A tree of events in a file. A context manager that closes what it opened.

    `url` is the file; `entries` the events in the tree; `branches` the names in it.
    """

    def __init__(self, source: Source, tree: str, reader: ReaderChoice, *, owned: bool) -> None:
        self.url = source.url
        self._source = source
        self._owned = owned
        self._tree = tree
        self._choice = reader
        self._file = read_root_file(source)
        self._reader = self._open()
        self.entries = self._reader.entries
        self.branches = self._reader.branches

    def holds(self, name: str) -> bool:
        """Whether the file has an object of this name beside the tree."""
        return self._file.find(name) is not None

    @property
    def reader(self) -> str:
        """Which path reads: "fast" or "uproot".

        It becomes uproot with the first request for a layout that the fast path does not know.
        """
        return self._reader.name

    @property
    def bytes_read(self) -> int:
        """Bytes fetched from the source so far."""
        return self._source.bytes_read

    @property
    def boundaries(self) -> tuple[int, ...]:
        """Entries from 0 to `entries` at which the baskets of all branches start anew.

        Cut a large file at these: elsewhere a basket is read and inflated for both sides.
        """
        return self._reader.boundaries

    def chunks(
        self,
        wanted: Wanted,
        start: int | None = None,
        stop: int | None = None,
        events: int = 200_000,
    ) -> Iterator[Chunk]:
        """Yield the wanted columns of entries [start, stop) in steps of about `events` entries.

        A range beyond the file is clipped to it; zero events yield nothing.

        Raises
        ------
        InputError
            A wanted branch is missing or has another shape, a counter disagrees with its content,
            or the file is truncated or damaged.
        TransientError
            The storage failed in a way that may pass.
        """
        if events < 1:
            raise ValueError(f"a step needs at least one event, not {events}")
        self._check(wanted)
        first = 0 if start is None else min(max(start, 0), self.entries)
        last = self.entries if stop is None else min(max(stop, first), self.entries)
        try:
            return self._reader.chunks(wanted, first, last, events)
        except Unfamiliar as reason:
            self._reader = self._fall_back(reason)
        return self._reader.chunks(wanted, first, last, events)

    def _open(self) -> Reader:
        if self._choice == "uproot":
            return UprootReader(self._source, self._tree)
        try:
            return FastReader(self._file, self._tree)
        except Unfamiliar as reason:
            return self._fall_back(reason)

    def _fall_back(self, reason: Unfamiliar) -> Reader:
        if self._choice == "fast":
            raise UsageError(
                "the fast reader does not know the layout of this file",
                why=str(reason),
                where=self.url,
                hint="open it with reader='auto', which falls back to uproot",
            ) from reason
        return UprootReader(self._source, self._tree)

    def _check(self, wanted: Wanted) -> None:
        """Report all missing branches at once."""
        needed = list(wanted.scalars)
        for collection, fields in wanted.collections.items():
            lists = [f"{collection}_{field}" for field in fields]
            # Lists that count themselves (std::vector) need no counter.
            if not any(name in self.branches for name in lists):
                needed.append(f"n{collection}")
            needed += lists
        missing = [name for name in dict.fromkeys(needed) if name not in self.branches]
        if missing:
            raise problems.no_branches(self.url, missing, self.branches)

    def close(self) -> None:
        """Close the file, if it was opened here. May be called again."""
        self._reader.close()
        if self._owned:
            self._source.close()


def open_events(
    source: Source | str, tree: str = "Events", reader: ReaderChoice = "auto"
) -> EventFile:
    """Open the tree of events in a file.

    `source` is an open source, which the caller closes, or the path or URL of a file. `tree` names
    a TTree or RNTuple. With `reader` "auto", the fast path reads what it knows and uproot the
    rest, with the same result; the other two insist.

    Raises
    ------
    InputError
        The file is missing, truncated, damaged, not ROOT, or has no such tree.
    """
    if not isinstance(source, str):
        return EventFile(source, tree, reader, owned=False)
    opened = open_source(source)
    try:
        return EventFile(opened, tree, reader, owned=True)
    except BaseException:
        opened.close()
        raise
