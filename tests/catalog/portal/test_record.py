import copy
import sys
from typing import Any

import pytest

from higgsdemo.catalog.portal.record import PortalError, RecordFile, read_record
from higgsdemo.errors import UsageError

from .conftest import EOS, entry, record

SERVER = "https://opendata.example.org"
GOOD = record(7, "/A/Run2012B-v1/AOD", [entry(f"{EOS}x.root", 10)], [entry(f"{EOS}y.root", 20)])


def read(document: object) -> Any:
    pytest.importorskip("cernopendata_client", reason="cernopendata-client is not installed")
    return read_record(7, SERVER, document)


def changed(path: tuple[Any, ...], value: object) -> Any:
    document = copy.deepcopy(GOOD)
    place = document
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return document


def test_files_of_the_record_and_of_its_indexes() -> None:
    got = read(GOOD)
    assert got.files == (
        RecordFile(f"{EOS}x.root", 10, "adler32:1a2b3c4d", True),
        RecordFile(f"{EOS}y.root", 20, "adler32:1a2b3c4d", True),
    )
    assert (got.number, got.server, got.title) == (7, SERVER, "/A/Run2012B-v1/AOD")
    assert (got.doi, got.events, got.simulated) == ("10.7483/OPENDATA.CMS.7", 299973, False)
    assert 0 <= got.age_s() < 60


def test_what_is_no_root_file_is_left_out() -> None:
    index = entry(f"{EOS}CMS_file_index.json", 3, "sha1:00ff")
    text = entry(f"{EOS}CMS_file_index.txt", 3, "sha1:00ff")
    got = read(record(7, "t", [index, text, entry(f"{EOS}x.root", 10)]))
    assert [file.uri for file in got.files] == [f"{EOS}x.root"]


@pytest.mark.parametrize(
    ("given", "read_as"),
    [
        ("adler32:1A2B3C4D", "adler32:1a2b3c4d"),
        ("adler32:abc", "adler32:00000abc"),
        ("abc12", "adler32:000abc12"),  # seen on the portal: scripts/fix_bare_checksums.py there
        ("sha1:1086c34d1376bd7867dae12e35bd2a394ef5be1c",) * 2,
        ("", None),
    ],
)
def test_checksums_in_one_spelling(given: str, read_as: str | None) -> None:
    (file,) = read(record(7, "t", [entry(f"{EOS}x.root", 1, given)])).files
    assert file.checksum == read_as


def test_files_on_tape_are_told_apart() -> None:
    got = read(changed(("metadata", "_file_indices", 0, "files", 0, "availability"), "on demand"))
    assert [file.online for file in got.files] == [True, False]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("metadata",), None, "no 'metadata'"),
        (("metadata",), [1], "'list' object"),
        (("metadata", "files"), {"x": 1}, "string ind"),
        (("metadata", "files", 0, "uri"), None, "no 'uri'"),
        (("metadata", "files", 0, "checksum"), None, "no 'checksum'"),
        (("metadata", "files", 0, "size"), "10", "has the size '10'"),
        (("metadata", "files", 0, "size"), -1, "has the size -1"),
        (("metadata", "files", 0, "checksum"), "not one", "has the checksum 'not one'"),
        (("metadata", "files", 0, "uri"), 5, "'int' object has no attribute 'replace'"),
        (("metadata", "_file_indices", 0, "files"), None, "no 'files'"),
        (("metadata", "_file_indices", 0, "number_files"), 2279, "has 2279 files and lists 1"),
        (("metadata", "title"), ["t"], "'title' is no text"),
        (("metadata", "recid"), "cms-8", "it is record cms-8"),
        (("metadata", "_file_indices", 0, "files", 0, "uri"), f"{EOS}x.root", "is there twice"),
    ],
)
def test_another_form_is_refused(path: tuple[Any, ...], value: object, said: str) -> None:
    with pytest.raises(PortalError) as caught:
        read(changed(path, value))
    assert caught.value.what == "the portal's answer has a form that is not known here"
    assert said in str(caught.value.why)
    assert caught.value.where == f"{SERVER}/api/records/7"


@pytest.mark.parametrize("document", [[], "text", 3, None, {}])
def test_no_record_at_all_is_refused(document: object) -> None:
    with pytest.raises(PortalError, match="a form that is not known"):
        read(document)


def test_a_record_without_root_files_is_refused() -> None:
    with pytest.raises(PortalError, match="record 7 lists no ROOT file") as caught:
        read(record(7, "M4Lnormdatall.cc", [entry(f"{EOS}M4Lnormdatall.cc", 3)]))
    assert "'M4Lnormdatall.cc', with 1 files of other kinds" in str(caught.value.why)


def test_without_the_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cernopendata_client", None)
    monkeypatch.setitem(sys.modules, "cernopendata_client.searcher", None)
    with pytest.raises(UsageError, match="which is not installed") as caught:
        read_record(7, SERVER, GOOD)
    assert caught.value.hint == "pip install 'higgsdemo[portal]'"
