"""`selection=published` against the public program itself: df103 as shipped with ROOT.

The Python that has ROOT is named by HIGGSDEMO_ROOT_PYTHON (default: this one). Both forms of
the program, Python and C++, are loaded as they are; only their input is ours.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from higgsdemo.simulation import Settings, generate
from tests.workflows.builders import Event, Lepton, process, random_events, write
from tests.workflows.reference import published_alike

parquet = pytest.importorskip("pyarrow.parquet")

PYTHON = os.environ.get("HIGGSDEMO_ROOT_PYTHON", sys.executable)
CHANNELS = {"4mu": "4mu", "4e": "4el", "2mu2e": "2el2mu"}

PROGRAM = """
import json, os, runpy, sys
import ROOT
form, *paths = sys.argv[1:]
folder = os.path.join(str(ROOT.gROOT.GetTutorialDir()), "analysis", "dataframe")
ROOT.gROOT.SetBatch(True)
if form == "py":
    source = os.path.join(folder, "df103_NanoAODHiggsAnalysis.py")
    program = runpy.run_path(source, run_name="df103")
    def reconstruct(channel, frame):
        return program["reco_higgs_to_" + channel](frame)
else:
    source = os.path.join(folder, "df103_NanoAODHiggsAnalysis.C")
    assert ROOT.gROOT.LoadMacro(source) == 0
    def reconstruct(channel, frame):
        return getattr(ROOT, "reco_higgs_to_" + channel)(ROOT.RDF.AsRNode(frame))
ROOT.DisableImplicitMT()  # the order of entries is kept
found = {path: {} for path in paths}
for path in paths:
    for channel in ("4mu", "4el", "2el2mu"):
        node = reconstruct(channel, ROOT.RDataFrame("Events", path))
        report = node.Report()
        node = node.Define("Z1", "Z_mass[0]").Define("Z2", "Z_mass[1]")
        columns = node.AsNumpy(["event", "H_mass", "Z1", "Z2"])
        found[path][channel] = {
            "rows": [[float(x) for x in row] for row in zip(*columns.values())],
            "steps": [[str(cut.GetName()), int(cut.GetPass())] for cut in report.GetValue()],
        }
print("RESULT " + json.dumps(found))
"""


@pytest.fixture(scope="module")
def root() -> str:
    try:
        probe = subprocess.run(
            [PYTHON, "-c", "import ROOT; print(ROOT.gROOT.GetVersion())"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    except OSError as error:
        pytest.skip(f"ROOT: {PYTHON} cannot be run ({error}); set HIGGSDEMO_ROOT_PYTHON")
    if probe.returncode:
        pytest.skip("ROOT is not installed (extra 'root'); or set HIGGSDEMO_ROOT_PYTHON")
    return probe.stdout.strip()


@pytest.fixture(scope="module")
def events() -> list[Event]:
    """Random events, and some in which two pairs are almost equally near to the Z."""
    rng = np.random.default_rng(103)
    return random_events(rng, 10_000) + [close_call(rng) for _ in range(1000)]


def close_call(rng: np.random.Generator) -> Event:
    def lepton(charge: int) -> Lepton:
        return Lepton(
            *(f32(x) for x in (rng.uniform(8, 60), rng.normal(), rng.uniform(-3, 3))), charge
        )

    one, other, last = lepton(-1), lepton(1), lepton(-1)
    like = replace(other, pt=f32(other.pt * rng.normal(1, 0.01)), phi=f32(other.phi + 0.05))
    four = (one, other, like, last)
    return Event(four) if rng.random() < 0.5 else Event(electrons=four)


def f32(value: float) -> float:
    return float(np.float32(value))


Selected = dict[str, dict[str, list[list[float]]]]  # channel -> rows and steps


def their_selection(form: str, *paths: Path) -> dict[str, Selected]:
    """Run the public program over each of the files."""
    done = subprocess.run(
        [PYTHON, "-c", PROGRAM, form, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
        cwd=paths[0].parent,
    )
    assert done.returncode == 0, done.stderr
    answer = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    return json.loads(answer.removeprefix("RESULT "))


def assert_same_selection(path: Path, folder: Path, theirs: Selected) -> dict[str, int]:
    """Same events, masses and cutflow in all channels; return how many events each has."""
    output = process(path, options={"selection": "published", "events": str(folder)})
    (written,) = folder.iterdir()
    ours = parquet.read_table(written).to_pylist()
    found = {}
    for channel, name in CHANNELS.items():
        mine = {row["event"]: row for row in ours if row["channel"] == channel}
        rows = {int(event): masses for event, *masses in theirs[name]["rows"]}
        found[channel] = len(rows)
        assert mine.keys() == rows.keys()
        for event, masses in rows.items():
            row = mine[event]
            # equal as float32; one ulp where ROOT's way over pt, eta, phi, m rounds otherwise
            np.testing.assert_array_max_ulp(
                np.array([row["m4l"], row["mZ1"], row["mZ2"]], dtype=np.float32),
                np.array(masses, dtype=np.float32),
                maxulp=1,
            )
        same = sum([row["m4l"], row["mZ1"], row["mZ2"]] == rows[event]
                   for event, row in mine.items())  # fmt: skip
        assert same >= 0.99 * len(mine)
        labels, counts = zip(*theirs[name]["steps"], strict=True)
        assert list(zip(labels, counts, strict=True)) == list(output.cutflow[channel][1:])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("form", ["py", "C"])
def test_same_events_and_masses(root: str, events: list[Event], tmp_path: Path, form: str):
    path = write(tmp_path / "events.root", events)
    theirs = their_selection(form, path)
    found = assert_same_selection(path, tmp_path / "dump", theirs[str(path)])
    assert min(found.values()) > 100


@pytest.mark.slow
def test_same_events_and_masses_in_the_generated_set(root: str, tmp_path: Path):
    demo = tmp_path / "demo"
    generate(Settings(output=demo, events_scale=0.01, seed=12))
    paths = sorted(demo.glob("*.root"))
    theirs = their_selection("C", *paths)
    found = {
        path.stem: assert_same_selection(path, tmp_path / path.stem, theirs[str(path)])
        for path in paths
    }
    assert len(found) == 8
    assert found["ZZTo4mu"]["4mu"] > 500
    assert found["ZZTo4e"]["4e"] > 500
    assert found["ZZTo2e2mu"]["2mu2e"] > 500
    assert all(found["SMHiggsToZZTo4L"].values())
    assert found["Run2012C_DoubleMuParked"]["4mu"] > 0


@pytest.mark.slow
def test_the_sample_can_tell_a_truncated_mass(root: str, events: list[Event]):
    """An honest best mass gives other pairs in some of these events."""
    honest = sum(
        published_alike(event.muons, 5, 2.4) != published_alike(event.muons, 5, 2.4, float)
        for event in events
    )
    assert honest >= 10
