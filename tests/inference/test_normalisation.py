from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from higgsdemo.errors import RunError, UsageError
from higgsdemo.inference import normalise
from higgsdemo.inference.normalisation import Normalised
from higgsdemo.model import Axis, Histogram, SampleTotals, Totals
from tests.inference.builders import (
    ELECTRONS,
    MUONS,
    SIMULATED,
    filled,
    physics_facts,
    real_totals,
    run,
    sample,
    totals_of,
)

BINS = Axis(3, 0.0, 3.0, "m4l", "GeV")
MUON_LUMINOSITY_2012C = 7132.244375  # pb^-1, sum of the per-file values


def small(group: str, channel: str, values: list[int], name: str, **more: object) -> SampleTotals:
    numbers = {
        key: more.pop(key)
        for key in ("luminosity_pb", "generated", "files", "files_planned")
        if key in more
    }
    what = sample(name, group, **more)  # type: ignore[arg-type]
    return totals_of(what, {channel: values}, axis=BINS, **numbers)  # type: ignore[arg-type]


def number(
    normalised: Normalised, group: str, channel: str | None = None, year: int | None = None
) -> float:
    spectrum = normalised.spectrum([group], channel and [channel], year and [year])
    return float(spectrum.contents.sum())


# The reference: what the macro of 2017 prints for the full analysis of 2011 and 2012.


def test_reference_totals_of_the_real_analysis(shared_data: Path) -> None:
    normalised = normalise(real_totals(shared_data / "h4l-histograms"))
    assert number(normalised, "data") == 102
    assert [number(normalised, "data", one) for one in ("4mu", "4e", "2mu2e")] == [52, 16, 34]
    assert round(number(normalised, "higgs"), 4) == 9.7305
    assert round(number(normalised, "zz"), 4) == 80.0760
    assert round(number(normalised, "ttbar"), 4) == 0.0698
    assert round(number(normalised, "dy"), 4) == 3.8466
    assert not normalised.excluded
    assert not normalised.without_luminosity


def test_reference_of_the_running_luminosities(shared_data: Path) -> None:
    """With the recorded luminosity of each stream, as the demo of 2019 had it."""
    totals = real_totals(shared_data / "h4l-histograms")
    streams = {
        "DoubleMu11": 2333.311970,
        "DoubleE11": 2333.311970,
        "DoubleMu12": 11568.972829,
        "DoubleE12": 11605.904886,
    }
    samples = {
        name: replace(one, luminosity_pb=streams[name]) if name in streams else one
        for name, one in totals.samples.items()
    }
    normalised = normalise(Totals("streams", samples))
    assert round(number(normalised, "higgs"), 4) == 9.7304
    assert round(number(normalised, "zz"), 4) == 80.0725
    assert round(number(normalised, "dy"), 4) == 3.8459
    assert round(number(normalised, "ttbar"), 5) == 0.06986
    assert normalised.luminosity["4e", 2012].pb.done == 11605.904886
    assert normalised.luminosity["2mu2e", 2012].pb.done == 11568.972829


@pytest.mark.parametrize(("part", "expected"), [(1.0, 3.9599), (0.5, 1.97996), (0.0, 0.0)])
def test_worked_example_of_a_partial_run(shared_data: Path, part: float, expected: float) -> None:
    """All simulated Higgs events, no electron data, all or half or none of Run2012C's muons."""
    totals = real_totals(shared_data / "h4l-histograms")
    muons = replace(totals.samples["DoubleMu12"], luminosity_pb=part * MUON_LUMINOSITY_2012C)
    electrons = replace(
        totals.samples["DoubleE12"], luminosity_pb=0.0, histograms={}, files=0, tasks=0
    )
    normalised = normalise(run(totals.samples["HZZ12"], muons, electrons))
    assert round(number(normalised, "higgs"), 5 if part == 0.5 else 4) == expected
    assert number(normalised, "higgs", "4e") == 0
    assert any(
        "4e" in one.channels and "no data luminosity of 2012" in one.reason
        for one in normalised.excluded
    )


def test_constants_of_these_tests_are_those_of_the_fact_sheet(shared_data: Path) -> None:
    facts = physics_facts(shared_data.parent)
    for name, (year, group, channels, cross_section, factor, generated) in SIMULATED.items():
        row = facts[name]
        assert (int(row["year"]), row["group"]) == (year, group)
        assert row["channels_used"].split(";") == list(channels)
        assert float(row["xsec_pb"]) == cross_section
        assert float(row["k_or_scale_factor"]) == factor
        assert int(row["n_generated"]) == generated


# Rules, on small numbers.


def test_formula_and_error() -> None:
    normalised = normalise(
        run(
            small("data", "4mu", [1, 2, 3], "mu", channels=MUONS, luminosity_pb=100.0),
            small(
                "zz", "4mu", [4, 0, 9], "zz", cross_section_pb=2.0, scale_factor=1.5, generated=600
            ),
        )
    )
    spectrum = normalised.spectrum(["zz"], ["4mu"])
    weight = 100.0 * 3.0 / 600
    assert spectrum.contents == pytest.approx([4 * weight, 0, 9 * weight])
    assert spectrum.variance == pytest.approx([4 * weight**2, 0, 9 * weight**2])
    assert spectrum.counts.tolist() == [4, 0, 9]
    assert normalised.spectrum(["data"]).contents.tolist() == [1, 2, 3]
    assert normalised.spectrum(["data"]).variance.tolist() == [1, 2, 3]


def test_streams_and_years_have_their_own_luminosity() -> None:
    normalised = normalise(
        run(
            small("data", "4mu", [0, 0, 0], "mu12", channels=MUONS, luminosity_pb=100.0),
            small("data", "4e", [0, 0, 0], "el12", channels=ELECTRONS, luminosity_pb=50.0),
            small("data", "4mu", [0, 0, 0], "mu11", channels=MUONS, year=2011, luminosity_pb=7.0),
            replace(
                small("higgs", "4mu", [1, 0, 0], "h12", cross_section_pb=1.0, generated=1),
                histograms={f"{one}/m4l": filled(BINS, [1, 0, 0]) for one in ("4mu", "4e")},
            ),
            small(
                "higgs", "4mu", [1, 0, 0], "h11", year=2011, cross_section_pb=1.0, generated=1
            ),
        )
    )  # fmt: skip
    assert number(normalised, "higgs", "4mu", 2012) == 100
    assert number(normalised, "higgs", "4e", 2012) == 50
    assert number(normalised, "higgs", "4mu", 2011) == 7


def test_simulation_of_2011_never_scales_with_data_of_2012() -> None:
    normalised = normalise(
        run(
            small("data", "4mu", [1, 0, 0], "mu12", luminosity_pb=100.0),
            small("zz", "4mu", [1, 0, 0], "zz11", year=2011, cross_section_pb=1.0, generated=1),
        )
    )
    assert number(normalised, "zz") == 0
    (remark,) = normalised.excluded
    assert remark.sample == "zz11"
    assert "no data of 2011" in remark.reason


def test_samples_that_share_a_cross_section_share_the_denominator() -> None:
    data = small("data", "4mu", [0, 0, 0], "mu", luminosity_pb=10.0)
    shared = {"cross_section_pb": 6.0, "normalise_with": "low-mass"}
    low = small("dy", "4mu", [2, 0, 0], "ht200", generated=100, **shared)
    high = small("dy", "4mu", [0, 4, 0], "ht400", generated=200, **shared)
    both = normalise(run(data, low, high)).spectrum(["dy"]).contents
    merged = small("dy", "4mu", [2, 4, 0], "merged", cross_section_pb=6.0, generated=300)
    assert both == pytest.approx(normalise(run(data, merged)).spectrum(["dy"]).contents)


def test_a_sample_counts_only_in_its_channels() -> None:
    """An electron stream also selects 2mu2e events; the muon stream already has them."""
    electrons = small("data", "4e", [1, 0, 0], "el", channels=ELECTRONS, luminosity_pb=5.0)
    both = {f"{one}/m4l": filled(BINS, [1, 1, 1]) for one in ("4e", "2mu2e")}
    muons = small("data", "2mu2e", [0, 1, 0], "mu", channels=MUONS, luminosity_pb=9.0)
    normalised = normalise(run(replace(electrons, histograms=both), muons))
    assert number(normalised, "data", "4e") == 3
    assert number(normalised, "data", "2mu2e") == 1
    assert normalised.luminosity["2mu2e", 2012].pb.done == 9.0


def test_nothing_is_nan_before_the_first_result() -> None:
    promised = [
        replace(
            small(group, "4mu", [0, 0, 0], name, cross_section_pb=1.0, luminosity_pb=lumi),
            histograms={},
            tasks=0,
            files=0,
        )
        for name, group, lumi in (("d", "data", 0.0), ("h", "higgs", None), ("z", "zz", None))
    ]
    normalised = normalise(run(*promised))
    assert normalised.channels == ("4mu", "4e", "2mu2e")
    assert normalised.axis == Axis(37, 70.0, 181.0, "m4l", "GeV")
    for template in normalised.templates:
        assert np.all(template.contents == 0)
        assert np.all(template.variance == 0)
    assert {one.sample for one in normalised.excluded} == {"h", "z"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cross_section_pb": None}, "no cross section"),
        ({"generated": 0.0}, "no simulated event"),
        ({"year": None}, "no data of unknown year"),
    ],
)
def test_what_cannot_be_normalised_is_listed_with_the_reason(
    change: dict[str, object], reason: str
) -> None:
    options: dict[str, object] = {"cross_section_pb": 1.0, "generated": 10.0, **change}
    normalised = normalise(
        run(
            small("data", "4mu", [1, 1, 1], "d", luminosity_pb=10.0),
            small("zz", "4mu", [5, 5, 5], "z", **options),
        )
    )
    assert number(normalised, "zz") == 0
    (remark,) = normalised.excluded
    assert remark.channels == ("4mu",)
    assert reason in remark.reason
    assert str(remark).startswith("z (4mu): ")


def test_data_without_luminosity_count_and_are_listed() -> None:
    normalised = normalise(
        run(
            small("data", "4mu", [1, 1, 1], "known", luminosity_pb=10.0),
            small("data", "4mu", [1, 1, 1], "unknown", luminosity_pb=None),
            small("zz", "4mu", [1, 0, 0], "z", cross_section_pb=1.0, generated=1),
        )
    )
    assert number(normalised, "data") == 6
    assert number(normalised, "zz") == 10
    assert [one.sample for one in normalised.without_luminosity] == ["unknown"]
    assert normalised.luminosity["4mu", 2012].unknown == ("unknown",)


def test_luminosity_zero_is_known() -> None:
    """A data file without certified sections is legal: 0 is not None."""
    normalised = normalise(run(small("data", "4mu", [0, 0, 0], "d", luminosity_pb=0.0)))
    assert not normalised.without_luminosity


def test_only_data_of_an_unknown_year() -> None:
    normalised = normalise(run(small("data", "4mu", [1, 2, 0], "mine", year=None)))
    assert number(normalised, "data") == 3
    assert normalised.years == (None,)
    assert normalised.groups == ("data",)


def test_channels_of_other_workflows_are_taken() -> None:
    data = small("data", "4mu", [0, 0, 0], "d", luminosity_pb=2.0)
    other = replace(data, histograms={"dijet/m4l": filled(BINS, [1, 2, 3])})
    normalised = normalise(run(other))
    assert normalised.channels == ("dijet",)
    assert number(normalised, "data", "dijet") == 6


def test_one_channel() -> None:
    totals = run(
        small("data", "4mu", [1, 0, 0], "mu", channels=("4mu",), luminosity_pb=2.0),
        small("data", "4e", [2, 0, 0], "el", channels=ELECTRONS, luminosity_pb=3.0),
        small("zz", "4e", [2, 0, 0], "zz", cross_section_pb=1.0),
    )
    normalised = normalise(totals).only("4e")
    assert normalised.channels == ("4e",)
    assert number(normalised, "data") == 2
    assert list(normalised.luminosity) == [("4e", 2012)]
    assert [one.channels for one in normalised.excluded] == [("4e",)]
    with pytest.raises(UsageError) as refusal:
        normalise(totals).only("4m")
    assert refusal.value.nearest[0] == "4mu"


def test_unknown_variable_names_the_nearest() -> None:
    with pytest.raises(UsageError) as refusal:
        normalise(run(small("data", "4mu", [1, 0, 0], "d")), "m4")
    assert refusal.value.nearest == ("m4l",)


def test_variable_of_unknown_axis_before_the_first_result() -> None:
    with pytest.raises(RunError, match="mZ1"):
        normalise(run(replace(small("data", "4mu", [0, 0, 0], "d"), histograms={})), "mZ1")


def test_different_axes_do_not_add() -> None:
    one = small("data", "4mu", [1, 0, 0], "a")
    other = replace(
        small("data", "4mu", [0, 0, 0], "b"),
        histograms={"4mu/m4l": Histogram.zeros(Axis(4, 0.0, 3.0, "m4l", "GeV"))},
    )
    with pytest.raises(RunError) as refusal:
        normalise(run(one, other))
    assert "3 bins" in str(refusal.value)
    assert "4 bins" in str(refusal.value)


def test_a_part_of_the_simulation_changes_precision_not_scale(shared_data: Path) -> None:
    """Half of every simulated sample: the same expectation, a larger error (promise P5)."""
    totals = real_totals(shared_data / "h4l-histograms")
    random = np.random.default_rng(5)
    half = {
        name: one
        if one.sample.is_data
        else replace(
            one,
            generated_events=one.generated_events / 2,
            histograms={
                key: Histogram(histogram.axis, random.binomial(histogram.counts, 0.5))
                for key, histogram in one.histograms.items()
            },
        )
        for name, one in totals.samples.items()
    }
    whole, part = normalise(totals), normalise(Totals("half", half))
    assert number(part, "zz") == pytest.approx(number(whole, "zz"), rel=0.02)
    ratio = part.spectrum(["zz"]).variance.sum() / whole.spectrum(["zz"]).variance.sum()
    assert ratio == pytest.approx(2, rel=0.05)
