"""The finished demo data against the public analysis of the real ones.

Through the real selection and the same normalisation as users get, on the default folder.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
import uproot

from higgsdemo.catalog import load_set
from higgsdemo.model import Task, TaskFile
from higgsdemo.simulation import Settings, generate
from higgsdemo.worker import run_task

pytestmark = pytest.mark.slow

LUMINOSITY_PB = 11_580.0
# sample, channel, file of the AOD analysis
SIMULATED = [
    ("SMHiggsToZZTo4L", "4mu", "HZZ12"),
    ("SMHiggsToZZTo4L", "4e", "HZZ12"),
    ("SMHiggsToZZTo4L", "2mu2e", "HZZ12"),
    ("ZZTo4mu", "4mu", "ZZ4mu12"),
    ("ZZTo4e", "4e", "ZZ4e12"),
    ("ZZTo2e2mu", "2mu2e", "ZZ2mu2e12"),
]


@dataclass(frozen=True)
class Analysed:
    samples: object
    counts: dict

    def spectrum(self, selection, sample, channel, variable="m4l"):
        return self.counts[selection, sample].histograms[f"{channel}/{variable}"]

    def weight(self, name):
        sample = self.samples[name]
        return LUMINOSITY_PB * sample.effective_cross_section_pb / sample.generated_events

    def total(self, selection, group, variable="m4l"):
        return sum(
            self.spectrum(selection, sample.name, channel, variable).values.sum()
            * (1.0 if group == "data" else self.weight(sample.name))
            for sample in self.samples.samples
            if sample.group == group
            for channel in sample.channels
        )


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("default")
    generate(Settings(folder))
    samples = load_set(folder)
    counts = {}
    for selection in ("default", "published"):
        for sample in samples.samples:
            task = Task(
                sample.name,
                tuple(TaskFile(file.name, file.url) for file in sample.files),
                options={"selection": selection},
                channels=sample.channels,
                is_data=sample.is_data,
            )
            counts[selection, sample.name] = run_task(task).output
    return Analysed(samples, counts)


def test_published_yields_are_those_of_the_tutorial(analysed):
    """In 70-180 GeV at 11.58 fb^-1: Higgs 6.698, ZZ 61.998, data 77 (df103's streams)."""
    assert analysed.total("published", "higgs", "m4l_published") == pytest.approx(6.698, rel=0.1)
    assert analysed.total("published", "zz", "m4l_published") == pytest.approx(61.998, rel=0.1)
    observed = analysed.total("published", "data", "m4l_published")
    assert abs(observed - 77) < 3 * np.sqrt(77)


@pytest.mark.parametrize(("sample", "channel", "real"), SIMULATED)
def test_default_yield_per_channel_is_that_of_the_aod_analysis(
    analysed, shared_data, sample, channel, real
):
    with uproot.open(shared_data / "h4l-histograms" / f"{real}.root") as file:
        events = file["demo/NMuons"].values(flow=True).sum()
        low = file[f"demo/mass{channel}_8TeV_low"].values()
    expected = low.sum() / events
    made = analysed.spectrum("default", sample, channel)
    generated = analysed.samples[sample].generated_events
    assert made.values.sum() / generated == pytest.approx(expected, rel=0.12)


@pytest.mark.parametrize(("sample", "channel", "real"), SIMULATED[3:])
def test_zz_spectrum_region_by_region(analysed, shared_data, sample, channel, real):
    """Below, on and above the Z peak, the flat part, the threshold, on-shell pairs and beyond."""
    edges = np.array([70, 97, 121, 160, 181, 250, 400])
    with uproot.open(shared_data / "h4l-histograms" / f"{real}.root") as file:
        events = file["demo/NMuons"].values(flow=True).sum()
        full = file[f"demo/mass{channel}_full"]
        centres, values = full.axis().centers(), full.values()
    made = analysed.spectrum("default", sample, channel, "m4l_wide")
    generated = analysed.samples[sample].generated_events
    assert np.array_equal(made.axis.edges, full.axis().edges())
    for low, high in itertools.pairwise(edges):
        inside = (low <= centres) & (centres < high)
        counted = made.values[inside].sum()
        expected = values[inside].sum() / events * generated
        assert counted == pytest.approx(expected, rel=0.25, abs=3 * np.sqrt(expected)), (low, high)


@pytest.mark.parametrize(("sample", "channel", "real"), SIMULATED[:3])
def test_higgs_peak_position_and_width(analysed, shared_data, sample, channel, real):
    with uproot.open(shared_data / "h4l-histograms" / f"{real}.root") as file:
        histogram = file[f"demo/mass{channel}_8TeV_low"]
        centres, expected = histogram.axis().centers(), histogram.values()
    made = analysed.spectrum("default", sample, channel).values
    near = (centres > 109) & (centres < 136)

    def moments(values):
        mean = np.average(centres[near], weights=values[near])
        return mean, np.sqrt(np.average((centres[near] - mean) ** 2, weights=values[near]))

    (mean, width), (real_mean, real_width) = moments(made), moments(expected)
    assert mean == pytest.approx(real_mean, abs=0.6)
    assert width == pytest.approx(real_width, rel=0.25)
    assert centres[made.argmax()] == pytest.approx(125.5)


def test_pseudo_data_agree_with_the_expectation(analysed):
    """Poisson around signal + ZZ (less triggers) + reducible: within three sigma."""
    expected = analysed.total("default", "higgs") + analysed.total("default", "zz")
    observed = analysed.total("default", "data")
    assert abs(observed - expected) < 3 * np.sqrt(expected)


def test_tutorial_candidates_overlap_between_the_streams(analysed, tmp_path):
    """Of the real 2mu2e candidates most are in both streams, few in the electron one alone."""
    shared = set()
    for stream in ("DoubleMuParked", "DoubleElectron"):
        for era in "BC":
            (file,) = analysed.samples[f"Run2012{era}_{stream}"].files
            with uproot.open(file.url) as opened:
                columns = opened["Events"].arrays(
                    ["run", "event", "nMuon", "nElectron"], "(nMuon >= 2) & (nElectron >= 2)"
                )
            shared |= {(stream, *each) for each in zip(columns.run, columns.event, strict=True)}
    muon, electron = (
        {key[1:] for key in shared if key[0] == stream}
        for stream in ("DoubleMuParked", "DoubleElectron")
    )
    assert len(muon & electron) > 0.2 * len(muon)
    assert len(muon - electron) > len(electron - muon)
