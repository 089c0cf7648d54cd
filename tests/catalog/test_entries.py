import json
from pathlib import Path

import pytest

from higgsdemo.catalog.entries import REPEATED, expand, sqrt_s_tev
from higgsdemo.catalog.load import load_set
from higgsdemo.catalog.portal import write_set
from higgsdemo.errors import UsageError
from higgsdemo.model import InputFile, Sample, SampleSet


def one(tmp_path: Path, body: str) -> Sample:
    path = tmp_path / "set.yaml"
    path.write_text("samples:\n  - name: s\n" + body)
    (sample,) = load_set(path).samples
    return sample


def test_defaults(tmp_path: Path) -> None:
    sample = one(tmp_path, "    group: zz\n    year: 2016\n")
    assert sample == Sample("s", "zz", (), 2016, 13.0)


def test_energy_by_year() -> None:
    found = [sqrt_s_tev(year) for year in (None, 2009, 2011, 2012, 2018, 2022)]
    assert found == [None, None, 7.0, 8.0, 13.0, 13.6]


def test_globs_paths_and_urls(tmp_path: Path) -> None:
    for name in ("b.root", "a.root", "sub/a.root"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    sample = one(
        tmp_path,
        "    group: zz\n    files: ['*.root', sub/a.root, {url: 'root://h//store/c.root', "
        "size_bytes: 9}]\n",
    )
    assert [(file.name, file.size_bytes) for file in sample.files] == [
        ("a.root", 1), ("b.root", 1), ("sub/a.root", 1), ("/store/c.root", 9),
    ]  # fmt: skip


def test_a_folder_with_glob_characters_is_only_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run[1]"
    folder.mkdir()
    (folder / "a.root").write_bytes(b"1")
    assert expand("*.root", folder, "here") == [str(folder / "a.root")]
    assert expand("missing.root", folder, "here") == ["missing.root"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ("['*.root']", "no file fits the glob"),
        ("['root://h//store/*.root']", "cannot be expanded on a server"),
        ("[a.root, ./a.root]", "files[0] and sample 's', files[1]"),
        ("[root://h//store/a.root, s3://b/store/a.root]", "twice"),
    ],
)
def test_files_that_cannot_be(tmp_path: Path, files: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        one(tmp_path, f"    group: zz\n    files: {files}\n")
    assert said in str(caught.value)


def test_one_luminosity_for_a_glob_of_two(tmp_path: Path) -> None:
    for name in ("a.root", "b.root"):
        (tmp_path / name).write_bytes(b"1")
    with pytest.raises(UsageError, match="several files"):
        one(tmp_path, "    group: data\n    files: [{url: '*.root', luminosity_pb: 3}]\n")


def test_luminosity_by_table_and_by_file(tmp_path: Path) -> None:
    (tmp_path / "lumi.json").write_text(json.dumps({"a.root": 1e6, "b.root": 0}))
    body = "    group: data\n    luminosity: lumi.json\n    files: [a.root, b.root"
    sample = one(tmp_path, body + ", {url: c.root, luminosity_pb: 0.5}]\n")
    assert [file.luminosity_pb for file in sample.files] == [1.0, 0.0, 0.5]
    assert sample.luminosity_pb == 1.5
    # one file unknown: the sum would say too little
    assert one(tmp_path, body + ", c.root]\n").luminosity_pb is None


def test_indexes_and_repeated_lines(tmp_path: Path) -> None:
    (tmp_path / "i1.txt").write_text("a.root\na.root\n")
    (tmp_path / "i2.txt").write_text("b.root\n")
    sample = one(tmp_path, "    group: zz\n    files: [c.root]\n    index: ['i*.txt']\n")
    assert [file.name for file in sample.files] == ["c.root", "a.root", "b.root"]
    assert sample.sources[REPEATED] == "1 in all: i1.txt:2 repeats i1.txt:1"


def test_an_index_on_a_server(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a local file"):
        one(tmp_path, "    group: zz\n    index: https://host/i.txt\n")


def test_two_samples_of_one_name(tmp_path: Path) -> None:
    path = tmp_path / "set.yaml"
    path.write_text("samples:\n" + "  - {name: s, group: zz}\n" * 2)
    with pytest.raises(UsageError, match="two samples are called 's'"):
        load_set(path)


def test_demo_marks_every_sample(tmp_path: Path) -> None:
    path = tmp_path / "set.yaml"
    path.write_text("demo: true\nsamples: [{name: s, group: zz}]\n")
    assert load_set(path).demo
    assert load_set(path)["s"].demo


def test_a_real_table_on_a_real_index(shared_data: Path, tmp_path: Path) -> None:
    table = shared_data / "lumi" / "cms_run2012b_doubleelectron_aod_22jan2013-v1.json"
    urls = list(json.loads(table.read_text()))
    (tmp_path / "i.txt").write_text("\n".join(url.replace("root://", "s3://") for url in urls))
    sample = one(tmp_path, f"    group: data\n    index: i.txt\n    luminosity: {table}\n")
    assert len(sample.files) == 1643
    assert sample.luminosity_pb == pytest.approx(4436.337279, abs=1e-6)
    assert isinstance(sample.files[0], InputFile)


def test_replicas_are_places_of_the_same_file(tmp_path: Path) -> None:
    sample = one(
        tmp_path,
        "    group: zz\n    files:\n"
        "    - {url: 'root://h//store/a.root', replicas: [gs/b/store/a.root, copies/a.root]}\n"
        "    - {url: s3/b/store/c.root, replicas: https://h/c.root}\n"
        "    - d.root\n",
    )
    assert [(file.name, file.url, file.replicas) for file in sample.files] == [
        ("/store/a.root", "root://h//store/a.root",
         ("gs://b/store/a.root", str(tmp_path / "copies" / "a.root"))),
        ("/store/c.root", "s3://b/store/c.root", ("https://h/c.root",)),
        ("d.root", str(tmp_path / "d.root"), ()),
    ]  # fmt: skip
    assert load_set(write_set(SampleSet("set", (sample,)), tmp_path / "again.yaml")).samples == (
        sample,
    )


def test_replicas_of_a_glob(tmp_path: Path) -> None:
    for name in ("a.root", "b.root"):
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match="replica is given for several"):
        one(tmp_path, "    group: zz\n    files: [{url: '*.root', replicas: ['s3://b/a.root']}]\n")
