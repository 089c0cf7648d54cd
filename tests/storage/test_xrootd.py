import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from higgsdemo.errors import InputError, TransientError
from higgsdemo.storage import Access, Source, open_source
from higgsdemo.storage.xrootd import PART_BYTES, PARTS, XrootdFile
from tests.services.fixtures import TokenServer, or_skip
from tests.services.redirector import redirector
from tests.services.xrootd import XrootdServer
from tests.storage.conftest import blob, publish

pytest.importorskip("XRootD")
Make = Callable[..., Access]


def test_the_same_result_as_from_disk(
    xrootd: XrootdServer,
    access: Make,
    events: Path,
    digest: Callable[[Source], str],
    true_digest: str,
):
    publish(events, xrootd.folder, "a.root")
    for url in (xrootd.url("a.root"), xrootd.url("a.root").replace("root:", "xroot:")):
        with open_source(url, access=access()) as source:
            assert digest(source) == true_digest


READ = """
import sys
from higgsdemo.errors import CredentialsError
from higgsdemo.storage import open_source
try:
    with open_source(sys.argv[1]) as source:
        print(source.size)
except CredentialsError as error:
    print(error.what)
"""


def test_a_token_that_is_mounted_as_a_secret(xrootd_tokens: TokenServer, tmp_path: Path):
    """As in pods of a cluster; the client's own discovery does not look there.

    In a process of its own: the client asks for the authorities once, when it first needs them.
    """
    (xrootd_tokens.server.folder / "b").write_bytes(b"seven..")
    environment = {
        **os.environ,
        "X509_CERT_DIR": str(xrootd_tokens.grid.authorities),
        "HIGGSDEMO_SECRETS_DIR": str(tmp_path),
    }

    def read() -> str:
        command = [sys.executable, "-c", READ, xrootd_tokens.url("b")]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        return done.stdout.strip() or done.stderr

    assert read() == "not let in"
    (tmp_path / "bearer-token").write_text(xrootd_tokens.issuer.token() + "\n")
    assert read() == "7"


def test_many_parts_in_one_request(xrootd: XrootdServer, access: Make):
    data = blob(5_000_000)
    (xrootd.folder / "big").write_bytes(data)
    ranges = [(at, at + 100) for at in range(0, 400_000, 2000)] + [(10, 4_999_000)]
    with open_source(xrootd.url("big"), access=access()) as source:
        assert [bytes(one) for one in source.read(ranges[:200])] == [
            data[start:stop] for start, stop in ranges[:200]
        ]
        assert source.requests == 2  # to open it, and one vector read
        assert source.bytes_read == 200 * 100
        assert bytes(source.read(ranges[200:])[0]) == data[10:4_999_000]


def test_requests_stay_within_the_limits_of_servers(access: Make):
    file = XrootdFile("root://h//f", access(), None)
    ranges = [(at, at + 10) for at in range(0, 3_000_000, 1000)] + [(4_000_000, 20_000_000)]
    requests = file.plan(ranges)
    assert all(len(parts) <= PARTS for parts in requests)
    assert all(stop - start <= PART_BYTES for parts in requests for start, stop in parts)
    wanted = sum(stop - start for start, stop in ranges)
    assert sum(stop - start for parts in requests for start, stop in parts) == wanted


def test_missing_files_and_folders(xrootd: XrootdServer, access: Make):
    (xrootd.folder / "folder").mkdir(exist_ok=True)
    for name in ("none.root", "folder"):
        with pytest.raises(InputError) as caught:
            open_source(xrootd.url(name), access=access())
        assert caught.value.where == xrootd.url(name)


def test_empty_files(xrootd: XrootdServer, access: Make):
    (xrootd.folder / "empty").write_bytes(b"")
    with open_source(xrootd.url("empty"), access=access()) as source:
        assert (source.size, source.read([(0, 0)])) == (0, [b""])


def test_the_servers_checksum(xrootd: XrootdServer, access: Make, tmp_path: Path):
    import zlib

    (xrootd.folder / "sum").write_bytes(b"content")
    file = XrootdFile(xrootd.url("sum"), access(), None)
    assert file.checksum() == f"adler32:{zlib.adler32(b'content'):08x}"


@pytest.mark.slow
def test_an_unreachable_server_is_told_in_seconds(access: Make):
    began = time.monotonic()
    with pytest.raises(TransientError, match=r"within \d+ s"):
        open_source("root://127.0.0.1:9//data/f", access=access(tries=2))
    assert time.monotonic() - began < 30


@pytest.mark.slow
def test_a_server_that_says_nothing_is_given_up(access: Make):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # The kernel accepts the connection; nobody reads from it.
        port = silent.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(TransientError):
            open_source(f"root://127.0.0.1:{port}//data/f", access=access(tries=1, stall_s=2))
        assert time.monotonic() - began < 60


@pytest.mark.slow
def test_a_redirector_leads_to_a_server_that_lives(tmp_path: Path, access: Make):
    """Of two servers with the file, the one that is read from dies: the other is read on from."""
    data = blob(3_000_000)
    with or_skip(redirector(tmp_path)) as cluster:
        for server in cluster.servers:
            (server.folder / "both.bin").write_bytes(data)
        (cluster.servers[1].folder / "one.bin").write_bytes(b"only here")
        with open_source(cluster.url("one.bin"), access=access(connect_s=3)) as source:
            assert bytes(source.read([(0, 9)])[0]) == b"only here"
        with open_source(cluster.url("both.bin"), access=access(connect_s=3)) as source:
            assert bytes(source.read([(10, 20)])[0]) == data[10:20]
            reading = source._remote._file.get_property("DataServer")  # type: ignore[attr-defined]
            (used,) = [one for one in cluster.servers if reading.endswith(f":{one.port}")]
            used.kill()
            assert bytes(source.read([(1_000_000, 2_000_000)])[0]) == data[1_000_000:2_000_000]
        with open_source(cluster.url("both.bin"), access=access(connect_s=3)) as source:
            assert source.size == len(data)
