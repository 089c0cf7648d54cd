import dataclasses
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from higgsdemo.catalog import check_set, filter_set, load_set
from higgsdemo.catalog.portal import (
    Portal,
    PortalBusyError,
    PortalError,
    Record,
    RecordCache,
    fetch_records,
    fetch_set,
)
from higgsdemo.errors import UsageError
from higgsdemo.model import InputFile

from .conftest import EOS, REDUCED, FakePortal, entry, record, send

pytest.importorskip("cernopendata_client", reason="cernopendata-client is not installed")

FOLDER = "/eos/opendata/cms/Run2012B/DoubleMuParked/AOD/22Jan2013-v1"


@pytest.fixture
def aged(cache: RecordCache, portal: Portal) -> Callable[..., Record]:
    """Fetch a record into the cache, and make it older there."""

    def make(number: int, **age: float) -> Record:
        old = portal.record(number)
        old = dataclasses.replace(old, fetched=datetime.now(UTC) - timedelta(**age))
        cache.write(old)
        return old

    return make


def test_a_record_that_is_built_in(fake: FakePortal, portal: Portal, cache: RecordCache) -> None:
    (sample,) = fetch_set([12361], portal=portal, cache=cache).samples
    published = load_set("nanoaod-2012")["SMHiggsToZZTo4L"]
    assert sample.files == (
        InputFile(
            published.files[0].name,
            f"{REDUCED}SMHiggsToZZTo4L.root",
            42400229,
            None,
            "adler32:b3c4d5e6",
        ),
    )
    assert (sample.cross_section_pb, sample.generated_events) == (0.0065, 299973)
    assert sample.sources["files"].startswith(
        f"CERN Open Data record 12361 (DOI 10.7483/OPENDATA.CMS.12361) at {fake.url}; asked 20"
    )
    assert sample.sources["files"].endswith("UTC, just now")


def test_a_built_in_set(fake: FakePortal, portal: Portal, cache: RecordCache) -> None:
    for sample in load_set("nanoaod-2012").samples:
        assert sample.record is not None
        file = sample.files[0]
        fake.records[sample.record] = record(
            sample.record, sample.name, [entry(file.url, file.size_bytes or 0)]
        )
    got = fetch_set("nanoaod-2012", portal=portal, cache=cache)
    for sample, published in zip(got.samples, load_set("nanoaod-2012").samples, strict=True):
        assert [dataclasses.replace(file, checksum=None) for file in sample.files] == list(
            published.files
        )
        assert sample.files[0].checksum == "adler32:1a2b3c4d"
        assert sample.luminosity_pb == published.luminosity_pb
    assert [finding for finding in check_set(got) if finding.level != "note"] == []


def test_an_index_of_aod(fake: FakePortal, portal: Portal, cache: RecordCache) -> None:
    part = filter_set(load_set("aod-2011-2012"), ["sample=dmu_2012b"], None)
    (sample,) = fetch_set(part, portal=portal, cache=cache).samples
    assert [(file.name, file.size_bytes) for file in sample.files] == [
        (f"{FOLDER}/10000/A.root", 1000),
        (f"{FOLDER}/10000/B.root", 1001),
        (f"{FOLDER}/20000/C.root", 3000),
    ]
    assert sample.files[2].checksum == "adler32:000abc12"
    assert sample.luminosity_pb == 4436.728455
    assert "1 of 3 files are on tape: ask for them there first" in sample.sources["files"]
    assert "3 files; 2279 are published" in [one.message for one in check_set(part_of(sample))]


def part_of(sample: object) -> object:
    return dataclasses.replace(load_set("nanoaod-2012"), samples=(sample,))


def test_files_on_tape_left_out(portal: Portal, cache: RecordCache) -> None:
    (sample,) = fetch_set([6004], portal=portal, cache=cache, online_only=True).samples
    assert len(sample.files) == 2
    assert sample.luminosity_pb is None  # 4436.7 is that of all files
    assert sample.sources["luminosity_pb"] == "none: a part"
    assert "1 of 3 files are on tape and left out" in sample.sources["files"]


def test_a_record_wholly_on_tape(fake: FakePortal, portal: Portal, cache: RecordCache) -> None:
    file = entry(f"{EOS}x.root", 1, availability="on demand")
    fake.records[5] = record(5, "t", [file])
    with pytest.raises(PortalError, match="all 1 files of record 5 are on tape"):
        fetch_set(5, portal=portal, cache=cache, online_only=True)


def test_urls_over_http(fake: FakePortal, portal: Portal, cache: RecordCache) -> None:
    (sample,) = fetch_set("12361", portal=portal, cache=cache, protocol="http").samples
    (file,) = sample.files
    assert file.url == fake.url + file.name
    assert file.name.startswith("/eos/opendata/cms/derived-data/")


def test_a_simulated_record_that_is_not_built_in(
    fake: FakePortal, portal: Portal, cache: RecordCache
) -> None:
    title = "/WJetsToLNu_8TeV/Summer12_DR53X-PU_S10_START53_V19-v1/AODSIM"
    path = "MonteCarlo2012/Summer12_DR53X/WJetsToLNu_8TeV/AODSIM/PU_S10_START53_V19-v1/10000/"
    fake.records[9000] = record(
        9000,
        title,
        [],
        [entry(f"{EOS}{path}{name}.root", 5) for name in "AB"],
        type={"primary": "Dataset", "secondary": ["Simulated"]},
    )
    (sample,) = fetch_set(9000, portal=portal, cache=cache).samples
    assert sample.name == "WJetsToLNu_8TeV_Summer12_DR53X-PU_S10_START53_V19-v1"
    assert (sample.group, sample.format, sample.dataset) == ("other", "aod", title)
    assert (sample.record, sample.generated_events) == (9000, 299973)
    assert sample.sources["generated_events"] == "CERN Open Data record 9000"


def test_a_data_record_that_is_not_built_in(
    fake: FakePortal, portal: Portal, cache: RecordCache
) -> None:
    folder = f"{EOS}Run2012D/DoubleMuParked/AOD/22Jan2013-v1/10000/"
    title = "/DoubleMuParked/Run2012D-22Jan2013-v1/AOD"
    fake.records[9001] = record(9001, title, [], [entry(f"{folder}A.root", 5)])
    (sample,) = fetch_set(9001, portal=portal, cache=cache).samples
    assert (sample.group, sample.year, sample.channels) == ("data", 2012, ("4mu", "2mu2e"))
    assert (sample.luminosity_pb, sample.generated_events) == (None, None)


def test_a_users_set(fake: FakePortal, portal: Portal, cache: RecordCache, tmp_path: Path) -> None:
    (tmp_path / "x.root").write_bytes(b"1")
    (tmp_path / "set.yaml").write_text(
        "samples:\n"
        "  - {name: mine, group: data, files: [x.root]}\n"
        "  - name: muons\n"
        "    group: data\n"
        "    record: 6004\n"
        f"    files: [{{url: 's3://mine{FOLDER}/10000/A.root', luminosity_pb: 1.5}}]\n"
    )
    got = fetch_set(str(tmp_path / "set.yaml"), portal=portal, cache=cache)
    assert got["mine"] == load_set(tmp_path / "set.yaml")["mine"]
    assert [file.luminosity_pb for file in got["muons"].files] == [1.5, None, None]


def test_a_young_record_is_not_asked_for_again(
    fake: FakePortal, portal: Portal, cache: RecordCache, aged: Callable[..., Record]
) -> None:
    aged(6004, days=6.9)
    (sample,) = fetch_set([6004], portal=portal, cache=cache).samples
    assert len(fake.asked) == 1
    assert sample.sources["files"].split("; ")[1].endswith("UTC, 6.9 days ago")
    fetch_set([6004], portal=portal, cache=cache, refresh=True)
    assert len(fake.asked) == 2


@pytest.mark.parametrize("age", [{"days": 7.1}, {"hours": -1}], ids=["old", "in the future"])
def test_an_old_record_is_asked_for_again(
    fake: FakePortal,
    portal: Portal,
    cache: RecordCache,
    aged: Callable[..., Record],
    age: dict[str, float],
) -> None:
    aged(6004, **age)
    record = fetch_records([6004], portal=portal, cache=cache)[6004]
    assert len(fake.asked) == 2
    assert 0 <= record.age_s() < 60
    assert cache.read(fake.url, 6004) == record


def test_an_old_record_stands_in_while_the_portal_is_away(
    fake: FakePortal, portal: Portal, cache: RecordCache, aged: Callable[..., Record]
) -> None:
    for number in (6004, 12361):
        aged(number, days=30)
    fake.script = [lambda handler: send(handler, 503)] * 99
    got = fetch_set([6004, 12361], portal=portal, cache=cache)
    assert len(fake.asked) == 2 + portal.attempts  # the second record is not waited for
    for sample in got.samples:
        assert "30.0 days ago; it answers 503 Service Unavailable" in sample.sources["files"]


def test_without_a_cache_a_portal_that_is_away_is_an_error(
    fake: FakePortal, portal: Portal, cache: RecordCache, aged: Callable[..., Record]
) -> None:
    aged(12361, days=30)
    fake.script = [lambda handler: send(handler, 503)] * 99
    with pytest.raises(PortalBusyError):
        fetch_records([12361, 6004], portal=portal, cache=cache)
    with pytest.raises(PortalBusyError):
        fetch_records([12361], portal=portal, cache=cache, refresh=True)


def test_a_record_that_is_gone_is_an_error_though_it_is_in_the_cache(
    fake: FakePortal, portal: Portal, cache: RecordCache, aged: Callable[..., Record]
) -> None:
    aged(6004, days=30)
    del fake.records[6004]
    with pytest.raises(PortalError, match="the portal has no record 6004"):
        fetch_records([6004], portal=portal, cache=cache)


def test_offline_nothing_is_asked(
    fake: FakePortal, portal: Portal, cache: RecordCache, aged: Callable[..., Record]
) -> None:
    old = aged(6004, days=400)
    assert fetch_records([6004], portal=portal, cache=cache, offline=True) == {6004: old}
    assert len(fake.asked) == 1
    with pytest.raises(PortalError, match="record 12361 is not in the cache"):
        fetch_records([12361], portal=portal, cache=cache, offline=True)
    with pytest.raises(UsageError, match="cannot be done offline"):
        fetch_records([6004], portal=portal, cache=cache, offline=True, refresh=True)


def test_a_cut_cache_is_asked_for_again(
    fake: FakePortal, portal: Portal, cache: RecordCache, aged: Callable[..., Record]
) -> None:
    aged(6004, days=1)
    path = cache.path(fake.url, 6004)
    path.write_bytes(path.read_bytes()[:100])
    assert len(fetch_records([6004], portal=portal, cache=cache)[6004].files) == 3
    assert len(fake.asked) == 2


def test_a_cache_that_cannot_be_written_is_told(
    portal: Portal, cache: RecordCache, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    (sample,) = fetch_set([6004], portal=portal, cache=cache).samples
    assert len(sample.files) == 3
    assert "not kept in the cache: " in sample.sources["files"]


def test_the_cache_of_this_user_is_the_default(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(tmp_path))
    fetch_set([12361], portal=portal)
    assert (tmp_path / "higgsdemo" / "portal" / "v1").is_dir()


def test_a_set_without_records_is_refused(portal: Portal, tmp_path: Path) -> None:
    (tmp_path / "a.root").write_bytes(b"1")
    with pytest.raises(UsageError, match="names a record of the portal"):
        fetch_set(str(tmp_path), portal=portal)


@pytest.mark.parametrize("wanted", [0, "0", [], [12361, -1]])
def test_numbers_that_are_no_record_are_refused(wanted: object, portal: Portal) -> None:
    with pytest.raises(UsageError, match="no record of the portal has this number"):
        fetch_set(wanted, portal=portal)  # type: ignore[arg-type]


def test_two_samples_of_one_name_are_refused(
    fake: FakePortal, portal: Portal, cache: RecordCache
) -> None:
    for number in (1000, 1001):
        fake.records[number] = record(number, "t", [entry(f"{EOS}{number}/same.root", 1)])
    with pytest.raises(UsageError, match="two samples are called 'same'") as caught:
        fetch_set([1000, 1001], portal=portal, cache=cache)
    assert caught.value.where == "sample set 'records', records 1000 and 1001"


def test_every_file_of_the_2019_demo(
    fake: FakePortal, portal: Portal, cache: RecordCache, shared_data: Path, tmp_path: Path
) -> None:
    """The real names: 26,920 files of 21 records come through, none lost, none renamed."""
    import tarfile

    with tarfile.open(shared_data / "file-indexes.tar.gz") as archive:
        archive.extractall(tmp_path / "indexes", filter="data")
    real = {sample.name: sample for sample in load_set(tmp_path / "indexes").samples}
    known = [one for one in load_set("aod-2011-2012").samples if one.name in real]
    for sample in known:
        assert sample.record is not None
        files = [entry(file.url, 7) for file in real[sample.name].files]
        fake.records[sample.record] = record(sample.record, sample.dataset or "", [], files)
    wanted = dataclasses.replace(load_set("aod-2011-2012"), samples=tuple(known))
    got = fetch_set(wanted, portal=portal, cache=cache)
    assert sum(len(sample.files) for sample in got.samples) == 26920
    for sample in got.samples:
        assert [file.name for file in sample.files] == [
            file.name for file in real[sample.name].files
        ]
        assert sample.luminosity_pb == real[sample.name].luminosity_pb
    assert fetch_set(wanted, portal=portal, cache=cache, offline=True).samples
