"""The relay, in front of a server that sends what is expected, of XRootD and of Redis."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path

import pytest

from tests.services.http_files import HttpServer, http_server
from tests.services.process import free_ports
from tests.services.redis import RedisServer
from tests.services.tcp_faults import Break, Relay, tcp_faults
from tests.services.xrootd import XrootdServer

BODY = os.urandom(300_000)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HttpServer]:
    with http_server(tmp_path) as made:
        (made.folder / "a.root").write_bytes(BODY)
        yield made


@pytest.fixture
def relay(server: HttpServer) -> Iterator[Relay]:
    with tcp_faults(server.port) as made:
        yield made


def get(relay: Relay) -> bytes:
    with closing(HTTPConnection("127.0.0.1", relay.port, timeout=10)) as client:
        client.request("GET", "/a.root")
        return client.getresponse().read()


def test_nothing_goes_wrong_untold(relay: Relay) -> None:
    assert get(relay) == BODY
    assert relay.log[0].to_client > len(BODY)


def test_breaks_one_by_one(relay: Relay) -> None:
    relay.script(Break(1000), None, Break(1000, reset=False), then=Break())
    with pytest.raises(ConnectionResetError):
        get(relay)
    assert get(relay) == BODY
    with pytest.raises(IncompleteRead) as cut:
        get(relay)
    assert 0 < len(cut.value.partial) < 1000
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            get(relay)
    assert [entry.to_client for entry in relay.log if entry.fault] == [1000, 1000, 0, 0]


def test_a_pause(relay: Relay) -> None:
    relay.script(Break(1000, seconds=0.3, go_on=True))
    begun = time.monotonic()
    assert get(relay) == BODY
    assert time.monotonic() - begun > 0.3


def test_an_open_connection_is_broken(relay: Relay) -> None:
    with closing(HTTPConnection("127.0.0.1", relay.port, timeout=10)) as client:
        client.request("GET", "/nothing")
        client.getresponse().read()
        relay.break_all()
        assert isinstance(client.sock, socket.socket)
        with pytest.raises(ConnectionResetError):
            client.sock.recv(1)


def test_no_server_behind_it() -> None:
    with tcp_faults(free_ports(1)[0]) as relay, pytest.raises(ConnectionError):
        get(relay)


def test_it_does_not_wait_for_a_pause(server: HttpServer) -> None:
    begun = time.monotonic()
    with tcp_faults(server.port) as relay:
        relay.script(Break(0, seconds=60))
        with socket.create_connection(("127.0.0.1", relay.port)):
            time.sleep(0.1)
    assert time.monotonic() - begun < 10


def test_in_front_of_xrootd(xrootd: XrootdServer) -> None:
    client = pytest.importorskip("XRootD.client")
    (xrootd.folder / "relayed.root").write_bytes(BODY)
    with tcp_faults(xrootd.port) as relay:
        url = xrootd.url("relayed.root").replace(f":{xrootd.port}/", f":{relay.port}/")
        with client.File() as file:
            assert file.open(url)[0].ok
            assert file.read(0, 1000)[1] == BODY[:1000]
        assert relay.log[0].to_client > 1000


def test_in_front_of_redis(redis: RedisServer) -> None:
    module = pytest.importorskip("redis")
    with tcp_faults(redis.port) as relay:
        url = redis.url().replace(f":{redis.port}/", f":{relay.port}/")
        with module.Redis.from_url(url, retry=None) as client:
            client.set("higgsdemo:relayed", 1)
            relay.break_all()
            assert client.get("higgsdemo:relayed") == b"1"  # its pool sees what is broken
            assert len(relay.log) == 2
