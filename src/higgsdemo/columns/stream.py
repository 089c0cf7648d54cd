"""ROOT's object streaming: just enough of it to find the baskets of a tree.

Every object starts with its length and version, so what is not known can be stepped over. Facts:
ROOT, io/io/src/TBufferFile.cxx (ReadVersion, ReadObjectAny), core/cont/src/TObjArray.cxx.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BYTE_COUNT = 0x40000000
_NEW_CLASS = 0xFFFFFFFF
_CLASS = 0x80000000
_MAP_OFFSET = 2
_REFERENCED = 1 << 4
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_OBJECT = struct.Struct(">HII")


class Malformed(Exception):  # noqa: N818 - the caller knows the place and makes the error of it
    """Bytes that cannot be the object they should be."""


@dataclass(frozen=True, slots=True)
class Item:
    """An object in a buffer: its class and where its bytes are."""

    kind: str
    start: int
    stop: int


class Stream:
    """A position in the bytes of one object, whose key was `key_bytes` long."""

    def __init__(self, buffer: bytes | memoryview, key_bytes: int = 0, position: int = 0) -> None:
        self.buffer = buffer
        self.key_bytes = key_bytes
        self.position = position

    def at(self, position: int) -> Stream:
        """Return another stream over the same bytes."""
        return Stream(self.buffer, self.key_bytes, position)

    def take(self, size: int) -> int:
        """Step over `size` bytes and return where they start."""
        start = self.position
        if size < 0 or start < 0 or start + size > len(self.buffer):
            raise Malformed(f"{size} bytes wanted at {start} of {len(self.buffer)}")
        self.position = start + size
        return start

    def unpack(self, form: struct.Struct) -> tuple[Any, ...]:
        """Return the numbers of a struct."""
        return form.unpack_from(self.buffer, self.take(form.size))

    def string(self) -> str:
        """Return a TString: one byte of length, or 255 and four bytes, then the text."""
        size = self.buffer[self.take(1)]
        if size == 255:
            (size,) = self.unpack(_U32)
        start = self.take(size)
        return bytes(self.buffer[start : start + size]).decode("utf-8", "backslashreplace")

    def array(self, kind: str, count: int) -> NDArray[Any]:
        """Return a `[count]` array member, which a byte precedes."""
        self.take(1)
        dtype = np.dtype(kind)
        start = self.take(count * dtype.itemsize)
        return np.frombuffer(self.buffer, dtype, count, start)

    def header(self) -> tuple[int, int]:
        """Return the version of an object and where it ends."""
        start = self.position
        (count,) = self.unpack(_U32)
        if not count & _BYTE_COUNT:
            raise Malformed("an object without its length")
        stop = start + 4 + (count & ~_BYTE_COUNT)
        if stop > len(self.buffer):
            raise Malformed(f"an object ends at {stop} of {len(self.buffer)}")
        (version,) = self.unpack(_U16)
        return version, stop

    def skip(self) -> None:
        """Step over an object that starts with its length."""
        self.position = self.header()[1]

    def root_object(self) -> None:
        """Step over the TObject part of an object."""
        version, _, bits = self.unpack(_OBJECT)
        if version & (_BYTE_COUNT >> 16):
            raise Malformed("a TObject with its length")
        if bits & _REFERENCED:
            self.take(2)

    def named(self) -> tuple[str, str]:
        """Return name and title of a TNamed."""
        _, stop = self.header()
        self.root_object()
        found = self.string(), self.string()
        self.position = stop
        return found

    def items(self) -> list[Item | None]:
        """Return the objects of a TObjArray."""
        _, stop = self.header()
        self.root_object()
        self.string()
        size, _ = self.unpack(struct.Struct(">ii"))
        if size > stop - self.position:
            raise Malformed(f"an array of {size} objects in {stop - self.position} bytes")
        found = []
        for _ in range(size):
            item = self.item()
            found.append(item)
            if item is not None:
                self.position = item.stop
        self.position = stop
        return found

    def item(self) -> Item | None:
        """Return the object that a pointer stands for; None for a null pointer."""
        start = self.position
        (count,) = self.unpack(_U32)
        if count == 0:
            return None
        if not count & _BYTE_COUNT or count == _NEW_CLASS:
            # A reference to an object written before: its offset from the start of the key.
            where = count - _MAP_OFFSET - self.key_bytes
            if not 0 <= where < start:
                raise Malformed(f"a reference to byte {where}")
            return self.at(where).item()
        stop = start + 4 + (count & ~_BYTE_COUNT)
        if stop > len(self.buffer):
            raise Malformed(f"an object ends at {stop} of {len(self.buffer)}")
        (tag,) = self.unpack(_U32)
        if tag == _NEW_CLASS:
            return Item(self._text(), self.position, stop)
        named = self.at((tag & ~_CLASS) - _MAP_OFFSET - self.key_bytes)
        if not tag & _CLASS or named.unpack(_U32) != (_NEW_CLASS,):
            raise Malformed(f"class tag {tag:#x} refers to no class")
        return Item(named._text(), self.position, stop)

    def _text(self) -> str:
        window = bytes(self.buffer[self.position : self.position + 256])
        name, zero, _ = window.partition(b"\0")
        if not zero:
            raise Malformed("a class name without an end")
        self.position += len(name) + 1
        return name.decode("utf-8", "backslashreplace")
