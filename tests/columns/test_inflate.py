import lzma
import zlib

import cramjam
import numpy as np
import pytest
import xxhash

from higgsdemo.columns import inflate as module
from higgsdemo.columns.inflate import Corrupt, inflate, inflate_head

CONTENT = np.arange(5000, dtype=">i4").tobytes()


def block(kind: bytes, packed: bytes, size: int) -> bytes:
    return kind + b"\1" + len(packed).to_bytes(3, "little") + size.to_bytes(3, "little") + packed


def pack(kind: bytes, content: bytes) -> bytes:
    if kind == b"ZL":
        packed = zlib.compress(content, 1)
    elif kind == b"XZ":
        packed = lzma.compress(content)
    elif kind == b"ZS":
        packed = bytes(cramjam.zstd.compress(content))
    else:
        raw = bytes(cramjam.lz4.compress_block(content, store_size=False))
        packed = xxhash.xxh64(raw).digest() + raw
    return block(kind, packed, len(content))


@pytest.fixture(params=["fastest", "zlib"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run with isal where it is installed, and as if it were not."""
    if request.param == "zlib":
        monkeypatch.setattr(module, "fastest", zlib)


@pytest.mark.parametrize("kind", [b"ZL", b"L4", b"ZS", b"XZ"])
def test_blocks_of_all_kinds(kind: bytes, library: None):
    packed = pack(kind, CONTENT[:12_000]) + pack(kind, CONTENT[12_000:])
    assert inflate(memoryview(packed), len(CONTENT)) == CONTENT
    for head in (0, 1, 11_999, 12_000, 12_001, len(CONTENT)):
        got = inflate_head(memoryview(packed), len(CONTENT), head, [])
        assert bytes(got)[:head] == CONTENT[:head]


def test_what_is_not_compressed_is_returned_as_it_is():
    assert inflate(memoryview(CONTENT), len(CONTENT)) == CONTENT
    assert bytes(inflate_head(memoryview(CONTENT), len(CONTENT), 10, [])) == CONTENT


@pytest.mark.parametrize("cut", [0, 5000, 12_000])
def test_a_foretold_tail_is_not_inflated(cut: int, library: None):
    packed = pack(b"ZL", CONTENT[:cut]) if cut else b""
    packed += pack(b"ZL", CONTENT[cut:])
    for head in (12_001, 15_000):
        tails = [b"x" * (len(CONTENT) - head), CONTENT[head:]]
        got = inflate_head(memoryview(packed), len(CONTENT), head, tails)
        assert bytes(got) == CONTENT[:head]


def test_another_tail_is_returned(library: None):
    packed = pack(b"ZL", CONTENT)
    got = inflate_head(memoryview(packed), len(CONTENT), 15_000, [b"x" * 5000])
    assert bytes(got) == CONTENT


def test_damage_in_the_head_is_seen_with_a_foretold_tail(library: None):
    """Most flips break the stream, some only change a value: the checksum sees those."""
    packed = pack(b"ZL", CONTENT)
    changed = 0
    for place in range(9, len(packed), 7):
        damaged = bytearray(packed)
        damaged[place] ^= 4
        try:
            got = inflate_head(memoryview(damaged), len(CONTENT), 15_000, [CONTENT[15_000:]])
        except Corrupt:
            changed += 1
        else:
            assert bytes(got) == CONTENT[:15_000]
    assert changed > 500


@pytest.mark.parametrize("kind", [b"ZL", b"L4", b"XZ"])
def test_checksums_are_verified(kind: bytes, library: None):
    packed = pack(kind, CONTENT)
    for place in range(9, len(packed), 11):
        damaged = bytearray(packed)
        damaged[place] ^= 16
        try:
            content = inflate(memoryview(damaged), len(CONTENT))
        except Corrupt:
            continue
        assert content == CONTENT


@pytest.mark.parametrize(
    ("data", "size", "why"),
    [
        (b"ZL\1\0", 100, "within its header"),
        (block(b"ZL", b"abc", 9)[:-1], 9, "longer than"),
        (block(b"CS", b"abc", 9), 9, "unknown compression b'CS'"),
        (pack(b"ZL", CONTENT), len(CONTENT) + 1, "blocks hold 20000 bytes, not 20001"),
        (pack(b"ZL", CONTENT) + b"x", len(CONTENT), "within its header"),
        (block(b"ZL", zlib.compress(CONTENT), 500), 500, "does not end where it should"),
        (block(b"ZL", zlib.compress(CONTENT)[:-5], 20_000), 20_000, "does not end"),
        (block(b"ZL", zlib.compress(CONTENT[:100]), 200), 200, "inflates to 100 bytes, not 200"),
        (block(b"XZ", lzma.compress(CONTENT), 500), 500, "does not end where it should"),
        (block(b"XZ", b"nonsense", 500), 500, "LZMA"),
        (block(b"ZS", b"nonsense", 500), 500, "ZSTD"),
        (block(b"ZS", bytes(cramjam.zstd.compress(CONTENT)), 500), 500, "ZSTD"),
        (block(b"L4", b"nonsense" * 3, 500), 500, "checksum"),
        (block(b"L4", xxhash.xxh64(b"\xff").digest() + b"\xff", 500), 500, "LZ4"),
    ],
)
def test_corrupt_bytes(data: bytes, size: int, why: str, library: None):
    with pytest.raises(Corrupt, match=why):
        inflate(memoryview(data), size)


def test_a_stream_that_would_inflate_to_gigabytes_is_stopped(library: None):
    bomb = zlib.compress(bytes(10**8), 9)
    with pytest.raises(Corrupt, match="does not end"):
        inflate(memoryview(block(b"ZL", bomb, 1000)), 1000)
