"""Where copies go, and what they are called."""

import pytest

from higgsdemo.errors import UsageError
from higgsdemo.model import InputFile, Sample, SampleSet
from higgsdemo.transfer import copied_set, items_of


def set_of(*names: str) -> SampleSet:
    files = tuple(InputFile(name, f"root://h/{name}", 1) for name in names)
    return SampleSet("set", (Sample("S", "zz", files), Sample("T", "zz", ())))


def test_by_base_name_where_that_is_enough() -> None:
    found = items_of(set_of("/eos/opendata/a/1.root", "/eos/opendata/b/2.root"))
    assert [item.path for item in found] == ["S/1.root", "S/2.root"]
    assert found[0].urls == ("root://h//eos/opendata/a/1.root",)


def test_by_path_where_base_names_are_shared() -> None:
    found = items_of(set_of("/eos/opendata/a/1.root", "b/1.root"))
    assert [item.path for item in found] == ["S/eos/opendata/a/1.root", "S/b/1.root"]


def test_public_files_keep_their_path_in_a_bucket() -> None:
    names = ("/eos/opendata/a/1.root", "/store/x/2.root", "mine/3.root")
    found = items_of(set_of(*names), public_paths=True)
    assert [item.path for item in found] == [
        "eos/opendata/a/1.root",
        "store/x/2.root",
        "S/3.root",
    ]


@pytest.mark.parametrize("names", [("..",), ("a/../../1.root", "b/1.root"), ("a/",), ("a\0",)])
def test_a_name_that_leads_out_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="no copy can have this name"):
        items_of(set_of(*names))


def test_a_set_without_files() -> None:
    with pytest.raises(UsageError, match="lists no files"):
        items_of(set_of())


def test_copies_keep_their_logical_names() -> None:
    samples = set_of("/eos/opendata/a/1.root")
    (item,) = items_of(samples)
    copied = copied_set(samples, [item], lambda one: InputFile(one.file.name, one.path, 1))
    assert [sample.name for sample in copied.samples] == ["S", "T"]
    assert copied["S"].files == (InputFile("/eos/opendata/a/1.root", "S/1.root", 1),)
