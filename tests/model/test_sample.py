"""Samples: what their numbers mean."""

import dataclasses

import pytest

from higgsdemo.model import CHANNELS, GROUPS, InputFile, Sample, SampleSet

ZZ = Sample("ZZTo4mu", "zz", (InputFile("a.root", "/data/a.root"),), cross_section_pb=0.077)


def test_effective_cross_section_is_scaled() -> None:
    assert ZZ.effective_cross_section_pb == 0.077
    assert dataclasses.replace(ZZ, scale_factor=1.386).effective_cross_section_pb == 0.077 * 1.386
    assert dataclasses.replace(ZZ, cross_section_pb=None).effective_cross_section_pb is None


@pytest.mark.parametrize("group", GROUPS)
def test_only_the_group_data_is_data(group: str) -> None:
    assert Sample("s", group, ()).is_data == (group == "data")


def test_samples_that_share_a_cross_section_share_their_key() -> None:
    one = dataclasses.replace(ZZ, name="ZZTo4mu_ext", normalise_with="ZZTo4mu")
    assert one.normalisation == ZZ.normalisation == "ZZTo4mu"


def test_samples_cannot_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ZZ.name = "other"
    with pytest.raises(dataclasses.FrozenInstanceError):
        ZZ.files[0].url = "other"


def test_samples_do_not_share_their_sources() -> None:
    one, two = Sample("one", "zz", ()), Sample("two", "zz", ())
    one.sources["cross_section_pb"] = "a paper"
    assert two.sources == {}


def test_set_finds_samples_by_name() -> None:
    samples = SampleSet("set", (ZZ, Sample("Run2012B_DoubleMuParked", "data", ())))
    assert samples["ZZTo4mu"] is ZZ
    with pytest.raises(KeyError, match="nope"):
        samples["nope"]


def test_one_demo_sample_makes_the_set_demo() -> None:
    real = SampleSet("set", (ZZ,))
    assert not real.demo
    assert dataclasses.replace(real, samples=(ZZ, dataclasses.replace(ZZ, demo=True))).demo
    assert not SampleSet("empty", ()).demo


def test_a_sample_fills_all_channels_unless_told() -> None:
    assert ZZ.channels == CHANNELS == ("4mu", "4e", "2mu2e")
