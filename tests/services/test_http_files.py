"""The HTTP server of a folder, with aiohttp's and fsspec's way to ask, and with bare sockets."""

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.services.http_files import HttpServer, http_server, parse_ranges

BODY = os.urandom(300_000)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HttpServer]:
    with http_server(tmp_path) as made:
        (made.folder / "a.root").write_bytes(BODY)
        (made.folder / "empty").touch()
        yield made


def get(url: str, method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    asked = urllib.request.Request(url, headers=named, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), dict(error.headers)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("bytes=0-9", [(0, 10)]),
        ("bytes=90-", [(90, 100)]),
        ("bytes=-10", [(90, 100)]),
        ("bytes=-1000", [(0, 100)]),
        ("bytes=90-1000", [(90, 100)]),
        ("bytes=0-0, 5-9 ,-1", [(0, 1), (5, 10), (99, 100)]),
        ("bytes=100-200", []),
        ("bytes=9-0", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("lines=1-2", None),
    ],
)
def test_ranges(asked: str, found: list[tuple[int, int]] | None) -> None:
    assert parse_ranges(asked, 100) == found


def test_whole_file_and_range(server: HttpServer) -> None:
    status, body, headers = get(server.url("a.root"))
    assert (status, body, headers["Content-Length"]) == (200, BODY, "300000")
    status, body, headers = get(server.url("a.root"), Range="bytes=1000-1998")
    assert (status, body) == (206, BODY[1000:1999])
    assert headers["Content-Range"] == "bytes 1000-1998/300000"
    assert get(server.url("empty"))[:2] == (200, b"")


def test_several_ranges(server: HttpServer) -> None:
    status, body, headers = get(server.url("a.root"), Range="bytes=0-9,1000-1009")
    assert status == 206
    kind, _, boundary = headers["Content-Type"].partition("; boundary=")
    assert kind == "multipart/byteranges"
    parts = body.split(f"\r\n--{boundary}".encode())
    assert parts[0] == b""
    assert parts[-1] == b"--\r\n"
    assert [part.split(b"\r\n\r\n", 1)[1] for part in parts[1:-1]] == [BODY[:10], BODY[1000:1010]]


def test_errors(server: HttpServer) -> None:
    assert get(server.url("nothing"))[0] == 404
    assert get(server.url("a.root"), Range="bytes=300000-")[0] == 416
    assert get(server.url("a.root"), method="PUT")[0] == 405
    (server.folder.parent / "secret").write_text("x")
    assert get(server.url("../secret"))[0] == 404


def test_conditions(server: HttpServer) -> None:
    url = server.url("a.root")
    etag = get(url, method="HEAD")[2]["ETag"]
    assert get(url, If_None_Match=etag)[0] == 304
    assert get(url, If_Match=etag)[0] == 200
    assert get(url, If_Match='"other"')[0] == 412
    assert get(url, Range="bytes=0-9", If_Range=etag)[0] == 206
    assert get(url, Range="bytes=0-9", If_Range='"other"')[0] == 200
    (server.folder / "a.root").write_bytes(BODY + b"1")
    assert get(url, If_Match=etag)[0] == 412


def test_the_log_counts_requests_and_bytes(server: HttpServer) -> None:
    url = server.url("a.root")
    get(url, method="HEAD")
    get(url)
    get(url, Range="bytes=0-9")
    get(server.url("empty"))
    said = [(e.method, e.path, e.range, e.number, e.status, e.sent) for e in server.requests()]
    assert said == [
        ("HEAD", "a.root", None, 0, 200, 0),
        ("GET", "a.root", None, 0, 200, 300_000),
        ("GET", "a.root", "bytes=0-9", 1, 206, 10),
        ("GET", "empty", None, 0, 200, 0),
    ]
    assert len(server.requests("a.root", "GET")) == 2
    assert server.bytes_sent("a.root") == 300_010
    server.forget()
    assert (server.requests(), server.bytes_sent()) == ([], 0)


def test_a_token(tmp_path: Path) -> None:
    with http_server(tmp_path, token="right") as server:
        (server.folder / "a").write_bytes(b"1")
        status, _, headers = get(server.url("a"))
        assert (status, headers["WWW-Authenticate"]) == (401, 'Bearer error="invalid_token"')
        assert get(server.url("a"), Authorization="Bearer wrong")[0] == 401
        assert get(server.url("a"), Authorization="Bearer right")[:2] == (200, b"1")
        server.token = "another"
        assert get(server.url("a"), Authorization="Bearer right")[0] == 401


def test_fsspec_reads(server: HttpServer) -> None:
    pytest.importorskip("aiohttp")
    files = pytest.importorskip("fsspec").filesystem("http", skip_instance_cache=True)
    assert files.cat_file(server.url("a.root"), start=1000, end=1999) == BODY[1000:1999]
    with files.open(server.url("a.root"), block_size=1000, cache_type="none") as file:
        file.seek(500)
        assert file.read(10) == BODY[500:510]
    assert server.bytes_sent() == 1009


def test_connections_at_once_are_counted(server: HttpServer) -> None:
    with ExitStack() as stack:
        for _ in range(5):
            client = stack.enter_context(closing(HTTPConnection("127.0.0.1", server.port)))
            client.request("GET", "/a.root")
            client.getresponse().read()
    assert server.most_connections == 5


def test_it_ends_with_idle_connections(tmp_path: Path) -> None:
    with http_server(tmp_path) as server:
        client = HTTPConnection("127.0.0.1", server.port, timeout=5)
        client.request("GET", "/nothing")
        client.getresponse().read()
    client.close()
    with pytest.raises(ConnectionRefusedError):
        client.connect()


def test_a_bug_of_the_server_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def serve() -> None:
        with http_server(tmp_path) as server:
            monkeypatch.setattr(server, "content", None)
            with pytest.raises(ConnectionError):
                get(server.url("a"))

    with pytest.raises(ExceptionGroup) as failed:
        serve()
    assert failed.group_contains(TypeError)
