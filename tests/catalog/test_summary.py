import json
from pathlib import Path

from higgsdemo.catalog import list_sets, load_set, summarise_samples, summarise_set, to_json
from higgsdemo.catalog.summary import size_bytes
from higgsdemo.model import InputFile, Sample


def test_the_built_in_sets() -> None:
    reduced, aod = list_sets()
    assert (reduced.name, reduced.samples, reduced.files) == ("nanoaod-2012", 8, 8)
    assert (reduced.size_bytes, reduced.years) == (12_790_089_202, (2012,))
    assert (aod.samples, aod.files, aod.size_bytes, aod.years) == (22, 0, None, (2011, 2012))


def test_rows() -> None:
    rows = {row.name: row for row in summarise_samples(load_set("aod-2011-2012"))}
    assert rows["hzz_2012"].published_files == 34
    assert rows["hzz_2012"].name_2019 == "sm12_dr53x_smhiggstozzto4l_m-125_8tev-pw15-j3-py6"
    assert rows["dy50_2011"].published_files is None


def test_sizes() -> None:
    files = (InputFile("a", "a", 3), InputFile("b", "b", 4))
    assert size_bytes(Sample("s", "zz", files)) == 7
    assert size_bytes(Sample("s", "zz", (*files, InputFile("c", "c")))) is None
    assert size_bytes(Sample("s", "zz", ())) is None


def test_json(tmp_path: Path) -> None:
    (tmp_path / "samples.yaml").write_text("demo: true\nsamples: [{name: s, group: zz}]\n")
    samples = load_set(tmp_path)
    document = json.loads(json.dumps(to_json(samples)))
    assert document["demo"] is True
    assert document["samples"][0]["name"] == "s"
    assert summarise_set(samples).samples == 1
