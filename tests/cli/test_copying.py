"""`samples download` and `upload` as commands: lists of the portal, plans, words that are wrong."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.cli.parts.copying import tell_failures
from higgsdemo.errors import InputError
from higgsdemo.model import InputFile
from higgsdemo.storage.wire import close_all
from higgsdemo.transfer import Item
from tests.catalog.portal.conftest import entry, record
from tests.cli.conftest import Said
from tests.services.http_files import HttpServer
from tests.services.xrootd import XrootdServer
from tests.transfer.files import adler32, contents, publish, set_of

Higgsdemo = Callable[..., Said]
FILES = contents(3_000_000, 1000)


@pytest.fixture(autouse=True)
def _hang_up() -> Iterator[None]:
    """Leave no connection open: the commands run in this process, which goes on."""
    yield
    close_all()


@pytest.fixture
def listed(
    fake: Any, xrootd: XrootdServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A set that names a record of the portal, whose files lie on an XRootD server."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    publish(xrootd.folder / "portal", FILES)
    files = [
        entry(xrootd.url(f"portal/{name}"), len(data), adler32(data))
        for name, data in FILES.items()
    ]
    fake.records[777] = record(777, "A set", files)
    path = tmp_path / "mine.yaml"
    path.write_text("samples: [{name: S, group: zz, cross_section_pb: 1, record: 777}]")
    return path


def test_lists_sizes_and_checksums_of_the_portal(
    higgsdemo: Higgsdemo, fake: Any, listed: Path, tmp_path: Path
) -> None:
    words = ("samples", "download", listed, "--server", fake.url)
    plan = higgsdemo(*words, "--dry-run", "--json")
    assert plan.status == 0, plan.err
    assert (plan.json["bytes"], len(plan.json["todo"])) == (3_001_000, 2)
    assert plan.json["folder"] == "mine"
    assert not (tmp_path / "mine").exists()
    said = higgsdemo(*words)
    assert said.status == 0, said.err
    assert "what comes next: higgsdemo run mine" in said.out
    assert "nobody knows a checksum" not in said.out
    assert (tmp_path / "mine" / "S" / "f0.root").read_bytes() == FILES["f0.root"]
    again = higgsdemo(*words, "--json")
    assert (again.json["present"], again.json["bytes_moved"]) == (2, 0)
    fake.records.clear()
    assert "2 were there" in higgsdemo(*words).out  # the list is in the cache


def test_files_that_a_set_lists_come_from_there_with_the_checksums_of_the_portal(
    higgsdemo: Higgsdemo, fake: Any, listed: Path, http_files: HttpServer, tmp_path: Path
) -> None:
    folder = http_files.folder / "eos" / "opendata" / "x"
    publish(folder, FILES)
    fake.records[777] = record(
        777,
        "A set",
        [
            entry(f"root://eospublic.cern.ch//eos/opendata/x/{name}", len(data), adler32(data))
            for name, data in FILES.items()
        ],
    )
    urls = [http_files.url(f"eos/opendata/x/{name}") for name in FILES]
    text = listed.read_text().replace("record: 777", f"record: 777, files: {json.dumps(urls)}")
    listed.write_text(text)
    words = ("samples", "download", listed, "--server", fake.url, "--json")
    plan = higgsdemo(*words, "--dry-run").json
    assert [one["url"] for one in plan["todo"]] == urls
    said = higgsdemo(*words)
    assert said.status == 0, said.err
    assert (said.json["moved"], said.json["unverified"]) == (2, 0)


def test_a_file_that_is_wrong_is_named(
    higgsdemo: Higgsdemo, fake: Any, listed: Path, xrootd: XrootdServer, tmp_path: Path
) -> None:
    publish(xrootd.folder / "portal", {"f0.root": b"z" * 3_000_000})
    words = ("samples", "download", listed, "--server", fake.url, "--output", "here")
    said = higgsdemo(*words)
    assert said.status == 1
    assert "S/f0.root" in said.err
    assert "another checksum" in said.err
    assert "1 of 2 files are missing" in said.err
    assert not (tmp_path / "here" / "samples.yaml").exists()
    said = higgsdemo(*words, "--json")
    assert (said.status, said.json["failed"][0]["cause"]) == (1, "bad-input")
    publish(xrootd.folder / "portal", FILES)
    assert higgsdemo(*words).status == 0


def test_words_that_are_wrong(higgsdemo: Higgsdemo, tmp_path: Path) -> None:
    publish(tmp_path / "there", FILES)
    known = set_of(str(tmp_path / "there"), FILES)
    from higgsdemo.catalog.portal import write_set

    write_set(known, tmp_path / "these.yaml")
    assert higgsdemo("samples", "download", "these.yaml", "--output", "a").status == 0
    (tmp_path / "other.yaml").write_text((tmp_path / "these.yaml").read_text().replace(
        "name: these", "name: others"))  # fmt: skip
    said = higgsdemo("samples", "download", "other.yaml", "--output", "a")
    assert said.status == 2
    assert "holds another sample set" in said.err
    said = higgsdemo("samples", "download", "these.yaml", "--output", "these.yaml/x")
    assert said.status == 2
    assert "cannot download there" in said.err
    said = higgsdemo("samples", "upload", "these.yaml", "--to", "/a/folder")
    assert (said.status, "into a bucket" in said.err) == (2, True)
    assert higgsdemo("samples", "download", "none.yaml").status == 2
    (tmp_path / "empty.yaml").write_text("samples: [{name: S, group: zz}]")
    said = higgsdemo("samples", "download", "empty.yaml")
    assert "lists no files" in said.err


def test_what_an_upload_would_do(
    higgsdemo: Higgsdemo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("obstore")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    publish(tmp_path / "there", FILES)
    words = ("samples", "upload", "there", "--to", "s3://b/p", "--dry-run")
    said = json.loads(higgsdemo(*words, "--json").out)
    assert said["bytes"] == 3_001_000
    assert said["files"][0]["to"] == "s3://b/p/f0/f0.root"
    assert said["samples"] == "there-b.yaml"
    assert "sample file to be written: there-b.yaml" in higgsdemo(*words).out


def test_a_name_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    item = Item("s", InputFile("x", "x"), "s/\x1b[2Jx.root")
    tell_failures([(item, InputError("damaged \x1b]0;title\x07"))])
    said = capsys.readouterr().err
    assert "x.root" in said
    assert "\x1b" not in said
    assert "\x07" not in said
