import json
import os
import tarfile
from pathlib import Path

import pytest

from higgsdemo.catalog import load_set
from higgsdemo.errors import UsageError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"1")


def listing(folder: Path | str) -> dict[str, list[str]]:
    return {
        sample.name: [file.name for file in sample.files] for sample in load_set(folder).samples
    }


def test_built_in() -> None:
    assert len(load_set("nanoaod-2012").samples) == 8


def test_yaml_by_file_and_by_folder(tmp_path: Path) -> None:
    touch(tmp_path, "mine/a.root")
    (tmp_path / "mine" / "samples.yaml").write_text(
        "title: Mine\nsamples: [{name: s, group: zz, files: [a.root]}]\n"
    )
    by_folder = load_set(tmp_path / "mine")
    assert by_folder == load_set(tmp_path / "mine" / "samples.yaml")
    assert (by_folder.name, by_folder.title) == ("mine", "Mine")
    assert by_folder["s"].files[0].url == str(tmp_path / "mine" / "a.root")


def test_a_folder_is_the_same_set_wherever_it_is(tmp_path: Path) -> None:
    for place in ("here", "far/away"):
        touch(tmp_path / place, "a.root", "sub/b.root", "sub/deep/c.root", "sub/deep/b.root")
        touch(tmp_path / place, ".hidden/d.root", ".e.root", "notes.md")
    expected = {"a": ["a.root"], "sub": ["sub/b.root", "sub/deep/b.root", "sub/deep/c.root"]}
    assert listing(tmp_path / "here") == listing(tmp_path / "far/away") == expected


def test_a_folder_given_by_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "x/a.root")
    monkeypatch.chdir(tmp_path)
    assert listing("x") == listing("./x/") == {"a": ["a.root"]}
    monkeypatch.chdir(tmp_path / "x")
    assert listing(".") == listing("*.root") == {"a": ["a.root"]}


def test_links_are_followed_once(tmp_path: Path) -> None:
    touch(tmp_path, "data/a.root")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "loop").symlink_to(tmp_path / "data")
    assert listing(tmp_path / "set") == {"linked": ["linked/a.root"]}


def test_two_files_with_one_base_name(tmp_path: Path) -> None:
    touch(tmp_path, "one/x.root", "two/x.root")
    files = [str(tmp_path / "one/x.root"), str(tmp_path / "two/x.root")]
    (sample,) = load_set(files).samples
    assert [file.name for file in sample.files] == ["one/x.root", "two/x.root"]


def test_files_and_urls(tmp_path: Path) -> None:
    touch(tmp_path, "a.root")
    samples = load_set([tmp_path / "a.root", "https://host.org/b.root?download=1"]).samples
    assert {sample.name: sample.files[0].name for sample in samples} == {
        "a": "a.root",
        "b": "/b.root",
    }
    assert load_set("root://host//store/c.root").name == "c"
    with pytest.raises(UsageError, match="twice"):
        load_set([tmp_path / "a.root", f"{tmp_path}/./a.root"])


def test_higgsdna_json(tmp_path: Path) -> None:
    touch(tmp_path, "b1.root", "b2.root")
    document = {"ZZTo4mu": ["root://h//store/a.root"], "mine_2012": ["b*.root", "gone.root"]}
    (tmp_path / "set.json").write_text(json.dumps(document))
    found = load_set(tmp_path / "set.json")
    assert found["ZZTo4mu"].cross_section_pb == 0.077
    assert [file.name for file in found["mine_2012"].files] == ["b1.root", "b2.root", "gone.root"]
    assert found["mine_2012"].year == 2012


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "not a sample set"),
        ({}, "not a sample set"),
        ({"a": "b.root"}, "'a' has no list of files"),
        ({"a": [1]}, "'a' has no list of files"),
        ({"a": ["b.root", "b.root"]}, "a[0] and"),
        ({"samplejson": "x.json", "workflow": "h4l"}, "its sample set is 'x.json'"),
    ],
)
def test_other_json(tmp_path: Path, document: object, said: str) -> None:
    (tmp_path / "set.json").write_text(json.dumps(document))
    with pytest.raises(UsageError) as caught:
        load_set(tmp_path / "set.json")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "nearest"),
    [
        ("nanoaod-2021", ("nanoaod-2012",)),
        ("aod", ("aod-2011-2012",)),
        ("smaples.yaml", ("samples.yaml",)),
        ("candidate", ("candidates",)),
        ("candidates/2e2mu.root", ("candidates/2e2mu_2011.root",)),
    ],
)
def test_an_unknown_name_has_its_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, nearest: tuple[str, ...]
) -> None:
    touch(tmp_path, "samples.yaml", "candidates/2e2mu_2011.root")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        load_set(spec)
    assert caught.value.nearest[: len(nearest)] == nearest
    assert caught.value.exit_code == 2


def test_what_is_no_sample_set(tmp_path: Path) -> None:
    touch(tmp_path, "a.csv", "b.csv", "empty/readme.md")
    for spec in (tmp_path / "a.csv", tmp_path / "empty", [], [tmp_path / "a.csv"] * 2,
                 "https://host.org/set.yaml", str(tmp_path / "*.root")):  # fmt: skip
        with pytest.raises(UsageError):
            load_set(spec)


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_folder_that_may_not_be_listed(tmp_path: Path) -> None:
    (tmp_path / "set" / "closed").mkdir(parents=True)
    (tmp_path / "set" / "closed").chmod(0)
    try:
        with pytest.raises(UsageError, match="Permission denied"):
            load_set(tmp_path / "set")
    finally:
        (tmp_path / "set" / "closed").chmod(0o700)


def test_the_candidates(shared_data: Path) -> None:
    found = load_set(shared_data / "candidates")
    assert {(sample.name, sample.year, sample.sqrt_s_tev) for sample in found.samples} == {
        (f"{channel}_{year}", year, sqrt_s)
        for channel in ("4mu", "4e", "2e2mu")
        for year, sqrt_s in ((2011, 7.0), (2012, 8.0))
    }
    assert {sample.group for sample in found.samples} == {"data"}
    assert not found.demo


def test_the_real_file_indexes(shared_data: Path, tmp_path: Path) -> None:
    with tarfile.open(shared_data / "file-indexes.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    found = load_set(tmp_path / "file-indexes")
    assert len(found.samples) == 21
    assert sum(len(sample.files) for sample in found.samples) == 26_920
    known = {sample.name: sample for sample in load_set("aod-2011-2012").samples}
    for sample in found.samples:
        assert sample.dataset == known[sample.name].dataset
        assert sample.luminosity_pb == known[sample.name].luminosity_pb
        assert sample.generated_events == known[sample.name].generated_events
        assert all(file.url.startswith("s3://higgs-demo/eos/opendata/") for file in sample.files)
    # one of the seven indexes of a stream is not the whole stream
    part = sorted((tmp_path / "file-indexes").glob("CMS_Run2012B_DoubleMuParked*"))[:1]
    assert load_set(part)["dmu_2012b"].luminosity_pb is None


@pytest.mark.slow
def test_a_million_lines(tmp_path: Path) -> None:
    folder = "root://eospublic.cern.ch//eos/opendata/cms/Run2012C/MuEG/AOD/22Jan2013-v1/10022"
    lines = (f"{folder}/{number:08d}.root\r\n" for number in range(1_000_000))
    (tmp_path / "i.txt").write_text("".join(lines), newline="")
    (sample,) = load_set(tmp_path / "i.txt").samples
    assert len(sample.files) == 1_000_000


def test_a_bucket_in_the_spelling_of_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (sample,) = load_set("s3/bucket/ZZTo4mu.root").samples
    assert (sample.name, sample.files[0].url) == ("ZZTo4mu", "s3://bucket/ZZTo4mu.root")
    (tmp_path / "s3" / "bucket").mkdir(parents=True)
    (tmp_path / "s3" / "bucket" / "ZZTo4mu.root").touch()
    (sample,) = load_set("s3/bucket/ZZTo4mu.root").samples
    assert sample.files[0].url == str(tmp_path / "s3" / "bucket" / "ZZTo4mu.root")
