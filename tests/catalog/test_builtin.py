import csv
from pathlib import Path

import pytest

from higgsdemo.catalog.builtin import (
    builtin_names,
    load_builtin,
    published_entry,
    published_sample,
    published_set,
)
from higgsdemo.model import Sample

NUMBERS = ("cross_section_pb", "scale_factor", "generated_events", "luminosity_pb", "record")


def facts(shared_data: Path) -> list[dict[str, str]]:
    with (shared_data.parent / "physics" / "samples.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_names() -> None:
    assert builtin_names() == ("nanoaod-2012", "aod-2011-2012")
    with pytest.raises(KeyError):
        load_builtin("other")


@pytest.mark.parametrize("name", builtin_names())
def test_every_number_has_a_source(name: str) -> None:
    for entry in published_set(name).samples:
        wanted = {key for key in NUMBERS if getattr(entry, key) is not None}
        if entry.group == "data":
            wanted.discard("scale_factor")
        if entry.normalise_with:
            wanted.add("normalise_with")
        if entry.files:
            wanted.add("size_bytes")
        assert wanted <= set(entry.sources), entry.name
        assert all(len(source) > 10 for source in entry.sources.values()), entry.name


def test_the_eight_files() -> None:
    samples = load_builtin("nanoaod-2012").samples
    assert [sample.record for sample in samples] == list(range(12361, 12369))
    for sample in samples:
        (file,) = sample.files
        assert file.name == (
            "/eos/opendata/cms/derived-data/AOD2NanoAODOutreachTool/ForHiggsTo4Leptons/"
            f"{sample.name}.root"
        )
        assert file.url == f"root://eospublic.cern.ch/{file.name}"
    assert sum(sample.files[0].size_bytes or 0 for sample in samples) == 12_790_089_202
    streams = {sample.name: sample.channels for sample in samples if sample.is_data}
    assert streams["Run2012B_DoubleMuParked"] == ("4mu", "2mu2e")
    assert streams["Run2012B_DoubleElectron"] == ("4e",)  # 2mu2e too would count events twice


def test_weights_of_the_fact_sheet() -> None:
    """Weights at 11.58 fb^-1, physics/selection-nanoaod.md section 4."""
    expected = {
        "SMHiggsToZZTo4L": 2.5092258e-4,
        "ZZTo4mu": 8.2440827e-4,
        "ZZTo4e": 8.2439232e-4,
        "ZZTo2e2mu": 1.9292718e-3,
    }
    for name, weight in expected.items():
        sample = load_builtin("nanoaod-2012")[name]
        assert sample.effective_cross_section_pb is not None
        assert sample.generated_events is not None
        found = 11580 * sample.effective_cross_section_pb / sample.generated_events
        assert found == pytest.approx(weight, rel=1e-7)


def test_drell_yan_has_the_right_cross_sections() -> None:
    aod = load_builtin("aod-2011-2012")
    assert aod["dy50_2012"].cross_section_pb == 2955  # the 2019 demo: 10.742
    assert aod["dy50_2011"].cross_section_pb == 2475  # the 2019 demo: 9507
    assert aod["dy50_2011_kubecon"].cross_section_pb == 2475
    assert aod["dy50_2011"].normalisation == aod["dy50_2011_kubecon"].normalisation
    bins = [aod["dy1050_2012_ht200to400"], aod["dy1050_2012_ht400toinf"]]
    assert {sample.normalisation for sample in bins} == {"dy1050_2012"}
    assert {sample.cross_section_pb for sample in bins} == {10.742}
    assert {sample.generated_events for sample in bins} == {None}


def test_samples_with_one_denominator_have_one_cross_section() -> None:
    for name in builtin_names():
        shared: dict[str, set[float | None]] = {}
        for sample in load_builtin(name).samples:
            if not sample.is_data:
                found = shared.setdefault(sample.normalisation, set())
                found.add(sample.effective_cross_section_pb)
        assert all(len(values) == 1 for values in shared.values())


def test_luminosity_by_year_and_stream() -> None:
    """Totals of physics/normalisation.md section 2, pb^-1."""

    def total(year: int, channel: str) -> float:
        return sum(
            sample.luminosity_pb or 0
            for sample in load_builtin("aod-2011-2012").samples
            if sample.is_data and sample.year == year and channel in sample.channels
        )

    assert total(2012, "4mu") == pytest.approx(11568.972829, abs=2e-6)
    assert total(2012, "4e") == pytest.approx(11605.904886, abs=2e-6)
    assert total(2011, "4mu") == total(2011, "4e") == pytest.approx(2333.311970)


def test_22_aod_samples_are_the_21_of_the_demo_and_one_more() -> None:
    entries = published_set("aod-2011-2012").samples
    assert len(entries) == 22
    assert [entry.name for entry in entries if entry.name_2019 is None] == ["dy50_2011"]
    assert sum(entry.published_files or 0 for entry in entries) == 26_920
    assert not any(entry.files for entry in entries)


def test_against_the_fact_sheet(shared_data: Path) -> None:
    rows = {row["short_id"]: row for row in facts(shared_data) if row["format"].startswith("AOD")}
    aod = load_builtin("aod-2011-2012")
    assert {sample.name for sample in aod.samples} == set(rows)
    for sample in aod.samples:
        row = rows[sample.name]
        entry = published_entry(sample)
        assert entry is not None
        assert entry.name == sample.name
        assert sample.dataset == row["cms_dataset"]
        assert sample.group == row["group"]
        assert sample.year == int(row["year"])
        assert sample.sqrt_s_tev == float(row["sqrt_s_TeV"])
        assert list(sample.channels) == row["channels_used"].split(";")
        assert (entry.name_2019 or "") == row["kubecon_samplename"]
        assert (entry.rootfile_2017 or "") == row["rootfile_2017"]
        assert str(sample.record or "") == row["cod_record_id"]
        assert str(entry.published_files or "") == row["n_aod_files"]
        if row["xsec_pb"]:
            assert sample.cross_section_pb == float(row["xsec_pb"])
            assert sample.scale_factor == float(row["k_or_scale_factor"])
        if row["int_lumi_pb"]:
            assert sample.luminosity_pb == float(row["int_lumi_pb"])
        if row["n_generated"] and not sample.name.startswith("dy1050_2012"):
            assert sample.generated_events == int(row["n_generated"])


def test_the_eight_files_against_the_fact_sheet(shared_data: Path) -> None:
    rows = {row["short_id"].removeprefix("nano_"): row for row in facts(shared_data)}
    for sample in load_builtin("nanoaod-2012").samples:
        row = rows[sample.name]
        assert f"{sample.dataset})" in row["cms_dataset"]
        assert str(sample.files[0].size_bytes) in row["notes"]
        for mine, theirs in (
            (sample.cross_section_pb, row["xsec_pb"]),
            (sample.generated_events, row["n_generated"]),
            (sample.luminosity_pb, row["int_lumi_pb"]),
        ):
            assert (mine or 0) == float(theirs or 0)


def test_look_ups() -> None:
    found = published_sample(dataset="/DoubleMu/Run2011A-12Oct2013-v1/AOD")
    assert found is not None
    assert found.name == "dmu_2011a"
    assert published_sample(dataset="/DoubleMu/Run2011A-12Oct2013-v2/AOD") is None
    reduced = published_sample(name="ZZTo4mu")
    assert reduced is not None
    assert reduced.record == 12362
    assert published_sample(name="ZZTo4tau") is None
    assert published_entry(Sample("x", "zz", ())) is None
