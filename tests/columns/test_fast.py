import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from higgsdemo.columns import Wanted, open_events
from higgsdemo.errors import InputError, UsageError
from tests.columns.files import (
    COMPRESSIONS,
    WANTED,
    assert_content,
    assert_same,
    random_events,
    read,
    write_events,
)

LEAVES = Wanted(("run", "flag", "met"), {"Muon": ("pt", "d", "q", "s", "u", "b", "l")})
RANGES = [(None, None), (0, 1), (1234, 1234), (699, 2801), (4999, 9999), (17, 4321)]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("basket_events", [None, 333])
def test_fast_reads_what_was_written(tmp_path: Path, compression, basket_events):
    scalars, collections = random_events(1000)
    path = tmp_path / "events.root"
    write_events(path, scalars, collections, compression=compression, basket_events=basket_events)
    with open_events(str(path), reader="fast") as file:
        assert file.entries == 1000
        for start, stop, events in [(0, 1000, 200_000), (0, 1000, 77), (300, 700, 150)]:
            found = read(file, WANTED, start, stop, events)
            assert_content(found, scalars, collections, start, stop)
            assert found["Muon_pt"].dtype == np.float32
            assert found["Muon_tightId"].dtype == np.bool_


@pytest.mark.parametrize(
    "name",
    [
        "zlib-clusters",
        "zlib-small-baskets",
        "zlib-unaligned",
        "zlib-one-basket",
        "lzma",
        "lz4",
        "zstd",
        "none",
    ],
)
def test_fast_equals_uproot_on_the_layouts_of_root(root_files: Path, name: str):
    path = str(root_files / f"{name}.root")
    with open_events(path, reader="fast") as fast, open_events(path, reader="uproot") as slow:
        assert (fast.entries, fast.branches) == (slow.entries, slow.branches)
        assert fast.boundaries == slow.boundaries
        for start, stop in RANGES:
            expected = read(slow, WANTED, start, stop)
            for events in (200_000, 1500, 97):
                assert_same(read(fast, WANTED, start, stop, events), expected)


@pytest.mark.parametrize(
    "name",
    [
        *(f"counter-{c}-{case}" for c in "sib" for case in ("upper", "lower")),
        "counter-l-upper",
        "embedded",
        "embedded-last",
    ],
)
def test_fast_equals_uproot_on_leaves_of_all_types(root_files: Path, name: str):
    path = str(root_files / f"{name}.root")
    with open_events(path, reader="fast") as fast, open_events(path, reader="uproot") as slow:
        for start, stop, events in [(None, None, 200_000), (None, None, 111), (501, 1777, 300)]:
            assert_same(read(fast, LEAVES, start, stop, events), read(slow, LEAVES, start, stop))


def test_baskets_without_offsets_are_read(root_files: Path):
    """ROOT's kGenerateOffsetMap: uproot 5.7 cannot read these."""
    with (
        open_events(str(root_files / "offset-map.root"), reader="fast") as without,
        open_events(str(root_files / "counter-i-upper.root"), reader="uproot") as usual,
    ):
        assert_same(read(without, LEAVES, events=300), read(usual, LEAVES))


def test_a_real_nanoaod_file_reads_fast(shared_data: Path):
    path = str(shared_data / "nanoaod" / "nanoAOD_2015_CMS_Open_Data_ttbar.root")
    wanted = Wanted(
        ("run", "luminosityBlock", "event", "MET_pt"),
        {"Muon": ("pt", "charge", "tightId", "cleanmask"), "Electron": ("pt", "dz"), "Jet": ()},
    )
    with open_events(path) as file, open_events(path, reader="uproot") as slow:
        found = read(file, wanted, events=37)
        assert file.reader == "fast"
        assert file.entries == 200
        assert file.boundaries == slow.boundaries
        assert_same(found, read(slow, wanted))


def test_real_candidates_read_fast(shared_data: Path):
    paths = sorted((shared_data / "candidates").glob("*.root"))
    assert len(paths) == 6
    events = 0
    wanted = Wanted(("run", "ref_m4l"), {"Muon": ("pt",), "Electron": ("pt", "charge")})
    for path in paths:
        with (
            open_events(str(path), reader="fast") as file,
            open_events(str(path), reader="uproot") as slow,
        ):
            assert_same(read(file, wanted), read(slow, wanted))
            events += file.entries
    assert events == 278


@settings(max_examples=25, deadline=None)
@given(
    counts=st.lists(st.integers(0, 6), min_size=1, max_size=60),
    basket=st.integers(1, 70),
    step=st.integers(1, 80),
    cut=st.tuples(st.integers(0, 60), st.integers(0, 60)),
    compression=st.sampled_from(sorted(COMPRESSIONS)),
    repeats=st.sampled_from([1, 40]),
)
def test_random_lists_and_baskets(counts, basket, step, cut, compression, repeats):
    numbers = np.tile(np.array(counts), repeats)
    total = int(numbers.sum())
    scalars = {"run": np.arange(numbers.size, dtype=np.int32) // 7}
    fields = {
        "pt": np.arange(total, dtype=np.float32) // 3,
        "charge": np.arange(total, dtype=np.int32) % 5,
        "flag": np.arange(total) % 3 == 0,
    }
    collections = {"Muon": (numbers, fields)}
    wanted = Wanted(("run",), {"Muon": ("pt", "charge", "flag")})
    start, stop = sorted(min(entry * repeats, numbers.size) for entry in cut)
    with tempfile.TemporaryDirectory() as folder:
        path = write_events(
            Path(folder) / "events.root",
            scalars,
            collections,
            compression=compression,
            basket_events=basket * repeats,
        )
        with open_events(str(path), reader="fast") as file:
            assert_content(read(file, wanted, events=step), scalars, collections)
            found = read(file, wanted, start, stop, step * repeats)
            assert_content(found, scalars, collections, start, stop)


@pytest.mark.slow
def test_baskets_of_several_compressed_blocks(tmp_path: Path):
    """Blocks end at 16 MiB: here the values take two, and the offsets begin in the second."""
    counts = np.tile(np.array([5, 3], dtype=np.int64), 700_000)
    total = int(counts.sum())
    fields = {"pt": np.arange(total, dtype=np.float32) // 1000, "flag": np.arange(total) % 2 == 0}
    path = write_events(
        tmp_path / "large.root",
        {"run": np.zeros(counts.size, np.int32)},
        {"Muon": (counts, fields)},
    )
    with open_events(str(path), reader="fast") as file:
        found = read(file, Wanted((), {"Muon": ("pt", "flag")}), events=10**6)
    np.testing.assert_array_equal(found["Muon_pt"], fields["pt"])
    np.testing.assert_array_equal(found["Muon_flag"], fields["flag"])


def test_only_wanted_branches_are_read(tmp_path: Path):
    path = write_events(tmp_path / "events.root", *random_events(3000), compression="none")
    with open_events(str(path)) as file:
        before = file.bytes_read
        list(file.chunks(Wanted(("run",), {"Muon": ("pt",)})))
        few = file.bytes_read - before
    # run, nMuon: 4 bytes per event; Muon_pt: 4 per muon and 4 per offset; then gaps.
    assert 3000 * (4 + 4 + 4 * 2 + 4) < few < path.stat().st_size / 5


def test_a_straddling_basket_is_read_once(tmp_path: Path):
    path = write_events(tmp_path / "events.root", *random_events(3000))
    with open_events(str(path)) as file:
        list(file.chunks(WANTED))
        whole = file.bytes_read
    with open_events(str(path)) as file:
        list(file.chunks(WANTED, events=100))
        assert file.bytes_read == whole


def _patched(tmp_path: Path, entry: int, *numbers: int) -> str:
    """A file whose nMuon has other numbers from `entry` on; nothing compressed."""
    scalars, collections = random_events(200)
    counts = collections["Muon"][0]
    path = write_events(tmp_path / "bad.root", scalars, collections, compression="none")
    content = path.read_bytes()
    stored = counts.astype(">i4").tobytes()
    assert content.count(stored) == 1
    other = counts.copy()
    other[entry : entry + len(numbers)] = numbers
    path.write_bytes(content.replace(stored, other.astype(">i4").tobytes()))
    return str(path)


@pytest.mark.parametrize("reader", ["fast", "uproot"])
def test_a_counter_that_disagrees_with_its_content(tmp_path: Path, reader):
    path = _patched(tmp_path, 50, 40)
    with open_events(path, reader=reader) as file, pytest.raises(InputError) as caught:
        read(file)
    assert caught.value.what == "counter nMuon disagrees with the content of Muon_pt"
    assert path in caught.value.where
    assert "branch Muon_pt, entry" in caught.value.where


@pytest.mark.parametrize("reader", ["fast", "uproot"])
def test_counters_that_are_wrong_but_add_up(tmp_path: Path, reader):
    counts = random_events(200)[1]["Muon"][0]
    path = _patched(tmp_path, 50, counts[50] + counts[51] + 1, -1 + 0 * counts[51])
    with open_events(path, reader=reader) as file, pytest.raises(InputError, match="negative"):
        read(file)
    other = int(np.argmax(counts[:-1] != counts[1:]))
    path = _patched(tmp_path, other, counts[other + 1], counts[other])
    with open_events(path, reader=reader) as file, pytest.raises(InputError) as caught:
        read(file)
    assert "counter nMuon disagrees" in caught.value.what
    assert caught.value.where.endswith(f"branch Muon_pt, entry {other}")


def test_an_unknown_layout_is_refused_when_asked_to_insist(root_files: Path):
    path = str(root_files / "vectors.root")
    with open_events(path, reader="fast") as file, pytest.raises(UsageError, match="layout"):
        file.chunks(Wanted((), {"Muon": ("pt",)}))
    with pytest.raises(UsageError, match="layout"):
        open_events(str(root_files / "rntuple.root"), reader="fast")
