import dataclasses
from pathlib import Path

import pytest

from higgsdemo.catalog import load_set
from higgsdemo.catalog.portal.write import set_to_yaml, write_set
from higgsdemo.catalog.schema import FileEntry
from higgsdemo.errors import UsageError
from higgsdemo.model import InputFile, Sample, SampleSet

NAME = "/eos/opendata/cms/Run2012B/X/AOD/v1/a.root"
FILE = InputFile(NAME, f"root://eospublic.cern.ch/{NAME}", 5, 0.0, "adler32:1a2b3c4d")
SET = SampleSet(
    "mine",
    (
        Sample(
            name="yes",  # YAML's word for true
            group="data",
            files=(FILE,),
            year=2012,
            sqrt_s_tev=8.0,
            format="aod",
            channels=("4mu",),
            dataset="/X/Run2012B-v1/AOD",
            record=6004,
            luminosity_pb=0.0,
            sources={"files": "CERN Open Data record 6004: asked, 'today' # really"},
        ),
        Sample(
            name="zz",
            group="zz",
            files=(),
            cross_section_pb=1e-7,
            scale_factor=1.386,
            generated_events=3,
            normalise_with="both",
        ),
    ),
    title="Title: with a colon",
    description="Größe",
)


def readable(samples: SampleSet) -> SampleSet:
    """The set as the YAML form can say it: with checksums only once its files have them."""
    if "checksum" in FileEntry.model_fields:
        return samples
    return dataclasses.replace(
        samples,
        samples=tuple(
            dataclasses.replace(
                sample,
                files=tuple(dataclasses.replace(file, checksum=None) for file in sample.files),
            )
            for sample in samples.samples
        ),
    )


@pytest.mark.parametrize(
    "samples", [SET, load_set("nanoaod-2012"), load_set("aod-2011-2012")], ids=lambda s: s.name
)
def test_what_is_written_loads_again(samples: SampleSet, tmp_path: Path) -> None:
    path = write_set(samples, tmp_path / "new" / "set.yaml")
    assert load_set(path) == readable(samples)
    assert [each.name for each in path.parent.iterdir()] == ["set.yaml"]


def test_only_what_is_known_is_written() -> None:
    assert set_to_yaml(SampleSet("s", (Sample("a", "zz", (InputFile("a", "/a"),)),))) == (
        "name: s\nsamples:\n- name: a\n  group: zz\n  files:\n  - url: /a\n"
    )


def test_demo_data_stays_demo_data(tmp_path: Path) -> None:
    demo = SampleSet("s", (Sample("a", "zz", (InputFile("x", "root://h//x"),), demo=True),))
    assert load_set(write_set(demo, tmp_path / "s.yaml")).demo


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "set.yaml"
    path.write_text("precious")
    with pytest.raises(UsageError, match="the sample set is there already"):
        write_set(SET, path)
    assert path.read_text() == "precious"
    write_set(SET, path, overwrite=True)
    assert load_set(path) == readable(SET)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write the sample set"):
        write_set(SET, tmp_path / "file" / "set.yaml")
