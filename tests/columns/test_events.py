from pathlib import Path

import numpy as np
import pytest
import uproot

from higgsdemo.columns import Wanted, open_events
from higgsdemo.errors import Cause, InputError
from higgsdemo.storage import open_source
from tests.columns.files import WANTED, assert_content, random_events, read, write_events


@pytest.fixture(params=["auto", "uproot"])
def reader(request: pytest.FixtureRequest) -> str:
    return request.param


def test_a_file_of_events(tmp_path: Path, reader):
    scalars, collections = random_events(400)
    path = write_events(tmp_path / "events.root", scalars, collections, basket_events=100)
    with open_events(str(path), reader=reader) as file:
        assert file.url == str(path)
        assert file.entries == 400
        assert file.boundaries == (0, 100, 200, 300, 400)
        assert {"run", "nMuon", "Muon_pt", "Electron_charge"} <= file.branches
        assert file.reader == ("fast" if reader == "auto" else "uproot")
        chunks = list(file.chunks(WANTED, events=200))
        assert [(chunk.start, chunk.stop, chunk.size) for chunk in chunks] == [
            (0, 200, 200),
            (200, 400, 200),
        ]
        assert_content(read(file), scalars, collections)


def test_a_source_of_the_caller_stays_open(tmp_path: Path):
    path = write_events(tmp_path / "events.root", *random_events(10))
    with open_source(str(path)) as source:
        with open_events(source) as file:
            read(file)
        assert file.bytes_read == source.bytes_read > 0
        assert bytes(source.read([(0, 4)])[0]) == b"root"


def test_a_source_opened_here_is_closed(tmp_path: Path):
    path = write_events(tmp_path / "events.root", *random_events(10))
    file = open_events(str(path))
    file.close()
    file.close()
    with pytest.raises(ValueError, match="is closed"):
        read(file)


def test_ranges_are_clipped_to_the_file(tmp_path: Path, reader):
    path = write_events(tmp_path / "events.root", *random_events(100))
    with open_events(str(path), reader=reader) as file:
        for start, stop, size in [(0, 10**9, 100), (-5, 10, 10), (100, 200, 0), (60, 40, 0)]:
            assert sum(chunk.size for chunk in file.chunks(WANTED, start, stop)) == size


def test_no_events_yield_nothing(tmp_path: Path, reader):
    path = write_events(tmp_path / "events.root", *random_events(0))
    with open_events(str(path), reader=reader) as file:
        assert file.entries == 0
        assert file.boundaries == (0,)
        assert list(file.chunks(WANTED)) == []


def test_events_without_any_leptons(tmp_path: Path, reader):
    scalars, collections = random_events(300, mean=0.0)
    path = write_events(tmp_path / "events.root", scalars, collections)
    with open_events(str(path), reader=reader) as file:
        found = read(file, events=100)
    assert_content(found, scalars, collections)
    assert found["Muon_pt"].size == 0
    assert found["Muon_pt"].dtype == np.float32


def test_a_step_has_events(tmp_path: Path):
    path = write_events(tmp_path / "events.root", *random_events(30))
    with open_events(str(path)) as file, pytest.raises(ValueError, match="at least one"):
        file.chunks(WANTED, events=0)


def test_nothing_wanted(tmp_path: Path, reader):
    path = write_events(tmp_path / "events.root", *random_events(30))
    with open_events(str(path), reader=reader) as file:
        (chunk,) = file.chunks(Wanted())
        assert chunk.size == 30


def _refused(path: Path | str, tree: str = "Events", reader: str = "auto") -> InputError:
    with (
        pytest.raises(InputError) as caught,
        open_events(str(path), tree, reader) as file,
    ):
        read(file)
    assert caught.value.cause is Cause.BAD_INPUT
    assert str(path) in str(caught.value.where)
    return caught.value


def test_missing_file(tmp_path: Path, reader):
    assert "no such file" in _refused(tmp_path / "not.root", reader=reader).what


def test_empty_file(tmp_path: Path, reader):
    (tmp_path / "empty.root").touch()
    refused = _refused(tmp_path / "empty.root", reader=reader)
    assert refused.what == "not a ROOT file"
    assert refused.why == "the file is empty"


def test_not_a_root_file(tmp_path: Path, reader):
    (tmp_path / "page.root").write_text("<html>404 Not found</html>")
    refused = _refused(tmp_path / "page.root", reader=reader)
    assert refused.what == "not a ROOT file"
    assert "<html>" in refused.why


def test_no_such_tree(tmp_path: Path, reader):
    path = write_events(tmp_path / "events.root", *random_events(10), tree="events")
    refused = _refused(path, reader=reader)
    assert refused.what == "no tree named 'Events' in the file"
    assert refused.why == "trees in it: events"
    assert refused.nearest == ("events",)
    with open_events(str(path), "events", reader) as file:
        assert file.entries == 10


def test_a_tree_in_a_directory(tmp_path: Path):
    scalars, collections = random_events(50)
    path = write_events(tmp_path / "events.root", scalars, collections, tree="demo/Events")
    assert _refused(path).nearest == ("demo/Events",)
    with open_events(str(path), "demo/Events") as file:
        assert_content(read(file), scalars, collections)


def test_not_a_tree(tmp_path: Path, reader):
    path = tmp_path / "histogram.root"
    with uproot.recreate(path) as file:
        file["Events"] = np.histogram([1.0, 2.0])
    assert _refused(path, reader=reader).what == "'Events' in the file is not a tree"


def test_missing_branches_are_all_named(tmp_path: Path, reader):
    scalars, collections = random_events(10)
    renamed = {"Muons": collections["Muon"], "Electron": collections["Electron"]}
    path = write_events(tmp_path / "events.root", scalars, renamed)
    refused = _refused(path, reader=reader)
    assert refused.what == ("missing branches: nMuon, Muon_pt, Muon_charge, Muon_tightId, nTau")
    assert "Muons_pt" in refused.nearest
    assert "NanoAOD" in refused.hint


def test_a_file_that_is_not_nanoaod(shared_data: Path, reader):
    path = shared_data / "nanoaod" / "uproot-HZZ.root"
    assert _refused(path, reader=reader).nearest == ("events",)
    refused = _refused(path, "events", reader)
    assert "Muon_pt" in refused.what
    assert "NMuon" in refused.nearest


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Wanted(("Muon_pt",)), "branch Muon_pt holds a list per event, not a number"),
        (Wanted((), {"MET": ("pt",)}), "branch MET_pt holds a number per event, not a list"),
    ],
)
def test_wrong_kind(tmp_path: Path, reader, wanted: Wanted, said: str):
    path = write_events(tmp_path / "events.root", *random_events(10))
    with open_events(str(path), reader=reader) as file, pytest.raises(InputError, match=said):
        read(file, wanted)
