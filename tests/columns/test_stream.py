import struct

import numpy as np
import pytest

from higgsdemo.columns.stream import Item, Malformed, Stream


def counted(version: int, content: bytes) -> bytes:
    return struct.pack(">IH", 0x40000000 | len(content) + 2, version) + content


def pointer(tag: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 0x40000000 | len(tag + content)) + tag + content


OBJECT = struct.pack(">HII", 1, 0, 0)
NEW = b"\xff\xff\xff\xff"


def test_numbers_and_strings():
    long = b"x" * 300
    stream = Stream(b"\x02ab" + b"\xff" + (300).to_bytes(4, "big") + long + b"\x00")
    assert stream.string() == "ab"
    assert stream.string() == "x" * 300
    assert stream.string() == ""
    with pytest.raises(Malformed):
        stream.string()


def test_a_name_that_is_not_utf8_can_be_printed():
    assert Stream(b"\x02\xffa").string().encode() == b"\\xffa"


def test_an_array_follows_a_byte():
    stream = Stream(b"\x01" + np.array([3, -4], ">i8").tobytes())
    assert stream.array(">i8", 2).tolist() == [3, -4]
    with pytest.raises(Malformed):
        Stream(b"\x01").array(">i8", 2**31)
    with pytest.raises(Malformed):
        Stream(b"\x01").array(">i8", -1)


def test_objects_are_stepped_over():
    stream = Stream(counted(7, b"whatever") + b"\x01a")
    stream.skip()
    assert stream.string() == "a"


def test_a_name_and_title_of_a_longer_object():
    stream = Stream(counted(1, OBJECT + b"\x01n" + b"\x01t" + b"more") + b"\x01z")
    assert stream.named() == ("n", "t")
    assert stream.string() == "z"


def test_a_referenced_object_is_two_bytes_longer():
    stream = Stream(struct.pack(">HII", 1, 0, 1 << 4) + b"id" + b"\x01z")
    stream.root_object()
    assert stream.string() == "z"


def test_pointers():
    first = pointer(NEW + b"TThing\0", b"one")
    # A class tag counts from the start of the key, here of 50 bytes, plus two.
    again = pointer(struct.pack(">I", 0x80000000 | 50 + 4 + 2), b"two")
    same = struct.pack(">I", 50 + 2)
    content = first + again + same + bytes(4)
    stream = Stream(content, key_bytes=50)
    one = stream.item()
    assert one == Item("TThing", 4 + 4 + 7, len(first))
    stream.position = one.stop
    two = stream.item()
    assert two == Item("TThing", len(first) + 8, len(first + again))
    stream.position = two.stop
    assert stream.item() == one
    assert stream.item() is None


def test_items_of_an_array():
    content = OBJECT + b"\0" + struct.pack(">ii", 2, 0)
    content += pointer(NEW + b"TThing\0", b"one") + bytes(4)
    found = Stream(counted(3, content)).items()
    assert [item and item.kind for item in found] == ["TThing", None]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\x00\x00\x09",  # a reference ahead of itself
        pointer(struct.pack(">I", 0x80000000 | 90), b""),  # to no class
        pointer(struct.pack(">I", 7), b""),
        pointer(NEW + b"endless", b""),
        struct.pack(">I", 0x40000000 | 99),  # beyond the end
    ],
)
def test_malformed_pointers(content: bytes):
    with pytest.raises(Malformed):
        Stream(content).item()


@pytest.mark.parametrize("content", [bytes(8), struct.pack(">IH", 0x40000000 | 99, 1)])
def test_malformed_objects(content: bytes):
    with pytest.raises(Malformed):
        Stream(content).header()


def test_an_array_longer_than_its_bytes():
    content = OBJECT + b"\0" + struct.pack(">ii", 2**30, 0)
    with pytest.raises(Malformed, match="array"):
        Stream(counted(3, content)).items()
