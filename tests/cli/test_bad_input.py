"""Bad files through the whole program: a clear error, the right cause, nothing lost."""

import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from higgsdemo.workflows.h4l.leptons import ELECTRON, MUON
from tests.columns.files import write_events
from tests.workflows.builders import Event, Lepton, random_events, write

GOOD = Event(
    muons=(
        Lepton(45, 0.1, 0.2, 1),
        Lepton(40, -0.3, 2.9, -1),
        Lepton(15, 1.0, 1.0, 1),
        Lepton(12, -1.0, -2.0, -1),
    )
)


def bad_value(value: float) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        wrong = Event(muons=(*GOOD.muons[:3], Lepton(value, -1.0, -2.0, -1)))
        write(path, [GOOD, wrong])

    return make


def truncated(path: Path) -> None:
    write(path, random_events(np.random.default_rng(1), 2000))
    path.write_bytes(path.read_bytes()[:-3000])


def wrong_counter(path: Path) -> None:
    """The last count of nMuon is one too many."""
    muons = {name: np.zeros(12, np.float32) for name in MUON.attributes}
    electrons = {name: np.zeros(0, np.float32) for name in ELECTRON.attributes}
    write_events(
        path,
        {},
        {"Muon": (np.full(3, 4), muons), "Electron": (np.zeros(3, int), electrons)},
        compression="none",
    )
    with uproot.open(path) as file:
        (seek,) = file["Events/nMuon"].member("fBasketSeek")[:1]
    content = bytearray(path.read_bytes())
    at = content.index(struct.pack(">3i", 4, 4, 4), seek)
    content[at + 8 : at + 12] = struct.pack(">i", 5)
    path.write_bytes(content)


def other_tree(path: Path) -> None:
    with uproot.recreate(path) as file:
        file.mktree("events", {"x": "float32"}).extend({"x": np.zeros(3, np.float32)})


def not_nanoaod(path: Path) -> None:
    with uproot.recreate(path) as file:
        file.mktree("Events", {"muon_pt": "float32"}).extend({"muon_pt": np.zeros(3, np.float32)})


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda path: path.symlink_to("nowhere"), "no such file"),
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "truncated": (truncated, "truncated"),
    "not ROOT": (lambda path: path.write_text("# a page of text\n" * 200), "not a ROOT file"),
    "a folder": (Path.mkdir, "directory"),
    "other tree": (other_tree, "events"),
    "not NanoAOD": (not_nanoaod, "nMuon"),
    "NaN": (bad_value(float("nan")), "Muon_pt"),
    "infinite": (bad_value(float("inf")), "Muon_pt"),
    "counter": (wrong_counter, "nMuon"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    made.mkdir()
    write(made / "fine.root", [GOOD] * 10)
    return made


@pytest.mark.parametrize("kind", BAD)
def test_it_is_named_counted_and_can_be_left_out(higgsdemo: Any, folder: Path, kind: str) -> None:
    make, says = BAD[kind]
    bad = folder / "bad.root"
    make(bad)
    Path("set.yaml").write_text(
        "name: mine\nsamples:\n- {name: data, group: data, year: 2012,"
        " files: [in/bad.root, in/fine.root]}\n"
    )
    words = ("run", "set.yaml", "--run", "r", "--no-plot", "--workers", 1)
    said = higgsdemo(*words)
    assert said.status == 1
    assert "Traceback" not in said.err
    assert str(bad) in said.err
    assert says.casefold() in said.err.casefold()
    assert "higgsdemo resume r --skip-bad-files" in said.err
    assert higgsdemo("status", "r", "--json").json["failed"] == {"bad-input": 1}

    assert higgsdemo("resume", "r", "--skip-bad-files", "--no-plot").status == 0
    result = higgsdemo("yields", "r", "--json").json
    assert result["skipped"] == ["in/bad.root"]
    counts = [one["whole"]["counts"] for one in result["entries"] if one["channel"] == "4mu"]
    assert sum(counts) == 10


def test_no_permission_to_read(higgsdemo: Any, folder: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("permissions do not bind root")
    (folder / "fine.root").chmod(0)
    said = higgsdemo("run", folder, "--run", "r")
    assert said.status == 1
    assert "permission" in said.err.casefold()


def test_the_flat_ntuple_is_refused_clearly(higgsdemo: Any, shared_data: Path) -> None:
    said = higgsdemo("run", shared_data / "nanoaod" / "uproot-HZZ.root", "--run", "r")
    assert said.status == 1
    assert "no tree named 'Events'" in said.err
    assert "did you mean: events" in said.err


def test_a_full_nanoaod_file_runs(higgsdemo: Any, shared_data: Path) -> None:
    name = "nanoAOD_2015_CMS_Open_Data_ttbar.root"
    said = higgsdemo("run", shared_data / "nanoaod" / name, "--run", "r")
    assert said.status == 0, said.err
    assert "1 of 1 tasks done" in said.err


def test_a_file_without_events_is_no_error(higgsdemo: Any, folder: Path) -> None:
    write(folder / "none.root", [])
    assert higgsdemo("run", folder, "--run", "r").status == 0


def test_two_files_of_one_base_name_both_count(higgsdemo: Any, folder: Path) -> None:
    for name in ("a", "b"):
        (folder / "mine" / name).mkdir(parents=True)
        shutil.copy(folder / "fine.root", folder / "mine" / name / "same.root")
    (folder / "fine.root").unlink()
    said = higgsdemo("run", folder, "--run", "r", "--json", "--no-plot")
    assert said.status == 0, said.err
    counts = [one["whole"]["counts"] for one in said.json["entries"] if one["channel"] == "4mu"]
    assert sum(counts) == 20


def test_a_full_disk_keeps_what_was_done(higgsdemo: Any, folder: Path) -> None:
    """The runs folder is on a disk of 64 KiB."""
    small = Path("small")
    small.mkdir()
    if os.geteuid() or os.system(f"mount -t tmpfs -o size=64k none {small} 2>/dev/null"):
        pytest.skip("permissions do not bind root" if os.geteuid() == 0 else "needs root: mount")
    try:
        said = higgsdemo("run", folder, "--runs", small, "--run", "r")
        assert said.status == 1
        assert "cannot be written" in said.err
        assert "Traceback" not in said.err
    finally:
        os.system(f"umount {small}")


def test_a_disk_that_does_not_answer_costs_an_attempt(
    higgsdemo: Any, scripts: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIGGSDEMO_HUNG_READ_S", "0.5")
    folder = scripts(a={"do": "hang"})
    words = ("run", folder, "-w", "scripted", "--run", "r", "--no-plot", "--workers", 1)
    once = higgsdemo(*words, "--tries", 1)
    assert once.status == 1
    assert "transient" in once.err
    assert "reading the input hangs" in once.err
    assert "no answer came from its disk for 0.5 s" in once.err
    assert str(folder / "a.root") in once.err
    assert higgsdemo("resume", "r", "--no-plot").status == 0
