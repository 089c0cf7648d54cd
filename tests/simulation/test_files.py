import errno
import os
import subprocess
import sys

import numpy as np
import pytest
import uproot

from higgsdemo.errors import TransientError, UsageError
from higgsdemo.model import DEMO_MARK
from higgsdemo.simulation import LABEL, backgrounds
from higgsdemo.simulation.detector import reconstruct
from higgsdemo.simulation.files import EventsFile
from higgsdemo.simulation.leptons import MUON
from higgsdemo.simulation.runs import simulated_places

# From AOD2NanoAODOutreachTool, src/AOD2NanoAOD.cc: names and ROOT's letters for the types.
REAL = {
    "run": "int32_t",
    "luminosityBlock": "uint32_t",
    "event": "uint64_t",
    "HLT_IsoMu24_eta2p1": "bool",
    "PV_npvs": "int32_t",
    "nMuon": "uint32_t",
    "Muon_pt": "float[]",
    "Muon_eta": "float[]",
    "Muon_phi": "float[]",
    "Muon_mass": "float[]",
    "Muon_charge": "int32_t[]",
    "Muon_pfRelIso03_all": "float[]",
    "Muon_pfRelIso04_all": "float[]",
    "Muon_tightId": "bool[]",
    "Muon_dxy": "float[]",
    "Muon_dxyErr": "float[]",
    "Muon_dz": "float[]",
    "Muon_dzErr": "float[]",
    "nElectron": "uint32_t",
    "Electron_pt": "float[]",
    "Electron_mass": "float[]",
    "Electron_charge": "int32_t[]",
    "Electron_pfRelIso03_all": "float[]",
    "Electron_dxyErr": "float[]",
    "Electron_pfId": "bool[]",
    "MET_pt": "float",
}


def block(events=500, first=0):
    rng = np.random.default_rng(first)
    return reconstruct(rng, backgrounds.bulk(rng, events, MUON)).at(simulated_places(first, events))


def test_branches_and_types_are_the_real_ones(demo):
    for path in demo.paths[:8]:
        with uproot.open(path) as file:
            types = file["Events"].typenames()
            assert {name: types.get(name) for name in REAL} == REAL
            assert "Electron_pfRelIso04_all" not in types
            assert file["Events"]["nMuon"].title == "nMuon/i"


def test_the_label_is_in_every_file(demo):
    for path in demo.paths[:8]:
        with uproot.open(path) as file:
            assert "SIMULATED DEMO DATA" in str(file[DEMO_MARK])
            assert LABEL in file["Events"].title


def test_counters_agree_with_the_content(demo):
    arrays = demo.arrays("Run2012B_DoubleMuParked", "nMuon", "Muon_pt", "nElectron", "Electron_phi")
    for counter, jagged in (("nMuon", "Muon_pt"), ("nElectron", "Electron_phi")):
        lengths = [len(each) for each in arrays[jagged]]
        assert arrays[counter].to_list() == lengths


def test_blocks_become_clusters_and_are_read_back(tmp_path):
    path = tmp_path / "two.root"
    one, other = block(300), block(200, first=300)
    with EventsFile(path, "test") as file:
        file.write(one)
        file.write(other)
    with uproot.open(path) as file:
        tree = file["Events"]
        assert tree.num_entries == 500
        assert tree["Muon_pt"].num_baskets == 2
        assert tree["event"].array(library="np").tolist() == list(range(1, 501))
        pt = tree["Muon_pt"].array()
        muons = one.leptons["pt"][one.muon]
        assert np.array_equal(np.concatenate([np.asarray(each) for each in pt[:300]]), muons)
        counts = tree["nMuon"].array(library="np")
        assert counts.dtype == np.uint32
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_neither_file_nor_partial_file(tmp_path):
    def interrupted():
        with EventsFile(tmp_path / "x.root", "test") as file:
            file.write(block())
            raise KeyError("stop")

    with pytest.raises(KeyError):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_survives_a_failed_new_one(tmp_path):
    path = tmp_path / "x.root"
    with EventsFile(path, "old") as file:
        file.write(block())
    before = path.read_bytes()
    with pytest.raises(KeyError), EventsFile(path, "new"):
        raise KeyError("stop")
    assert path.read_bytes() == before


def test_a_full_disk_is_said_clearly_and_nothing_is_left(tmp_path):
    """A real refusal of the system: the process may write files of one megabyte only."""
    program = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
from pathlib import Path
from higgsdemo.errors import TransientError
from higgsdemo.simulation import Settings, generate
try:
    generate(Settings(Path({str(tmp_path)!r}), events_scale=0.05))
except TransientError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "cannot write SMHiggsToZZTo4L.root" in done.stdout
    assert "File too large" in done.stdout
    assert "--events-scale" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, TransientError), (errno.EACCES, UsageError), (errno.EIO, TransientError)],
)
def test_errors_of_the_disk(tmp_path, monkeypatch, number, kind):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    def write():
        with EventsFile(tmp_path / "x.root", "test") as file:
            monkeypatch.setattr(file._tree, "extend", refuse)
            file.write(block())

    with pytest.raises(kind) as caught:
        write()
    assert "cannot write x.root" in str(caught.value)
    assert ("--events-scale" in str(caught.value)) == (number == errno.ENOSPC)
    assert list(tmp_path.iterdir()) == []
