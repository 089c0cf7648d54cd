import dataclasses
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from higgsdemo.catalog.portal.cache import RecordCache, default_folder
from higgsdemo.catalog.portal.record import Record, RecordFile
from higgsdemo.errors import UsageError

SERVER = "https://opendata.cern.ch"
RECORD = Record(
    number=6004,
    server=SERVER,
    fetched=datetime(2026, 11, 20, 10, 30, tzinfo=UTC),
    title="/DoubleMuParked/Run2012B-22Jan2013-v1/AOD",
    files=(RecordFile("root://x//eos/a.root", 5, "adler32:00000001", False),),
    doi="10.7483/X",
    events=3,
    simulated=False,
)


@pytest.fixture
def cache(tmp_path: Path) -> RecordCache:
    return RecordCache(tmp_path / "cache")


def test_what_was_kept_comes_back(cache: RecordCache) -> None:
    assert cache.read(SERVER, 6004) is None
    cache.write(dataclasses.replace(RECORD, note="not kept"))
    assert cache.read(SERVER, 6004) == RECORD


def test_servers_do_not_mix(cache: RecordCache) -> None:
    other = dataclasses.replace(RECORD, server="http://127.0.0.1:8080", title="other")
    cache.write(RECORD)
    cache.write(other)
    assert cache.read(SERVER, 6004) == RECORD
    assert cache.read(other.server, 6004) == other


def test_a_later_one_takes_its_place_and_nothing_else_is_left(cache: RecordCache) -> None:
    cache.write(RECORD)
    later = dataclasses.replace(RECORD, fetched=datetime(2026, 11, 21, tzinfo=UTC))
    cache.write(later)
    assert cache.read(SERVER, 6004) == later
    assert [path.name for path in cache.path(SERVER, 6004).parent.iterdir()] == ["6004.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"schema": None},
        {"number": 6005},
        {"server": "https://other.org"},
        {"fetched": "yesterday"},
        {"fetched": "2026-11-20T10:30:00"},
        {"files": []},
        {"files": [[1, 2, 3, 4, 5]]},
        {"files": None},
        {"more": 1},
    ],
    ids=str,
)
def test_another_content_counts_as_not_there(cache: RecordCache, change: object) -> None:
    cache.write(RECORD)
    path = cache.path(SERVER, 6004)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))  # type: ignore[operator]
    assert cache.read(SERVER, 6004) is None


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_cut_file_counts_as_not_there(cache: RecordCache, share: float) -> None:
    cache.write(RECORD)
    path = cache.path(SERVER, 6004)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert cache.read(SERVER, 6004) is None


def test_a_write_that_fails_leaves_what_was_there(
    cache: RecordCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write(RECORD)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        cache.write(dataclasses.replace(RECORD, title="new"))
    assert cache.read(SERVER, 6004) == RECORD
    assert [path.name for path in cache.path(SERVER, 6004).parent.iterdir()] == ["6004.json"]


def test_the_folder_is_where_xdg_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "higgsdemo" / "portal"
    monkeypatch.setenv("HOME", "/home/someone")
    for ignored in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert default_folder() == Path("/home/someone/.cache/higgsdemo/portal")


def test_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(self: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.raises(UsageError, match="there is no place for the cache"):
        default_folder()
