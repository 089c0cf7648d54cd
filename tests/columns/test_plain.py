import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from higgsdemo.columns import Wanted, open_events
from higgsdemo.errors import InputError
from tests.columns.files import (
    WANTED,
    assert_content,
    assert_same,
    random_events,
    read,
    write_events,
)


def test_plain_reads_what_was_written(tmp_path: Path):
    scalars, collections = random_events(500)
    path = write_events(tmp_path / "events.root", scalars, collections, basket_events=200)
    with open_events(str(path), reader="uproot") as file:
        assert file.reader == "uproot"
        assert file.boundaries == (0, 200, 400, 500)
        assert_content(read(file, events=130), scalars, collections)
        assert_content(read(file, WANTED, 111, 333), scalars, collections, 111, 333)


def test_rntuple(root_files: Path, plain_file: Path):
    with (
        open_events(str(root_files / "rntuple.root")) as file,
        open_events(str(plain_file)) as tree,
    ):
        assert file.reader == "uproot"
        assert file.boundaries[0] == 0
        assert file.boundaries[-1] == file.entries == tree.entries
        assert_same(read(file, WANTED, 100, 4000, 900), read(tree, WANTED, 100, 4000))


@pytest.mark.parametrize("name", ["vectors", "vectors-counted"])
def test_vectors_count_themselves(root_files: Path, name: str):
    with open_events(str(root_files / f"{name}.root")) as file:
        found = read(file, Wanted(("run",), {"Muon": ("pt", "q", "b")}), events=300)
        assert file.reader == "uproot"
    assert found["nMuon"].dtype == np.int64
    within = np.arange(found["Muon_pt"].size) - np.repeat(
        np.cumsum(found["nMuon"]) - found["nMuon"], found["nMuon"]
    )
    np.testing.assert_array_equal(found["Muon_pt"], (10 * within).astype(np.float32))
    np.testing.assert_array_equal(found["Muon_q"], np.repeat(found["run"], found["nMuon"]))
    np.testing.assert_array_equal(found["Muon_b"], within == 1)


def test_packed_doubles_and_fixed_arrays_fall_back(root_files: Path):
    with open_events(str(root_files / "counter-i-upper.root")) as file:
        found = read(file, Wanted(("run",), {"Muon": ("pt", "d32"), "Fix": ("x",)}))
        assert file.reader == "uproot"
    assert (found["nFix"] == 3).all()
    np.testing.assert_array_equal(
        found["Fix_x"].reshape(-1, 3), np.arange(2000)[:, None] + np.arange(3)
    )
    event = np.repeat(np.arange(2000), found["nMuon"])
    np.testing.assert_array_equal(found["Muon_d32"], event)


def test_what_uproot_cannot_read_is_not_called_damaged(root_files: Path):
    """uproot 5.7 raises UnboundLocalError on a Float16_t leaf; the file is in order."""
    with (
        open_events(str(root_files / "counter-i-upper.root")) as file,
        pytest.raises(InputError) as caught,
    ):
        read(file, Wanted((), {"Muon": ("f16",)}))
    assert caught.value.what == "uproot cannot read the file"
    assert caught.value.where.endswith("branch Muon_f16, entry 0")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Wanted(("Muon_pt",)), "a list per event, not a number"),
        (Wanted((), {"Muon": ("a",)}), "not numbers or flat lists"),
        (Wanted(("two",)), "not numbers or flat lists"),
    ],
)
def test_wrong_kinds(root_files: Path, wanted: Wanted, said: str):
    with (
        open_events(str(root_files / "counter-i-upper.root")) as file,
        pytest.raises(InputError, match=said),
    ):
        read(file, wanted)


def test_strings_are_not_lists(root_files: Path):
    with (
        open_events(str(root_files / "vectors.root")) as file,
        pytest.raises(InputError, match="branch Muon_name holds string"),
    ):
        read(file, Wanted((), {"Muon": ("name",)}))


def test_uproot_is_imported_only_when_needed(tmp_path: Path):
    """Importing it takes half a CPU second: more than reading many a file."""
    path = write_events(tmp_path / "events.root", *random_events(50))
    code = (
        "import sys; from higgsdemo.columns import *\n"
        f"with open_events({str(path)!r}) as file:\n"
        "    list(file.chunks(Wanted(('run',), {'Muon': ('pt',)})))\n"
        "heavy = {'uproot', 'awkward', 'fsspec', 'cramjam', 'asyncio'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
