"""Debian's XRootD server with its client, fsspec-xrootd and HTTP."""

import os
import urllib.error
import urllib.request
import zlib
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.services.fixtures import or_skip
from tests.services.xrootd import XrootdServer, xrootd_server

BODY = os.urandom(300_000)


@pytest.fixture
def name(xrootd: XrootdServer, tmp_path: Path) -> str:
    """A file of the server's that only its owner may read."""
    name = f"{tmp_path.name}.root"
    (xrootd.folder / name).write_bytes(BODY)
    (xrootd.folder / name).chmod(0o600)
    return name


def http(url: str, **headers: str) -> tuple[int, bytes]:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        return answer.status, answer.read()


def client() -> Any:
    return pytest.importorskip("XRootD.client")


def test_fsspec_reads(xrootd: XrootdServer, name: str) -> None:
    pytest.importorskip("fsspec_xrootd")
    fsspec = pytest.importorskip("fsspec")
    with fsspec.open(xrootd.url(name), "rb") as file:
        assert file.read() == BODY
        file.seek(1000)
        assert file.read(999) == BODY[1000:1999]


def test_the_client_reads_several_ranges_at_once(xrootd: XrootdServer, name: str) -> None:
    with client().File() as file:
        assert file.open(xrootd.url(name))[0].ok
        status, chunks = file.vector_read([(0, 10), (1000, 999)])
    assert status.ok
    assert [chunk.buffer for chunk in chunks] == [BODY[:10], BODY[1000:1999]]


def test_http_on_the_same_port(xrootd: XrootdServer, name: str) -> None:
    assert http(xrootd.http_url(name)) == (200, BODY)
    assert http(xrootd.http_url(name), Range="bytes=1000-1998") == (206, BODY[1000:1999])


def test_its_checksum(xrootd: XrootdServer, name: str) -> None:
    checksum = client().flags.QueryCode.CHECKSUM
    status, said = client().FileSystem(xrootd.endpoint).query(checksum, f"/data/{name}")
    assert status.ok
    assert said.rstrip(b"\0").decode() == f"adler32 {zlib.adler32(BODY):08x}"


def test_what_is_missing_is_missing(xrootd: XrootdServer) -> None:
    status, _ = client().FileSystem(xrootd.endpoint).stat("/data/nothing.root")
    assert (status.ok, status.errno) == (False, 3011)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        http(xrootd.http_url("nothing.root"))


def test_nothing_can_be_written(xrootd: XrootdServer) -> None:
    flags = client().flags.OpenFlags.NEW
    status, _ = client().File().open(xrootd.url("new.root"), flags)
    assert not status.ok
    assert "read/only" in status.message


def test_nothing_outside_the_folder(xrootd: XrootdServer) -> None:
    for path in ("/etc/passwd", "/data/../../etc/passwd"):
        status, _ = client().FileSystem(xrootd.endpoint).stat(path)
        assert not status.ok


def test_other_machines_are_refused(xrootd: XrootdServer) -> None:
    """From another address of this machine, which is to the server another machine."""
    addresses = [
        one.address
        for each in psutil.net_if_addrs().values()
        for one in each
        if one.family.name == "AF_INET" and not one.address.startswith("127.")
    ]
    if not addresses:
        pytest.skip("this machine has no address but the loopback one")
    with pytest.raises(OSError):  # noqa: PT011 - it hangs up, or refuses
        http(f"http://{addresses[0]}:{xrootd.port}/data/nothing.root")


def test_two_at_once_of_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "a.root").write_bytes(BODY)
    with (
        or_skip(xrootd_server(tmp_path / "one", tmp_path)) as one,
        xrootd_server(tmp_path / "two", tmp_path) as two,
    ):
        assert one.port != two.port
        assert http(one.http_url("a.root")) == http(two.http_url("a.root")) == (200, BODY)
        assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["a.root"]


def test_a_long_path(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 20)
    with or_skip(xrootd_server(folder)) as server:
        (server.folder / "a.root").write_bytes(BODY)
        assert http(server.http_url("a.root")) == (200, BODY)
