"""ROOT's compressed blocks into bytes, checksums verified, and no more of them than needed.

An object in a ROOT file is compressed in blocks of at most 16 MiB, each with a header of nine
bytes: two letters for the algorithm, one for its variant, then compressed and uncompressed size,
three bytes each, little endian (ROOT, core/zip/src/RZip.cxx). An LZ4 block starts with the XXH64
of what follows, big endian (core/lz4/src/ZipLZ4.cxx).
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

fastest: Any
try:
    fastest = importlib.import_module("isal.isal_zlib")
except ImportError:  # no wheel for this machine: half the speed, the same bytes
    fastest = zlib

HEADER_BYTES = 9


class Corrupt(Exception):  # noqa: N818 - the caller knows the place and makes the error of it
    """Bytes that are not what was compressed."""


Block = tuple[bytes, memoryview, int]
"""Algorithm, compressed bytes, uncompressed size."""


def inflate(data: memoryview, size: int) -> bytes:
    """Return the `size` bytes that `data` holds. Raises Corrupt if it does not."""
    if len(data) == size:  # ROOT stores as is what does not get smaller
        return bytes(data)
    parts = [_inflate_block(*block) for block in _blocks(data, size)]
    return parts[0] if len(parts) == 1 else b"".join(parts)


def inflate_head(
    data: memoryview,
    size: int,
    head: int,
    tails: Sequence[bytes],
    common: bytes | memoryview = b"",
) -> bytes | memoryview:
    """Return the first `head` of `size` bytes, without inflating the rest if it can be foretold.

    The other `size - head` bytes are foretold: `common`, then one of `tails`. The ADLER-32 at the
    end of a zlib stream tells whether that is right; then the stream need not be inflated to its
    end, and is verified all the same. Otherwise all `size` bytes are returned.

    Raises Corrupt if the bytes are damaged.
    """
    if len(data) == size:
        return data
    parts: list[bytes] = []
    filled = 0
    for kind, payload, length in _blocks(data, size):
        if filled >= head:  # nothing of the head here: not even looked at
            break
        short = head - filled if kind == b"ZL" and filled + length > head else length
        part = None
        if short < length:
            first = filled + short - head
            last = first + length - short
            shift = len(common)
            part = _zlib_head(
                payload,
                short,
                common[first:last],
                [tail[max(first - shift, 0) : max(last - shift, 0)] for tail in tails],
            )
        if short == length or part is None:
            if short < length:  # the tail is another one: let the caller look at it
                return inflate(data, size)
            part = _inflate_block(kind, payload, length)
        parts.append(part)
        filled += short
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _blocks(data: memoryview, size: int) -> Iterator[Block]:
    position = filled = 0
    while position < len(data):
        header = bytes(data[position : position + HEADER_BYTES])
        if len(header) < HEADER_BYTES:
            raise Corrupt("a compressed block ends within its header")
        packed = int.from_bytes(header[3:6], "little")
        length = int.from_bytes(header[6:9], "little")
        position += HEADER_BYTES
        if position + packed > len(data):
            raise Corrupt("a compressed block is longer than its basket or object")
        yield header[:2], data[position : position + packed], length
        position += packed
        filled += length
    if filled != size:
        raise Corrupt(f"its blocks hold {filled} bytes, not {size}")


def _inflate_block(kind: bytes, payload: memoryview, length: int) -> bytes:
    decode = _DECODERS.get(kind)
    if decode is None:
        raise Corrupt(f"unknown compression {kind!r}")
    content = decode(payload, length)
    if len(content) != length:
        raise Corrupt(f"a block inflates to {len(content)} bytes, not {length}")
    return content


def _zlib(payload: memoryview, length: int) -> bytes:
    stream = fastest.decompressobj()
    try:
        # One byte more than there should be: the stream must reach its end and its checksum.
        content: bytes = stream.decompress(payload, length + 1)
    except (fastest.error, zlib.error) as error:
        raise Corrupt(f"zlib: {error}") from error
    if not stream.eof:
        raise Corrupt("zlib: the stream does not end where it should")
    return content


def _zlib_head(
    payload: memoryview, head: int, common: bytes | memoryview, tails: Sequence[bytes]
) -> bytes | None:
    """Return the first `head` bytes if `common` and one of `tails` complete them, else None."""
    stream = fastest.decompressobj(wbits=-15)  # the raw stream: its checksum is taken here
    try:
        content: bytes = stream.decompress(payload[2:], head)
    except (fastest.error, zlib.error) as error:
        raise Corrupt(f"zlib: {error}") from error
    if len(content) == head:
        expected = int.from_bytes(payload[-4:], "big")
        begun = fastest.adler32(common, fastest.adler32(content))
        if any(fastest.adler32(tail, begun) == expected for tail in tails):
            return content
    return None


def _lz4(payload: memoryview, length: int) -> bytes:
    import cramjam
    import xxhash

    if xxhash.xxh64(payload[8:]).digest() != payload[:8]:
        raise Corrupt("LZ4: the checksum differs")
    try:
        return bytes(cramjam.lz4.decompress_block(payload[8:], output_len=length))
    except cramjam.DecompressionError as error:
        raise Corrupt(f"LZ4: {error}") from error


def _zstd(payload: memoryview, length: int) -> bytes:
    import cramjam

    content = bytearray(length)
    try:
        written = cramjam.zstd.decompress_into(payload, content)
    except cramjam.DecompressionError as error:
        raise Corrupt(f"ZSTD: {error}") from error
    return bytes(content[:written])


def _lzma(payload: memoryview, length: int) -> bytes:
    import lzma

    stream = lzma.LZMADecompressor()
    try:
        content = stream.decompress(payload, length + 1)
    except lzma.LZMAError as error:
        raise Corrupt(f"LZMA: {error}") from error
    if not stream.eof:
        raise Corrupt("LZMA: the stream does not end where it should")
    return content


_DECODERS: dict[bytes, Callable[[memoryview, int], bytes]] = {
    b"ZL": _zlib,
    b"L4": _lz4,
    b"ZS": _zstd,
    b"XZ": _lzma,
}
