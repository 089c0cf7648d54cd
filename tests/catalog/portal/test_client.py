import contextlib
import json
import socket
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest

from higgsdemo.catalog.portal import Portal, PortalBusyError, PortalError
from higgsdemo.errors import UsageError

from .conftest import FakePortal, send

pytest.importorskip("cernopendata_client", reason="cernopendata-client is not installed")

Misbehaviour = Callable[[BaseHTTPRequestHandler], None]


def truncated(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 200, b'{"metadata": {"files": [', length=9000)
    handler.close_connection = True


def cut_json(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 200, b'{"metadata": {"files": [')


def reset(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def status(code: int, **headers: str) -> Misbehaviour:
    return lambda handler: send(handler, code, b"<html>busy</html>", **headers)


def test_one_request_of_the_record_api(fake: FakePortal, portal: Portal) -> None:
    got = portal.record(12361)
    assert fake.asked == ["/api/records/12361"]
    assert [(file.size_bytes, file.checksum) for file in got.files] == [
        (42400229, "adler32:b3c4d5e6")
    ]
    assert got.server == fake.url


@pytest.mark.parametrize(
    "fault",
    [status(429), status(503), status(500), truncated, cut_json, reset],
    ids=["429", "503", "500", "truncated", "cut JSON", "reset"],
)
def test_a_busy_portal_is_asked_again(
    fake: FakePortal, portal: Portal, fault: Misbehaviour
) -> None:
    fake.script = [fault, fault]
    assert len(portal.record(6004).files) == 3
    assert len(fake.asked) == 3


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (status(429), "it answers 429 Too Many Requests; asked 4 times"),
        (status(503), "it answers 503 Service Unavailable; asked 4 times"),
        (truncated, "its answer ends 8976 bytes too early; asked 4 times"),
        (cut_json, "its answer of 24 bytes is not JSON"),
        (reset, "Remote end closed connection without response; asked 4 times"),
    ],
    ids=["429", "503", "truncated", "cut JSON", "reset"],
)
def test_it_gives_up_and_says_why(
    fake: FakePortal, portal: Portal, fault: Misbehaviour, said: str
) -> None:
    fake.script = [fault] * 9
    with pytest.raises(PortalBusyError) as caught:
        portal.record(6004)
    assert said in str(caught.value.why)
    assert caught.value.where == f"{fake.url}/api/records/6004"
    assert len(fake.asked) == 4


def test_it_waits_as_long_as_it_is_asked_to(fake: FakePortal, portal: Portal) -> None:
    fake.script = [status(429, Retry_After="1")]
    begin = time.monotonic()
    portal.record(6004)
    assert 1 <= time.monotonic() - begin < 4


@pytest.mark.parametrize("asked", ["", "-5", "Fri, 31 Dec 2027 23:59:59 GMT", "1e9"])
def test_other_waits_are_not_obeyed(fake: FakePortal, portal: Portal, asked: str) -> None:
    fake.script = [status(503, Retry_After=asked)]
    begin = time.monotonic()
    portal.record(6004)
    assert time.monotonic() - begin < 1


def test_no_such_record_is_not_asked_twice(fake: FakePortal, portal: Portal) -> None:
    with pytest.raises(PortalError, match="the portal has no record 99") as caught:
        portal.record(99)
    assert not isinstance(caught.value, PortalBusyError)
    assert caught.value.why == "it answers 404 Not Found"
    assert len(fake.asked) == 1


def test_a_refusal_is_not_asked_twice(fake: FakePortal, portal: Portal) -> None:
    fake.script = [status(403)]
    with pytest.raises(PortalError, match="the portal refuses") as caught:
        portal.record(6004)
    assert caught.value.why == "it answers 403 Forbidden"
    assert len(fake.asked) == 1


def test_a_portal_that_says_nothing_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        portal = Portal(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.2, attempts=1)
        with pytest.raises(PortalBusyError) as caught:
            portal.record(1)
    assert caught.value.why == "timed out: nothing came for 0.2 s"


def test_a_stall_in_the_answer_times_out(fake: FakePortal) -> None:
    def stall(handler: BaseHTTPRequestHandler) -> None:
        send(handler, 200, b"{", length=1000)
        time.sleep(1)

    fake.script = [stall]
    with pytest.raises(PortalBusyError, match=r"timed out: nothing came for 0\.2 s"):
        Portal(fake.url, timeout_s=0.2, attempts=1).record(1)


def test_an_answer_that_drips_comes_to_an_end(fake: FakePortal) -> None:
    drops: list[int] = []

    def drip(handler: BaseHTTPRequestHandler) -> None:
        send(handler, 200, b"{", length=1 << 24)
        with contextlib.suppress(ConnectionError):
            for drop in range(200):
                time.sleep(0.05)
                handler.wfile.write(b" " * 65536)
                drops.append(drop)

    fake.script = [drip]
    with pytest.raises(PortalBusyError, match="its answer does not end"):
        Portal(fake.url, timeout_s=0.15, attempts=1).record(1)
    assert len(drops) < 200  # given up before its end


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(PortalBusyError) as caught:
        Portal(f"http://127.0.0.1:{port}", attempts=2, backoff_s=0.001).record(1)
    assert caught.value.why == "Connection refused; asked 2 times"


def test_an_unknown_host() -> None:
    with pytest.raises(PortalBusyError, match="the host's name is not known"):
        Portal("http://portal.invalid", attempts=1, timeout_s=5).record(1)


@pytest.mark.parametrize("server", ["opendata.cern.ch", "ftp://x.org", "https://", ""])
def test_what_is_no_portal_is_refused(server: str) -> None:
    with pytest.raises(UsageError, match="not the address of a portal"):
        Portal(server)


def test_a_changed_form_is_not_asked_twice(fake: FakePortal, portal: Portal) -> None:
    fake.script = [lambda handler: send(handler, 200, json.dumps({"hits": []}).encode())]
    with pytest.raises(PortalError, match="a form that is not known here"):
        portal.record(6004)
    assert len(fake.asked) == 1
