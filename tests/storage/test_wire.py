import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from pathlib import Path

import pytest

from higgsdemo.errors import CredentialsError, UsageError
from higgsdemo.storage import Access
from higgsdemo.storage.patience import PassingError
from higgsdemo.storage.wire import Wire, close_all, wire
from tests.services.faults import Stall, fault_server
from tests.services.http_files import HttpServer
from tests.storage.conftest import blob

Make = Callable[..., Access]


@pytest.fixture
def made(access: Make):
    started: list[Wire] = []

    def make(**changes: object) -> Wire:
        started.append(Wire(access(**changes)))
        return started[-1]

    yield make
    for one in started:
        one.close()


def test_connections_are_used_again(http_files: HttpServer, made: Callable[..., Wire]):
    (http_files.folder / "f").write_bytes(b"x" * 1000)
    http_files.forget()
    one = made()
    for _ in range(5):
        assert one.get(http_files.url("f"), {}, HTTPResponse.read) == b"x" * 1000
    assert len({entry.client for entry in http_files.requests("f")}) == 1


def test_one_that_was_not_read_to_its_end_is_not(http_files: HttpServer, made: Callable[..., Wire]):
    (http_files.folder / "f").write_bytes(blob(1_000_000))
    http_files.forget()
    one = made()
    for _ in range(2):
        assert one.get(http_files.url("f"), {}, lambda response: response.read(10)) == blob(10)
    assert len({entry.client for entry in http_files.requests("f")}) == 2


def test_the_cap_on_connections_holds(tmp_path: Path, made: Callable[..., Wire]):
    with fault_server(tmp_path) as server, ThreadPoolExecutor(8) as pool:
        (server.folder / "f").write_bytes(b"x")
        server.script("f", then=Stall(0.05))
        one = made(connections=2)
        list(pool.map(lambda _: one.get(server.url("f"), {}, HTTPResponse.read), range(12)))
        assert server.most_connections == 2


def test_an_idle_connection_that_the_server_closed_is_no_failure(made: Callable[..., Wire]):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):  # one answer each, then closed without saying so
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        thread = threading.Thread(target=serve)
        thread.start()
        one, url = made(), f"http://127.0.0.1:{listener.getsockname()[1]}/"
        assert one.get(url, {}, HTTPResponse.read) == b"ok"
        time.sleep(0.05)
        assert one.get(url, {}, HTTPResponse.read) == b"ok"
        thread.join()


def test_a_silent_host_is_given_up(made: Callable[..., Wire]):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(PassingError, match=r"no byte came for 0\.2 s"):
            made(stall_s=0.2).get(url, {}, HTTPResponse.read)


def test_what_is_no_http_at_all(made: Callable[..., Wire]):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(PassingError, match="the connection broke"):
            made().get(url, {}, HTTPResponse.read)
        thread.join()


def test_no_tls_where_it_is_asked(http_files: HttpServer, made: Callable[..., Wire]):
    with pytest.raises(CredentialsError, match="does not speak TLS"):
        made().get(http_files.url("f").replace("http:", "https:"), {}, HTTPResponse.read)


def test_certificates_that_are_none(
    http_files: HttpServer, made: Callable[..., Wire], tmp_path: Path
):
    (tmp_path / "ca.pem").write_text("not a certificate")
    for path in ("ca.pem", "none.pem"):
        one = made(authority=str(tmp_path / path))
        with pytest.raises(UsageError, match="certificates"):
            one.get("https://127.0.0.1:1/", {}, HTTPResponse.read)


def test_starts_are_staggered(
    http_files: HttpServer, made: Callable[..., Wire], monkeypatch: pytest.MonkeyPatch
):
    (http_files.folder / "f").write_bytes(b"x")
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    one = made(stagger_s=30.0)
    for _ in range(3):
        one.get(http_files.url("f"), {}, HTTPResponse.read)
    assert len(slept) == 1
    assert 0 <= slept[0] <= 30


def test_one_wire_for_the_same_settings(access: Make):
    first = wire(access())
    assert wire(access()) is first
    assert wire(access(anonymous=True)) is not first
    close_all()
    assert wire(access()) is not first
