import dataclasses
import os
from pathlib import Path

import pytest

from higgsdemo.catalog import Finding, check_set, load_set
from higgsdemo.model import InputFile, Sample, SampleSet


def findings(*samples: Sample) -> list[tuple[str, str]]:
    return [(found.level, found.message) for found in check_set(SampleSet("x", samples))]


def good(path: Path) -> InputFile:
    size = 200
    head = b"root" + (60000).to_bytes(4, "big") + (100).to_bytes(4, "big") + size.to_bytes(4, "big")
    path.write_bytes(head.ljust(size, b"\0"))
    return InputFile(path.name, str(path), size)


def simulated(*files: InputFile) -> Sample:
    return Sample("s", "zz", files, 2012, cross_section_pb=1.0, generated_events=10)


def test_nothing_to_say(tmp_path: Path) -> None:
    assert findings(simulated(good(tmp_path / "a.root"))) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no such file"),
        (b"", "empty: 0 bytes"),
        (b"root", "not a ROOT file"),
        (b"<html>".ljust(300), "not a ROOT file"),
        (b"root\0\0\xea\x60\0\0\0d\0\0\x01\0" + b"\0" * 50, "truncated: 66 of 256 bytes"),
        (
            b"root"
            + (1_060_000).to_bytes(4, "big")
            + b"\0\0\0d"
            + (5_000_000_000).to_bytes(8, "big"),
            "truncated: 20 of 5000000000 bytes",
        ),
    ],
)
def test_files_on_disk(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "a.root"
    if content is not None:
        path.write_bytes(content)
    sample = simulated(InputFile("a.root", str(path)))
    assert check_set(SampleSet("x", (sample,))) == [Finding("error", "s", said, str(path))]


def test_a_folder_called_root(tmp_path: Path) -> None:
    (tmp_path / "a.root").mkdir()
    ((level, said),) = findings(simulated(InputFile("a.root", str(tmp_path / "a.root"))))
    assert (level, said) == ("error", "cannot be read: Is a directory")


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_permissions(tmp_path: Path) -> None:
    file = good(tmp_path / "a.root")
    (tmp_path / "a.root").chmod(0)
    assert findings(simulated(file)) == [("error", "cannot be read: Permission denied")]


def test_one_file_in_two_samples(tmp_path: Path) -> None:
    one = simulated(good(tmp_path / "a.root"))
    ((level, said),) = findings(one, dataclasses.replace(one, name="t"))
    assert level == "warning"
    assert "'s'" in said


def test_missing_numbers(tmp_path: Path) -> None:
    file = good(tmp_path / "a.root")
    assert findings(Sample("s", "zz", (file,))) == [
        ("note", "no year"),
        ("warning", "no cross section: it cannot be normalised"),
        ("note", "no number of generated events: the events read count"),
    ]
    assert findings(Sample("s", "data", (file,), 2012)) == [
        ("warning", "no luminosity: simulation is not normalised to it")
    ]
    assert ("error", "no files: give it `files` or an `index`") in findings(simulated())


def test_luminosity_that_does_not_add_up(tmp_path: Path) -> None:
    files = tuple(
        dataclasses.replace(good(tmp_path / f"{n}.root"), luminosity_pb=2.0) for n in range(2)
    )
    sample = Sample("s", "data", files, 2012, luminosity_pb=4.0)
    assert findings(sample) == []
    assert findings(dataclasses.replace(sample, luminosity_pb=5.0)) == [
        ("warning", "its files add up to 4 pb^-1, the sample says 5 pb^-1")
    ]
    gap = (files[0], dataclasses.replace(files[1], luminosity_pb=None))
    assert findings(dataclasses.replace(sample, files=gap)) == [
        ("warning", "1 of 2 files have no luminosity")
    ]


def test_repeated_index_lines(tmp_path: Path) -> None:
    good(tmp_path / "a.root")
    (tmp_path / "i.txt").write_text("a.root\na.root\n")
    said = [found.message for found in check_set(load_set(tmp_path / "i.txt"))]
    assert "repeated index lines count once: 1 in all: i.txt:2 repeats i.txt:1" in said


def test_files_on_servers_are_counted_not_asked() -> None:
    found = check_set(load_set("nanoaod-2012"))
    assert {(each.level, each.message) for each in found} == {
        ("note", "1 files on servers were not looked at")
    }


def test_a_cut_copy_of_a_published_file(tmp_path: Path) -> None:
    good(tmp_path / "ZZTo4mu.root")
    good(tmp_path / "Run2012B_DoubleElectron.root")
    said = [each.message for each in check_set(load_set(tmp_path)) if each.level == "warning"]
    assert len(said) == 2
    assert "200 bytes; the published file has 1817796893" in said[0]
    assert "give its own luminosity" in said[0]
    assert "give its own number of generated events" in said[1]


def test_a_built_in_set_without_files() -> None:
    found = check_set(load_set("aod-2011-2012"))
    assert sum(each.level == "error" for each in found) == 22
