"""The outside of a ROOT file: its header, the keys of its top directory, an object's bytes.

Facts: ROOT, io/io/src/TFile.cxx (class documentation), TDirectoryFile.cxx, TKey.cxx. An offset
is eight bytes long instead of four where the version is above a million (file) or a thousand.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from higgsdemo.columns import problems
from higgsdemo.columns.inflate import Corrupt, inflate
from higgsdemo.columns.stream import Malformed, Stream
from higgsdemo.storage import Source

_MAGIC = b"root"
_HEAD_BYTES = 100
_START = struct.Struct(">ii")
_FILE = struct.Struct(">iiiii")
_LARGE_FILE = struct.Struct(">qqiii")
_DIRECTORY = struct.Struct(">hIIii")
_SEEKS = struct.Struct(">iii")
_LARGE_SEEKS = struct.Struct(">qqq")
_KEY = struct.Struct(">ihiIhh")
_KEY_SEEKS = struct.Struct(">ii")
_LARGE_KEY_SEEKS = struct.Struct(">qq")


@dataclass(frozen=True, slots=True)
class Key:
    """What a directory says of an object: sizes and offsets in bytes."""

    name: str
    kind: str
    cycle: int
    start: int
    length: int
    object_bytes: int
    key_bytes: int


@dataclass(frozen=True, slots=True)
class RootFile:
    """A file whose header and top directory make sense. `stop` is where its content ends."""

    source: Source
    stop: int
    keys: tuple[Key, ...]

    def find(self, name: str) -> Key | None:
        """Return the key of that name, of the latest cycle."""
        found = [key for key in self.keys if key.name == name]
        return max(found, key=lambda key: key.cycle, default=None)

    def content(self, key: Key) -> bytes:
        """Return the inflated bytes of an object."""
        url = self.source.url
        place = f"the object {key.name!r} at byte {key.start}"
        if key.start + key.length > self.stop:
            raise problems.truncated(url, f"{place} ends beyond byte {self.stop}")
        (raw,) = self.source.read([(key.start, key.start + key.length)])
        try:
            there = _key(Stream(raw))
            sizes = (there.length, there.object_bytes, there.key_bytes)
            if sizes != (key.length, key.object_bytes, key.key_bytes):
                raise Malformed("the directory has other sizes than the object itself")
            return inflate(memoryview(raw)[key.key_bytes :], key.object_bytes)
        except (Malformed, Corrupt) as error:
            raise problems.damaged(url, f"{place}: {error}") from error


def read_root_file(source: Source) -> RootFile:
    """Read header and top directory.

    Raises InputError if it is empty, not ROOT, shorter than its header says, or damaged.
    """
    if source.size == 0:
        raise problems.not_root(source.url, "the file is empty")
    (head,) = source.read([(0, min(_HEAD_BYTES, source.size))])
    if bytes(head[:4]) != _MAGIC:
        raise problems.not_root(source.url, f"it starts with {bytes(head[:16])!r}, not with 'root'")
    try:
        return _read(source, Stream(head, position=4))
    except Malformed as error:
        if len(head) < _HEAD_BYTES:
            why = f"it has {source.size} bytes, fewer than any ROOT file"
            raise problems.truncated(source.url, why) from error
        raise problems.damaged(source.url, f"its header or directory: {error}") from error


def _read(source: Source, head: Stream) -> RootFile:
    version, begin = head.unpack(_START)
    stop, _, _, _, name_bytes = head.unpack(_LARGE_FILE if version >= 1_000_000 else _FILE)
    if stop > source.size:
        why = f"it has {source.size} bytes, its header says {stop}"
        raise problems.truncated(source.url, why)

    def part(start: int, size: int) -> Stream:
        if not 0 <= start <= start + size <= stop:
            raise Malformed(f"bytes {start} to {start + size} of {stop}")
        return Stream(source.read([(start, start + size)])[0])

    start = begin + name_bytes
    directory = part(start, min(_DIRECTORY.size + _LARGE_SEEKS.size, max(stop - start, 0)))
    version, _, _, list_bytes, _ = directory.unpack(_DIRECTORY)
    _, _, list_start = directory.unpack(_LARGE_SEEKS if version > 1000 else _SEEKS)
    if list_start == 0 or list_bytes == 0:
        raise Malformed("no list of keys: whatever wrote the file did not close it")
    listed = part(list_start, list_bytes)
    _key(listed)
    (count,) = listed.unpack(struct.Struct(">i"))
    return RootFile(source, stop, tuple(_key(listed) for _ in range(count)))


def _key(stream: Stream) -> Key:
    length, version, object_bytes, _, key_bytes, cycle = stream.unpack(_KEY)
    start, _ = stream.unpack(_LARGE_KEY_SEEKS if version > 1000 else _KEY_SEEKS)
    kind, name, _ = stream.string(), stream.string(), stream.string()
    if not (0 < key_bytes <= length and object_bytes >= 0 and start > 0):
        raise Malformed(f"key {name!r} has impossible sizes")
    return Key(name, kind, cycle, start, length, object_bytes, key_bytes)
