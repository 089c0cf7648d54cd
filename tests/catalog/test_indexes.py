import json
from pathlib import Path

import pytest

from higgsdemo.catalog.indexes import LuminosityTable, merge_indexes, read_index, read_json
from higgsdemo.errors import UsageError
from higgsdemo.model import InputFile

URL = "root://eospublic.cern.ch//eos/opendata/cms/"


def index(tmp_path: Path, text: str, name: str = "files.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


def test_blank_lines_comments_crlf_and_bom(tmp_path: Path) -> None:
    path = index(tmp_path, f"\ufeff# a comment\r\n\r\n  {URL}a.root \r\n{URL}b.root")
    read = read_index(path, tmp_path)
    assert [file.url for file in read.files] == [f"{URL}a.root", f"{URL}b.root"]
    assert read.lines == (3, 4)
    assert read.files[0].name == "/eos/opendata/cms/a.root"


@pytest.mark.parametrize("store", ["s3", "gs"])
def test_the_spelling_of_the_demo(tmp_path: Path, store: str) -> None:
    path = index(tmp_path, f"{store}/higgs-demo/eos/opendata/cms/a.root\n")
    (file,) = read_index(path, tmp_path).files
    assert (file.url, file.name) == (
        f"{store}://higgs-demo/eos/opendata/cms/a.root",
        "/eos/opendata/cms/a.root",
    )


def test_a_folder_called_s3_beside_the_index_wins(tmp_path: Path) -> None:
    (tmp_path / "s3").mkdir()
    (tmp_path / "s3" / "a.root").write_bytes(b"123")
    (file,) = read_index(index(tmp_path, "s3/a.root\n"), tmp_path).files
    assert file == InputFile("s3/a.root", str(tmp_path / "s3" / "a.root"), 3)


def test_paths_are_relative_to_the_index(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (file,) = read_index(index(tmp_path, "../a.root", "lists/i.txt"), tmp_path).files
    assert (file.url, file.name) == (str(tmp_path / "a.root"), "a.root")


def test_a_repeated_line_counts_once_and_is_told(tmp_path: Path) -> None:
    one = read_index(index(tmp_path, "a.root\nb.root\na.root\n", "one.txt"), tmp_path)
    two = read_index(index(tmp_path, "b.root\nc.root\n", "two.txt"), tmp_path)
    files, repeated = merge_indexes([one, two], "s", {})
    assert [file.name for file in files] == ["a.root", "b.root", "c.root"]
    assert repeated == ("2 in all: one.txt:3 repeats one.txt:1; two.txt:1 repeats one.txt:2")


def test_one_file_at_two_places_is_refused(tmp_path: Path) -> None:
    path = index(tmp_path, f"{URL}a.root\n\ns3/bucket/eos/opendata/cms/a.root\n")
    with pytest.raises(UsageError) as caught:
        merge_indexes([read_index(path, tmp_path)], "s", {})
    assert f"{path}:1 and {path}:3" in str(caught.value)


def test_a_file_listed_outside_the_index_too_is_refused(tmp_path: Path) -> None:
    read = read_index(index(tmp_path, "a.root\n"), tmp_path)
    with pytest.raises(UsageError, match="twice"):
        merge_indexes([read], "s", {"a.root": read.files[0]})


@pytest.mark.parametrize("content", [b"\n# nothing\n", b"\xff\xfe\x00bad"])
def test_not_an_index(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "files.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="file index"):
        read_index(path, tmp_path)
    with pytest.raises(UsageError, match="No such file"):
        read_index(tmp_path / "none.txt", tmp_path)


def table(tmp_path: Path, document: object) -> Path:
    path = tmp_path / "lumi.json"
    path.write_text(json.dumps(document))
    return path


def test_a_table_serves_copies_elsewhere(tmp_path: Path) -> None:
    found = LuminosityTable(
        table(tmp_path, {f"{URL}x/a.root": 2.5e6, f"{URL}x/b.root": 0, f"{URL}y/b.root": 1e6})
    )
    assert found["/eos/opendata/cms/x/a.root"] == 2.5
    assert found["a.root"] == 2.5
    assert found["/eos/opendata/cms/x/b.root"] == 0.0  # legal: nothing of it was certified
    assert found["b.root"] is None  # two files have that base name
    assert found["c.root"] is None


def test_null_means_not_known(tmp_path: Path) -> None:
    assert LuminosityTable(table(tmp_path, {f"{URL}a.root": None}))["a.root"] is None


@pytest.mark.parametrize("document", [[1], {"a": "1"}, {"a": True}, {"a": -1}, {"a": float("nan")}])
def test_not_a_table(tmp_path: Path, document: object) -> None:
    with pytest.raises(UsageError, match="luminosity table"):
        LuminosityTable(table(tmp_path, document))


def test_one_file_twice_in_a_table(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="twice"):
        LuminosityTable(table(tmp_path, {f"{URL}a.root": 1, "s3://b/eos/opendata/cms/a.root": 1}))


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("cms_run2011a_doublemu_aod_12oct2013-v1", 2333.311970),
        ("cms_run2011a_doubleelectron_aod_12oct2013-v1", 2333.311970),
        ("cms_run2012b_doublemuparked_aod_22jan2013-v1", 4436.728455),
        ("cms_run2012b_doubleelectron_aod_22jan2013-v1", 4436.337279),
        ("cms_run2012c_doublemuparked_aod_22jan2013-v1", 7132.244375),
        ("cms_run2012c_doubleelectron_aod_22jan2013-v1", 7169.567607),
    ],
)
def test_the_real_tables_add_up(shared_data: Path, name: str, total: float) -> None:
    path = shared_data / "lumi" / f"{name}.json"
    found = LuminosityTable(path)
    values = [found[url.partition(".ch/")[2]] for url in json.loads(path.read_text())]
    assert sum(value for value in values if value is not None) == pytest.approx(total, abs=1e-6)
    assert None not in values


def test_json_with_a_key_twice(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"a": 1, "a": 2}')
    with pytest.raises(UsageError, match="'a' is there twice"):
        read_json(path, "thing")
