"""Selected events as Parquet."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from higgsdemo.errors import TransientError, UsageError
from higgsdemo.workflows.h4l.dump import folder
from tests.workflows.builders import Event, Lepton, process, random_events, select, task, write
from tests.workflows.reference import mass

parquet = pytest.importorskip("pyarrow.parquet")
FOUR_VECTOR = ("pt", "eta", "phi", "mass")


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return random_events(np.random.default_rng(40), 1200)


@pytest.fixture(scope="module")
def path(events: list[Event], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("events") / "events.root", events)


def dumped(path: Path, where: Path, **settings) -> list[dict]:
    settings["options"] = {**settings.get("options", {}), "events": str(where)}
    process(path, **settings)
    (written,) = where.iterdir()
    assert written.name == f"{task(path, **settings).id}.parquet"
    return parquet.read_table(written).to_pylist()


@pytest.mark.parametrize("selection", ["default", "published"])
def test_rows_are_the_selected_events(events, path, tmp_path, selection):
    rows = dumped(path, tmp_path / "new" / "folder", options={"selection": selection})
    found = select(events, selection)
    assert {(row["entry"], row["channel"]) for row in rows} == found.masses.keys()
    assert len(rows) == len(found.masses) > 50
    for row in rows:
        key = row["entry"], row["channel"]
        assert (row["m4l"], row["mZ1"], row["mZ2"]) == found.masses[key]
        assert (row["sample"], row["file"]) == ("test", "events.root")
        assert (row["run"], row["luminosityBlock"], row["event"]) == (1, 1, row["entry"])
        stored = events[row["entry"]]
        flat = {
            (lepton.pt, lepton.eta, lepton.phi, lepton.mass, lepton.charge, pdg_id * -lepton.charge)
            for leptons, pdg_id in ((stored.muons, 13), (stored.electrons, 11))
            for lepton in leptons
        }
        four = list(
            zip(
                *(
                    row[f"lepton_{name}"]
                    for name in ("pt", "eta", "phi", "mass", "charge", "pdgId")
                ),
                strict=True,
            )
        )
        assert len(set(four)) == 4
        assert set(four) <= flat


def test_leptons_come_in_the_order_of_z1_and_z2(path, tmp_path):
    for row in dumped(path, tmp_path):
        leptons = [
            Lepton(*values, mass=m)
            for *values, m in zip(
                *(row[f"lepton_{name}"] for name in ("pt", "eta", "phi", "charge", "mass")),
                strict=True,
            )
        ]
        assert mass(leptons[:2]) == pytest.approx(row["mZ1"], rel=1e-6)
        assert mass(leptons[2:]) == pytest.approx(row["mZ2"], rel=1e-6)
        assert sum(row["lepton_charge"][:2]) == sum(row["lepton_charge"][2:]) == 0
        assert abs(row["lepton_pdgId"][0]) == abs(row["lepton_pdgId"][1])


def test_entries_are_those_of_the_file(path, tmp_path):
    whole = dumped(path, tmp_path / "whole")
    part = dumped(path, tmp_path / "part", start=300, stop=900)
    assert part == [row for row in whole if 300 <= row["entry"] < 900]


def test_other_channels_are_left_out(path, tmp_path):
    rows = dumped(path, tmp_path, channels=("4e",))
    assert {row["channel"] for row in rows} == {"4e"}


def test_no_candidates_and_no_run_give_a_file_of_the_same_columns(path, events, tmp_path):
    dumped(path, tmp_path / "full")
    bare = write(tmp_path / "bare.root", events[:200], scalars=False)
    rows = dumped(bare, tmp_path / "bare")
    assert rows
    assert {row["run"] for row in rows} == {row["event"] for row in rows} == {None}
    assert dumped(write(tmp_path / "none.root", []), tmp_path / "none") == []
    schemas = {
        parquet.read_schema(next((tmp_path / name).iterdir())).remove_metadata().to_string()
        for name in ("full", "bare", "none")
    }
    assert len(schemas) == 1


def test_the_file_says_what_it_is(path, tmp_path):
    dumped(path, tmp_path, options={"selection": "published"})
    (written,) = tmp_path.iterdir()
    metadata = parquet.read_schema(written).metadata
    assert metadata[b"selection"] == b"published"
    assert metadata[b"task"].decode() == written.stem


def test_a_second_attempt_replaces_the_first_whole(path, tmp_path):
    assert dumped(path, tmp_path) == dumped(path, tmp_path)


def test_a_folder_that_cannot_be_written_is_said(path, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TransientError, match="cannot write the selected events"):
        process(path, options={"events": str(tmp_path / "file" / "below")})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_leaves_nothing_behind(path, tmp_path, monkeypatch):
    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda _, mode: opened(Path("/dev/full"), mode))
    with pytest.raises(TransientError, match="cannot write") as caught:
        process(path, options={"events": str(tmp_path)})
    assert "No space left" in caught.value.why
    assert not list(tmp_path.iterdir())


def test_without_pyarrow_the_user_is_told(path, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match="needs pyarrow") as caught:
        process(path, options={"events": str(tmp_path)})
    assert "higgsdemo[parquet]" in str(caught.value)
    process(path)


@pytest.mark.parametrize("value", ["", "  ", "s3://bucket/events"])
def test_what_is_no_folder(value):
    with pytest.raises(ValueError, match=r"folder"):
        folder(value)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(ValueError, match="it is a file"):
        folder(str(tmp_path / "a"))
    assert folder(str(tmp_path)) == str(tmp_path)
    assert folder("none") == "none"
