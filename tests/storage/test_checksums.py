import hashlib
import zlib

import pytest

from higgsdemo.storage.checksums import Sums, normal, verifiable

DATA = b"123456789"


def test_known_sums():
    sums = Sums(["adler32", "crc32", "md5", "sha256"])
    sums.update(DATA[:4])
    sums.update(DATA[4:])
    assert sums.result() == {
        "adler32": f"{zlib.adler32(DATA):08x}",
        "crc32": "cbf43926",
        "md5": hashlib.md5(DATA).hexdigest(),
        "sha256": hashlib.sha256(DATA).hexdigest(),
    }


def test_crc32c_where_its_package_is():
    pytest.importorskip("google_crc32c")
    sums = Sums(["crc32c"])
    sums.update(DATA)
    assert sums.result() == {"crc32c": "e3069283"}  # RFC 3720, B.4
    assert verifiable(["crc32c:e3069283"]) == {"crc32c": "e3069283"}


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("adler32:1a2b3c", "adler32:001a2b3c"),
        ("ADLER32:1A2B3C4D", "adler32:1a2b3c4d"),
        ("sha-256:" + 64 * "a", "sha256:" + 64 * "a"),
        ("rot13:abc", None),
        ("md5:", None),
        ("md5", None),
        ("adler32:123456789", None),
    ],
)
def test_spellings(written: str, means: str | None):
    assert normal(written) == means


def test_what_cannot_be_verified_is_left_out():
    assert verifiable(["rot13:abc", "adler32:1"]) == {"adler32": "00000001"}
    assert verifiable([]) == {}
