"""Datasets of a mapping into samples, and files to clusters."""

import tarfile
from pathlib import Path

import pytest

from higgsdemo.clusters.datasets import resolve
from higgsdemo.clusters.mapping import ClusterEntry
from higgsdemo.errors import UsageError

AOD = "s3/higgs-demo/eos/opendata/cms/Run2012C/DoubleMuParked/AOD/22Jan2013-v1"
INDEX = "CMS_Run2012C_DoubleMuParked_AOD_22Jan2013-v1_{}_file_index.txt"


def write(folder: Path, number: int, files: range) -> str:
    folder.mkdir(exist_ok=True)
    name = INDEX.format(number)
    lines = [f"{AOD}/{number}/{file:04}.root" for file in files]
    (folder / name).write_text("\n".join(lines) + "\n")
    return name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "indexes", 10000, range(5))
    write(tmp_path / "indexes", 10001, range(3))
    return tmp_path / "indexes"


@pytest.mark.parametrize("spelling", ["{}", "datasets_s3/{}", "{folder}/{}"])
def test_a_name_of_the_demo_is_found(folder: Path, spelling: str) -> None:
    dataset = spelling.format(INDEX.format(10000), folder=folder)
    found = resolve([ClusterEntry("a", (dataset,))], folder)
    (sample,) = found.samples.samples
    assert (sample.name, len(sample.files), sample.is_data) == ("dmu_2012c", 5, True)
    assert set(found.owners.values()) == {"a"}


def test_one_sample_over_two_clusters_is_one_sample(folder: Path) -> None:
    one, two = INDEX.format(10000), INDEX.format(10001)
    found = resolve([ClusterEntry("a", (one,)), ClusterEntry("b", (two,))], folder)
    (whole,) = found.samples.samples
    assert len(whole.files) == 8
    parts = [found.share(name).samples[0] for name in "ab"]
    assert [len(part.files) for part in parts] == [5, 3]
    assert {file for part in parts for file in part.files} == set(whole.files)
    assert {part.luminosity_pb for part in parts} == {whole.luminosity_pb}
    assert found.share("c").samples == ()


def test_patterns_and_what_is_listed_twice(folder: Path) -> None:
    entries = [ClusterEntry("a", ("*_10000_*",)), ClusterEntry("b", ("*DoubleMuParked*",))]
    found = resolve(entries, folder)
    assert sorted(found.owners.values()) == ["a"] * 5 + ["b"] * 3
    assert found.repeated == (f"b: {INDEX.format(10000)} (a has it)",)


def test_files_listed_for_a_second_cluster_go_to_the_first(folder: Path) -> None:
    shortened = folder / "min_datasets_s3"
    short = f"min_datasets_s3/{write(shortened, 10000, range(2))}"
    entries = [ClusterEntry("a", (short,)), ClusterEntry("b", (INDEX.format(10000),))]
    found = resolve(entries, folder)
    assert sorted(found.owners.values()) == ["a"] * 2 + ["b"] * 3
    assert len(found.samples.samples[0].files) == 5
    assert "2 files are listed for a second cluster" in found.repeated[0]


def test_a_shortened_list_is_not_taken_for_the_whole_one(folder: Path) -> None:
    with pytest.raises(UsageError, match="no file index") as caught:
        resolve([ClusterEntry("a", (f"min_datasets_s3/{INDEX.format(10000)}",))], folder)
    assert "shortened" in str(caught.value)


def test_samples_of_a_built_in_set(tmp_path: Path) -> None:
    found = resolve([ClusterEntry("a", ("nanoaod-2012/ZZTo*",))], tmp_path)
    assert sorted(s.name for s in found.samples.samples) == ["ZZTo2e2mu", "ZZTo4e", "ZZTo4mu"]
    assert len(found.owners) == 3


@pytest.mark.parametrize("dataset", [INDEX.format(10002), "*Electron*", "nanoaod-2013/ZZTo4mu"])
def test_what_is_nowhere(folder: Path, dataset: str) -> None:
    with pytest.raises(UsageError, match="no file index") as caught:
        resolve([ClusterEntry("a", (dataset,))], folder)
    assert "cluster 'a'" in str(caught.value)
    if dataset.endswith("10002_file_index.txt"):
        assert INDEX.format(10000) in caught.value.nearest


def test_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no datasets"):
        resolve([ClusterEntry("a", ())], tmp_path)
    with pytest.raises(UsageError, match="no folder of file indexes"):
        resolve([ClusterEntry("a", ())], tmp_path / "absent")


def test_the_whole_of_the_demo(shared_data: Path, tmp_path: Path) -> None:
    with tarfile.open(shared_data / "file-indexes.tar.gz") as tar:
        tar.extractall(tmp_path, filter="data")
    entries = [
        ClusterEntry("a", ("datasets_s3/CMS_Run*",)),
        ClusterEntry("b", ("datasets_s3/CMS_MonteCarlo*",)),
    ]
    found = resolve(entries, tmp_path / "file-indexes")
    assert len(found.owners) == 26_920
    assert len(found.samples.samples) == 21
    assert sum(len(s.files) for s in found.share("a").samples) == 12_306
