"""The 278 candidate events that CMS published: our masses against CMS's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import uproot

from higgsdemo.model import Output
from tests.workflows.builders import process

parquet = pytest.importorskip("pyarrow.parquet")

SIZES = {
    ("2e2mu", 2011): 13, ("2e2mu", 2012): 104,
    ("4e", 2011): 7, ("4e", 2012): 41,
    ("4mu", 2011): 18, ("4mu", 2012): 95,
}  # fmt: skip
AOD = {
    "2mu2e": ("DoubleMu", "mass2mu2e_8TeV_low"),
    "4mu": ("DoubleMu", "mass4mu_8TeV_low"),
    "4e": ("DoubleE", "mass4e_8TeV_low"),
}


def channel_of(name: str) -> str:
    return "2mu2e" if name == "2e2mu" else name


def run(data: Path, where: Path, name: str, year: int, selection: str) -> tuple[Output, dict]:
    """Return the output of one file, and its selected events as columns."""
    path = data / "candidates" / f"{name}_{year}.root"
    options = {"selection": selection, "events": str(where)}
    output = process(path, is_data=True, options=options)
    (written,) = where.iterdir()
    table = parquet.read_table(written)
    assert set(table["channel"].to_pylist()) == {channel_of(name)}
    return output, {column: table[column].to_numpy() for column in ("entry", "m4l", "mZ1", "mZ2")}


def published_by_cms(data: Path, name: str, year: int) -> dict:
    with uproot.open(data / "candidates" / f"{name}_{year}.root") as file:
        return file["Events"].arrays(["event", "ref_m4l", "ref_mZ1", "ref_mZ2"], library="np")


@pytest.mark.parametrize(("name", "year"), SIZES)
def test_every_event_is_accepted_with_cms_masses(shared_data, tmp_path, name, year):
    output, found = run(shared_data, tmp_path, name, year, "default")
    cms = published_by_cms(shared_data, name, year)
    assert output.events == SIZES[name, year]
    assert np.array_equal(found["entry"], np.arange(SIZES[name, year]))
    for mass in ("m4l", "mZ1", "mZ2"):
        np.testing.assert_allclose(found[mass], cms[f"ref_{mass}"], rtol=3e-5)


@pytest.mark.parametrize(("name", "year"), SIZES)
def test_bin_by_bin_as_the_aod_analysis(shared_data, name, year):
    channel = channel_of(name)
    output = process(shared_data / "candidates" / f"{name}_{year}.root", is_data=True)
    stream, histogram = AOD[channel]
    with uproot.open(shared_data / "h4l-histograms" / f"{stream}{year % 100}.root") as file:
        wanted = file[f"demo/{histogram}"]
        ours = output.histograms[f"{channel}/m4l"]
        np.testing.assert_allclose(wanted.axis().edges(), ours.axis.edges)
        assert np.array_equal(ours.counts, wanted.values(flow=True))


def test_the_numbers_of_the_discovery(shared_data):
    outputs = [
        process(shared_data / "candidates" / f"{name}_{year}.root", is_data=True)
        for name, year in SIZES
    ]
    spectra = [
        output.histograms[f"{channel}/m4l"]
        for output in outputs
        for channel in ("4mu", "4e", "2mu2e")
    ]
    assert sum(spectrum.values.sum() for spectrum in spectra) == 102
    assert sum(spectrum.between(121, 130) for spectrum in spectra) == 12


def test_the_tutorial_loses_one_event_and_pairs_another_wrongly(shared_data, tmp_path):
    """Both for its truncated mass; see docs/physics/candidates.md."""
    for (name, year), size in SIZES.items():
        where = tmp_path / f"{name}{year}"
        _, found = run(shared_data, where, name, year, "published")
        cms = published_by_cms(shared_data, name, year)
        near = np.isclose(found["mZ2"], cms["ref_mZ2"][found["entry"]], rtol=1e-3)
        lost = set(range(size)) - set(found["entry"].tolist())
        np.testing.assert_allclose(found["m4l"], cms["ref_m4l"][found["entry"]], rtol=3e-5)
        if (name, year) == ("4mu", 2012):
            assert [cms["event"][i] for i in lost] == [137316968]
            assert cms["event"][found["entry"][~near]].tolist() == [586836364]
            assert found["mZ1"][~near].tolist() == pytest.approx([52.0002], abs=1e-3)
        else:
            assert not lost
            assert near.all()
