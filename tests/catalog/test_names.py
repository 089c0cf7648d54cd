from pathlib import Path

import pytest

from higgsdemo.catalog.names import (
    dataset_of,
    input_file,
    is_url,
    local_path,
    logical_name,
    unique,
)
from higgsdemo.errors import UsageError
from higgsdemo.model import InputFile

AOD = "/eos/opendata/cms/Run2012C/DoubleMuParked/AOD/22Jan2013-v1/10022/18DF.root"


@pytest.mark.parametrize(
    "url",
    [
        f"root://eospublic.cern.ch/{AOD}",
        f"root://eospublic.cern.ch:1094/{AOD}?xrd.wantprot=unix",
        f"https://eospublic.cern.ch{AOD}",
        f"s3://higgs-demo{AOD}",
        f"gs://another-bucket/some/prefix{AOD}",
        f"/mnt{AOD}",
        f"/the/set{AOD}",
        AOD.replace("/AOD/", "//AOD/"),
    ],
)
def test_one_name_wherever_the_bytes_lie(url: str) -> None:
    assert logical_name(url, "/the/set") == AOD


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("/the/set/a.root", "a.root"),
        ("/the/set/sub/a.root", "sub/a.root"),
        ("/the/set2/a.root", "/the/set2/a.root"),
        ("/elsewhere/a.root", "/elsewhere/a.root"),
        ("root://xrootd.site.edu//store/data/a.root", "/store/data/a.root"),
        ("root://eoscms.cern.ch//eos/cms/store/data/a.root", "/store/data/a.root"),
        ("s3://bucket/my/a.root", "/my/a.root"),
        ("https://host.org/~me/a.root?download=1", "/~me/a.root"),
    ],
)
def test_logical_names(url: str, name: str) -> None:
    assert logical_name(url, "/the/set") == name


def test_a_local_folder_called_store_does_not_move_the_name() -> None:
    assert logical_name("/home/me/store/set/a.root", "/home/me/store/set") == "a.root"


def test_root_folder_as_base() -> None:
    assert logical_name("/a.root", "/") == "a.root"


def test_urls_and_paths() -> None:
    assert is_url("root://host//a.root")
    assert not is_url("file:///a.root")
    assert not is_url("a/b.root")
    assert not is_url("odd/name://b.root")
    assert local_path("file:///x/a.root", "/the/set") == "/x/a.root"
    assert local_path("../a.root", "/the/set") == "/the/a.root"
    assert local_path("~/a.root", "/the/set") == str(Path.home() / "a.root")


def test_sizes(tmp_path: Path) -> None:
    (tmp_path / "a.root").write_bytes(b"12345")
    here = input_file("a.root", tmp_path, str(tmp_path), size_bytes=7)
    assert here == InputFile("a.root", str(tmp_path / "a.root"), 5)
    missing = input_file("b.root", tmp_path, str(tmp_path), size_bytes=7, luminosity_pb=1.5)
    assert (missing.size_bytes, missing.luminosity_pb) == (7, 1.5)
    assert input_file("a\0b.root", tmp_path, str(tmp_path)).size_bytes is None


def test_datasets() -> None:
    assert dataset_of(AOD) == "/DoubleMuParked/Run2012C-22Jan2013-v1/AOD"
    simulated = (
        "/eos/opendata/cms/MonteCarlo2012/Summer12_DR53X/ZZTo4e_8TeV-powheg-pythia6/AODSIM/"
        "PU_RD1_START53_V7N-v2/20000/022A.root"
    )
    assert dataset_of(simulated) == (
        "/ZZTo4e_8TeV-powheg-pythia6/Summer12_DR53X-PU_RD1_START53_V7N-v2/AODSIM"
    )
    assert dataset_of("ZZTo4e.root") is None


def test_a_file_twice_is_refused_with_both_places() -> None:
    files = [
        (InputFile("a", "x"), "line 1"),
        (InputFile("b", "y"), "2"),
        (InputFile("a", "z"), "3"),
    ]
    with pytest.raises(UsageError, match="line 1 and 3"):
        unique(files, "s")
    assert list(unique(files[:2], "s")) == ["a", "b"]
