from pathlib import Path

import pytest

from higgsdemo.catalog.schema import SetEntry, read_yaml
from higgsdemo.errors import UsageError

GOOD = """\
name: mine
samples:
  - name: ZZTo4mu
    group: zz
    year: 2012
    cross_section_pb: 1e-3
    files: [a.root, {url: b.root, size_bytes: 12}]
    index: files.txt
"""


def refusal(tmp_path: Path, text: str | bytes) -> UsageError:
    path = tmp_path / "set.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError) as caught:
        read_yaml(path, SetEntry)
    return caught.value


def test_a_good_one(tmp_path: Path) -> None:
    path = tmp_path / "set.yaml"
    path.write_text(GOOD)
    (sample,) = read_yaml(path, SetEntry).samples
    assert [file.url for file in sample.files] == ["a.root", "b.root"]
    assert sample.files[1].size_bytes == 12
    assert sample.index == ["files.txt"]
    assert sample.cross_section_pb == 0.001  # YAML 1.1 takes 1e-3 for a word


@pytest.mark.parametrize(
    ("wrong", "line", "said", "nearest"),
    [
        (("group: zz", "grop: zz"), 4, "grop: unknown key", ("group",)),
        (("name: mine", "nmae: mine"), 1, "nmae: unknown key", ("name",)),
        (("size_bytes: 12", "size_byte: 12"), 7, "unknown key", ("size_bytes",)),
        (("group: zz", "group: zzz"), 4, "'zz'", ()),
        (("year: 2012", "year: twelve"), 5, "not 'twelve'", ()),
        (("year: 2012", "year: 12"), 5, "greater than", ()),
        (("cross_section_pb: 1e-3", "cross_section_pb: -1"), 6, "greater than 0", ()),
        (("cross_section_pb: 1e-3", "cross_section_pb: .nan"), 6, "finite", ()),
        (("year: 2012", "luminosity_pb: 3"), 3, "luminosity_pb belongs to data", ()),
        (("name: ZZTo4mu", "name: 2012"), 3, "name", ()),
        (("name: ZZTo4mu", "name: a/b"), 3, "name", ()),
        (("    group: zz\n", ""), 3, "group: missing", ()),
        (("year: 2012", "channels: [2e2mu]"), 5, "2mu2e", ()),
        (("files: [a.root,", "files: [[a.root],"), 7, "keys with values", ()),
        (("year: 2012", "group: zz"), 4, "'group' is there twice", ()),
        (("year: 2012", "year: [2012"), 6, "", ()),
    ],
)
def test_errors_have_line_and_nearest_key(
    tmp_path: Path, wrong: tuple[str, str], line: int, said: str, nearest: tuple[str, ...]
) -> None:
    assert wrong[0] in GOOD
    error = refusal(tmp_path, GOOD.replace(*wrong))
    assert error.where is not None
    assert f"set.yaml:{line}" in error.where
    assert said in str(error)
    assert error.nearest[: len(nearest)] == nearest


@pytest.mark.parametrize(
    "text", ["", "- a\n", "word", "samples: []\n", b"\xff\xff\xff", "a: [\n", "a: 2012-99-99\n"]
)
def test_other_documents(tmp_path: Path, text: str | bytes) -> None:
    assert "set.yaml" in str(refusal(tmp_path, text))


def test_many_errors_are_counted(tmp_path: Path) -> None:
    error = refusal(tmp_path, "samples:\n" + "  - name: x\n    group: y\n" * 8)
    assert error.why is not None
    assert error.why.startswith("line 3: samples.0.group")
    assert error.why.endswith("and 3 more")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_yaml(tmp_path / "none.yaml", SetEntry)


def test_simulation_numbers_on_data(tmp_path: Path) -> None:
    error = refusal(tmp_path, GOOD.replace("group: zz", "group: data"))
    assert "cross_section_pb belongs to simulated samples" in str(error)


def test_an_alias_that_holds_itself_does_not_hang(tmp_path: Path) -> None:
    assert "set.yaml" in str(refusal(tmp_path, "samples: &a [*a]\n"))
