"""Stage-in: the whole file, verified or not there at all."""

import hashlib
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from higgsdemo.errors import InputError, TransientError, UsageError
from higgsdemo.storage import Access, Source, open_source
from higgsdemo.storage.access import StageIn
from tests.services.faults import Changed, Corrupt, FaultServer, IgnoreRange, Status, Truncate
from tests.services.gcs import GcsServer
from tests.services.s3 import S3Server
from tests.services.xrootd import XrootdServer
from tests.storage.conftest import blob, publish
from tests.storage.test_aws import keys_of

Make = Callable[..., Access]
DATA = blob(20_000_000)
ADLER = f"adler32:{zlib.adler32(DATA):x}"


@pytest.fixture
def staging(access: Make, tmp_path: Path) -> Make:
    (tmp_path / "stage").mkdir()

    def make(variables: dict[str, str] | None = None, **changes: object) -> Access:
        changes = {"stage_in": StageIn(tmp_path / "stage"), **changes}
        return access(variables, **changes)

    return make


@pytest.fixture
def big(faults: FaultServer, tmp_path: Path) -> str:
    (tmp_path / "big").write_bytes(DATA)
    publish(tmp_path / "big", faults.folder, "big")
    return faults.url("big")


def whole(source: Source) -> bytes:
    return bytes(source.read([(0, source.size)])[0])


def test_it_comes_once_and_leaves_nothing(
    faults: FaultServer, big: str, staging: Make, tmp_path: Path
):
    with open_source(big, access=staging(), checksum=ADLER, size_bytes=len(DATA)) as source:
        assert isinstance(source, Source)
        assert whole(source) == DATA
        requests = len(faults.requests("big"))
        assert whole(source) == DATA
        assert len(faults.requests("big")) == requests == source.requests
        assert source.bytes_read == len(DATA)
        assert list((tmp_path / "stage").iterdir()) == []  # it never had a name
    source.close()
    with pytest.raises(ValueError, match="closed"):
        source.read([(0, 1)])


def test_faults_on_the_way_change_nothing(faults: FaultServer, big: str, staging: Make):
    faults.scatter("big", Status(503), Truncate(1_000_000), share=0.6, seed=3, in_a_row=3)
    with open_source(big, access=staging(), checksum=ADLER) as source:
        assert whole(source) == DATA


def test_a_server_without_ranges(faults: FaultServer, big: str, staging: Make):
    faults.script("big", then=IgnoreRange())
    with open_source(big, access=staging(), checksum=ADLER) as source:
        assert whole(source) == DATA
        assert source.bytes_read == len(DATA)


def test_one_wrong_byte_is_seen_and_fetched_again(faults: FaultServer, big: str, staging: Make):
    faults.script("big", None, Corrupt(5), Corrupt(9_000_000), Corrupt(17_000_000))
    with open_source(big, access=staging(), checksum=ADLER) as source:
        assert whole(source) == DATA


def test_a_copy_that_is_always_wrong_is_refused(
    faults: FaultServer, big: str, staging: Make, tmp_path: Path
):
    faults.script("big", then=Corrupt(9_000_000))
    with pytest.raises(InputError, match="another checksum") as caught:
        open_source(big, access=staging(), checksum=ADLER)
    assert "adler32" in (caught.value.why or "")
    assert list((tmp_path / "stage").iterdir()) == []


def test_a_file_that_is_another_now(faults: FaultServer, big: str, staging: Make):
    faults.script("big", None, then=Changed(b"root" + bytes(30_000_000)))
    with pytest.raises(TransientError, match="changed"):
        open_source(big, access=staging())


def test_a_file_of_another_size(big: str, staging: Make):
    with pytest.raises(InputError, match="truncated"):
        open_source(big, access=staging(), size_bytes=len(DATA) + 1)


def test_what_lasts_is_told(faults: FaultServer, big: str, staging: Make):
    faults.script("big", None, then=Status(503))
    with pytest.raises(TransientError, match="503"):
        open_source(big, access=staging(tries=2))


def test_the_checksums_of_the_stores_themselves(
    s3: S3Server, gcs: GcsServer, staging: Make, monkeypatch: pytest.MonkeyPatch
):
    """S3's MD5 and Google's are verified without anybody asking."""
    from higgsdemo.storage import stage

    seen: list[dict[str, str]] = []
    real = stage.verifiable

    def spy(checksums: object) -> dict[str, str]:
        seen.append(real(checksums))  # type: ignore[arg-type]
        return seen[-1]

    monkeypatch.setattr(stage, "verifiable", spy)
    md5 = hashlib.md5(b"content").hexdigest()
    url = s3.put(s3.create_bucket(), "f", b"content")
    with open_source(url, access=staging(keys_of(s3))) as source:
        assert whole(source) == b"content"
    assert seen[-1]["md5"] == md5
    url = gcs.put(gcs.create_bucket(), "f", b"content")
    with open_source(url, access=staging(gcs.environment)) as source:
        assert whole(source) == b"content"
    assert seen[-1]["md5"] == md5


def test_xrootd_and_its_checksum(xrootd: XrootdServer, staging: Make, events: Path):
    pytest.importorskip("XRootD")
    publish(events, xrootd.folder, "staged.root")
    url, settings = xrootd.url("staged.root"), staging()
    with open_source(url, access=settings) as source:
        assert whole(source) == events.read_bytes()
    with pytest.raises(InputError, match="another checksum"):
        open_source(url, access=settings, checksum="adler32:1")


def test_the_limit_of_the_folder(big: str, staging: Make, tmp_path: Path):
    with pytest.raises(UsageError, match="larger than the limit"):
        open_source(big, access=staging(stage_in=StageIn(tmp_path / "stage", 1_000_000)))
    limit = StageIn(tmp_path / "stage", 25_000_000)
    with open_source(big, access=staging(stage_in=limit)):
        pass
    with open_source(big, access=staging(stage_in=limit)) as source:
        assert whole(source) == DATA


def test_empty_files(faults: FaultServer, staging: Make):
    (faults.folder / "empty").write_bytes(b"")
    with open_source(faults.url("empty"), access=staging()) as source:
        assert (source.size, source.read([])) == (0, [])
