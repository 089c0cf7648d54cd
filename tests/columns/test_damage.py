"""Damaged files give an InputError or the right result: nothing else, and never a wrong one."""

import random
from pathlib import Path

import pytest
import uproot

from higgsdemo.columns import open_events
from higgsdemo.columns.layout import Tree
from higgsdemo.columns.rootfile import read_root_file
from higgsdemo.errors import InputError
from higgsdemo.storage import open_source
from tests.columns.files import WANTED, assert_same, random_events, read, write_events


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file in which everything is compressed: ROOT has no checksum for what is not."""
    path = tmp_path_factory.mktemp("good") / "good.root"
    write_events(path, *random_events(1200), basket_events=500)
    with open_source(str(path)) as source:
        file = read_root_file(source)
        key = file.find("Events")
        tree = Tree(file.content(key), key.key_bytes)
        for name in ("nMuon", "nTau", "run", "event", "HLT_any", "MET_pt", "Muon_pt"):
            branch = tree.branch(name)
            for start, size in zip(branch.starts, branch.lengths, strict=True):
                assert b"ZL\x08" in bytes(source.read([(int(start), int(start + size))])[0])
    return path.read_bytes()


def _damage(good: bytes, seed: int) -> bytes:
    chance = random.Random(seed)
    content = bytearray(good)
    place = chance.randrange(len(content))
    kind = chance.choice(["cut", "flip", "flip", "flip", "fill", "start", "end"])
    if kind == "cut":
        return bytes(content[:place])
    if kind == "flip":
        content[place] ^= 1 << chance.randrange(8)
    elif kind == "fill":
        size = len(content[place : place + chance.randrange(1, 500)])
        content[place : place + size] = bytes([chance.choice([0, 255])]) * size
    else:  # the header, the directory and the metadata lie at the ends
        near = chance.randrange(min(4000, len(content)))
        content[near if kind == "start" else -1 - near] = chance.randrange(256)
    return bytes(content)


@pytest.mark.parametrize(("reader", "seeds"), [("auto", range(250)), ("uproot", range(60))])
@pytest.mark.timeout(60)
def test_damage_is_found_or_harmless(good: bytes, tmp_path: Path, reader, seeds):
    path = tmp_path / "damaged.root"
    path.write_bytes(good)
    with open_events(str(path)) as file:
        right = read(file)
    refused = 0
    for seed in seeds:
        path.write_bytes(_damage(good, seed))
        try:
            with open_events(str(path), reader=reader) as file:
                found = read(file)
        except InputError as error:
            assert str(path) in error.where  # noqa: PT017 - harmless damage raises nothing
            refused += 1
        else:
            # The name of an optional branch may be what was damaged.
            assert_same(found, {name: right[name] for name in found})
            assert set(right) - set(found) <= set(WANTED.optional)
    assert refused > len(seeds) / 5


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("reader", ["auto", "uproot"])
def test_a_truncated_file_is_called_so(good: bytes, tmp_path: Path, reader, share):
    path = tmp_path / "short.root"
    path.write_bytes(good[: max(int(share * len(good)), 10)])
    with pytest.raises(InputError) as caught:
        open_events(str(path), reader=reader)
    assert caught.value.what == "the file is truncated"
    assert str(path.stat().st_size) in caught.value.why


def test_a_file_that_shrinks_while_it_is_read(good: bytes, tmp_path: Path):
    path = tmp_path / "shrinking.root"
    path.write_bytes(good)
    with open_events(str(path)) as file:
        path.write_bytes(good[:2000])
        with pytest.raises(InputError, match="truncated"):
            read(file)


def test_a_file_that_its_writer_did_not_close(good: bytes, tmp_path: Path):
    """ROOT writes the offset of the list of keys last: until then it is 0."""
    begin = int.from_bytes(good[8:12], "big")  # fBEGIN
    name_bytes = int.from_bytes(good[28:32], "big")  # fNbytesName
    place = begin + name_bytes + 18 + 8  # fSeekKeys, after two offsets
    with open_source(str(_written(tmp_path / "good.root", good))) as source:
        assert read_root_file(source).keys
    path = _written(tmp_path / "open.root", good[:place] + bytes(4) + good[place + 4 :])
    with pytest.raises(InputError) as caught:
        open_events(str(path))
    assert "did not close it" in caught.value.why


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_metadata_that_even_generated_code_cannot_read(good: bytes, tmp_path: Path):
    """uproot reads some damaged classes with code it generates, which belongs to no module."""
    with open_source(str(_written(tmp_path / "good.root", good))) as source:
        key = read_root_file(source).find("Events")
    place = good.index(b"TBranch\0", key.start) + len(b"TBranch\0") + 4
    damaged = good[:place] + b"\x59" + good[place + 1 :]  # the version of the first branch
    path = _written(tmp_path / "damaged.root", damaged)
    with pytest.raises(InputError) as caught, open_events(str(path)) as file:
        read(file)
    assert caught.value.what == "uproot cannot read the file"
    assert " at 0x" not in caught.value.why


def test_a_damaged_file_does_not_spoil_the_next(good: bytes, tmp_path: Path):
    """uproot remembers classes that a file describes: the test above broke all later files."""
    before = dict(uproot.classes["TBranch"].known_versions)
    test_metadata_that_even_generated_code_cannot_read(good, tmp_path)
    assert uproot.classes["TBranch"].known_versions == before
    with open_events(str(_written(tmp_path / "next.root", good)), reader="uproot") as file:
        assert read(file)["run"].size == 1200


@pytest.mark.parametrize("reader", ["auto", "uproot"])
@pytest.mark.parametrize("entries", [1199, 1201, 2**40, 2**62, -1])
def test_a_wrong_number_of_entries(good: bytes, tmp_path: Path, reader, entries):
    """A plan made with it would never end."""
    stored = (1200).to_bytes(8, "big")
    with open_source(str(_written(tmp_path / "good.root", good))) as source:
        place = good.index(stored, read_root_file(source).find("Events").start)
    damaged = good[:place] + entries.to_bytes(8, "big", signed=True) + good[place + 8 :]
    path = _written(tmp_path / "damaged.root", damaged)
    with pytest.raises(InputError) as caught:
        open_events(str(path), reader=reader)
    assert caught.value.why == f"the tree says {entries} entries, its branches 1200"
