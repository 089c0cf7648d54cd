"""The web server as a process of its own: who gets in, what it answers, what it never does."""

import asyncio
import contextlib
import csv
import dataclasses
import datetime
import http.client
import io
import json
import os
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.websocket import websocket_connect

from higgsdemo.display.dashboard import access, server
from higgsdemo.display.dashboard.server import Dashboard, Door
from higgsdemo.errors import Cause
from higgsdemo.ledger import RunDirectory
from higgsdemo.model import Failure
from higgsdemo.monitor import Monitor
from tests.display.dashboard.builders import SAMPLES, Served, dashboard, deliver, make_run, tasks_of
from tests.display.dashboard.looking import look

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    made = make_run(tmp_path_factory.mktemp("runs"), created="2026-11-28T10:00:00+00:00")
    deliver(made, "DoubleMu", "Higgs", "ZZ4mu")
    with made.ledger() as ledger:
        task = next(task for task in tasks_of() if task.sample == "ZZ4e")
        ledger.start(task.id, HOSTILE)
        ledger.fail(Failure(task.id, Cause.BUG, HOSTILE, "Traceback\n" * 10**5), again=False)
    return made


@pytest.fixture(scope="module")
def served(run: RunDirectory) -> Iterator[Served]:
    with dashboard(run) as one:
        wait_for_view(one)
        yield one


def ask(one: Served, path: str, method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
    talk = http.client.HTTPConnection("127.0.0.1", one.port, timeout=60)
    try:
        talk.request(
            method, path, headers={name.replace("_", "-"): v for name, v in headers.items()}
        )
        answer = talk.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        talk.close()


def wait_for_view(one: Served) -> None:
    while ask(one, "/download/run.json")[0] == 503:
        pass


def document(one: Served, path: str) -> Any:
    status, _, body = ask(one, path)
    assert status == 200, body
    return json.loads(body)


def test_the_page_may_load_from_here_alone(served: Served) -> None:
    status, headers, body = ask(served, "/")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "script-src 'self';" in policy
    assert b"http://" not in body.replace(b"http://www.w3.org", b"")
    assert b"https://" not in body


@pytest.mark.parametrize("name", ["main.js", "live.js", "show.js", "dashboard.css", "bokeh.min.js"])
def test_its_files_are_here(served: Served, name: str) -> None:
    status, headers, body = ask(served, f"/static/{name}")
    assert (status, bool(body)) == (200, True)
    again, _, nothing = ask(served, f"/static/{name}", If_None_Match=headers["Etag"])
    assert (again, nothing) == (304, b"")


@pytest.mark.parametrize(
    "path",
    ["/static/nothing.js", "/static/../__init__.py", "/static/%2e%2e/x", "/x", "/api/task/x"],
)
def test_what_is_not_there(served: Served, path: str) -> None:
    assert ask(served, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/", "/api/tasks", "/download/run.json"])
def test_it_only_reads(served: Served, method: str, path: str) -> None:
    assert ask(served, path, method)[0] == 405


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example"])
def test_another_name_for_this_machine_gets_nothing(served: Served, host: str) -> None:
    for path in ("/", "/api/tasks", "/live"):
        assert ask(served, path, Host=host)[0] == 403


def test_the_loopback_address_of_ipv6_is_this_machine(served: Served) -> None:
    for host in ("[::1]", f"[::1]:{served.port}"):
        assert ask(served, "/api/tasks", Host=host)[0] == 200
    assert ask(served, "/api/tasks", Host="[2001:db8::1]")[0] == 403


def test_a_ledger_that_is_away_is_told_without_a_traceback(tmp_path: Path) -> None:
    made = make_run(tmp_path)
    with dashboard(made) as one:
        wait_for_view(one)
        (made.path / "ledger.sqlite").rename(tmp_path / "away")
        status, _, body = ask(one, "/api/tasks?text=%C3%BC")
        assert (status, body) == (503, b"503: the run cannot be read now\n")
        one.kill()
        assert one.process.stdout is not None
        assert "Traceback" not in one.process.stdout.read()


def test_a_token_in_an_address_is_not_logged(run: RunDirectory, tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    with dashboard(run, "--host", "0.0.0.0", environment=environment) as one:
        query = one.url.partition("/?")[2]
        assert ask(one, f"/api/tasks?{query}&text=%ff")[0] == 400
        one.kill()
        assert one.process.stdout is not None
        assert query not in one.process.stdout.read().rpartition("Ctrl-C")[2]


def upgrade(one: Served, **headers: str) -> int:
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    words = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key,
             "Sec-WebSocket-Version": "13", "Host": f"127.0.0.1:{one.port}", **headers}  # fmt: skip
    lines = "".join(f"{name}: {value}\r\n" for name, value in words.items())
    with socket.create_connection(("127.0.0.1", one.port), timeout=60) as talk:
        talk.sendall(f"GET /live HTTP/1.1\r\n{lines}\r\n".encode())
        return int(talk.recv(64).split()[1])


def test_pages_of_others_cannot_open_the_socket(served: Served) -> None:
    assert upgrade(served, Origin=f"http://127.0.0.1:{served.port}") == 101
    assert upgrade(served, Origin="http://evil.example") == 403


def test_the_ledger_a_page_at_a_time(served: Served) -> None:
    page = document(served, "/api/tasks?rows=7&state=done&sample=Higgs&order=label")
    assert page["total"] == 4
    assert page["rows"][0]["label"] == "Higgs: Higgs/0.root"
    everything = document(served, "/api/tasks?rows=99&page=x&state=<b>&order=1")
    assert everything["total"] == len(SAMPLES) * 4


def test_the_real_error_as_text(served: Served) -> None:
    (row,) = document(served, "/api/tasks?state=failed")["rows"]
    task = document(served, f"/api/task/{row['id']}")
    (attempt,) = task["attempts"]
    assert attempt["message"] == "<script>alert(1)</script>\ufffd[31m\ufffd"
    assert attempt["place"] == attempt["message"]
    assert attempt["traceback"].startswith("Traceback\nTraceback")
    assert "more characters" in attempt["traceback"]
    assert len(attempt["traceback"]) < 60_000
    (group,) = look(served, lambda seen: "problems" in seen)["problems"]["groups"]
    problem = document(served, f"/api/problem/{group['name']}")
    assert (problem["cause"], problem["tasks"]) == ("bug", 1)
    assert problem["message"] == attempt["message"]
    assert ask(served, "/api/problem/0123456789abcdef")[0] == 404


def test_downloads(served: Served, run: RunDirectory) -> None:
    for ending, start in (("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")):
        status, headers, body = ask(served, f"/download/plot.{ending}?channel=4mu&year=2012")
        assert (status, body[:4]) == (200, start[:4])
        assert f'filename="higgs-m4l-4mu-2012.{ending}"' in headers["Content-Disposition"]
    yields = document(served, "/download/yields.json")
    assert yields["run"] == "higgs"
    rows = [*csv.DictReader(io.StringIO(ask(served, "/download/yields.csv")[2].decode()))]
    data = sum(int(row["counts"]) for row in rows if row["group"] == "data")
    assert data == sum(
        one["whole"]["counts"] for one in yields["entries"] if one["group"] == "data"
    )
    record = document(served, "/download/run.json")
    assert record["record"]["created"] == "2026-11-28T10:00:00+00:00"
    assert (record["now"]["planned"], record["now"]["done"]) == (24, 12)


def test_figures_have_no_code_in_them(served: Served) -> None:
    for chosen in ("", "?dark=1&log=1&stage=1"):
        items = document(served, f"/figures{chosen}")
        assert [*items] == ["spectrum", "significance", "speed"]
        assert "CustomJS" not in json.dumps(items)


def test_a_token_unless_loopback(run: RunDirectory, tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    with dashboard(run, "--host", "0.0.0.0", environment=environment) as one:
        query = one.url.partition("/?")[2]
        assert query.startswith("token=")
        for path in ("/", "/static/main.js", "/api/tasks", "/figures", "/download/run.json"):
            assert ask(one, path)[0] == 403
        assert upgrade(one) == 403
        assert ask(one, "/?token=wrong")[0] == 403
        status, headers, _ = ask(one, f"/?{query}")
        assert (status, headers["Location"]) == (302, "./")  # not kept in the address
        cookie = headers["Set-Cookie"].partition(";")[0]
        assert "HttpOnly" in headers["Set-Cookie"]
        assert ask(one, "/", Cookie=cookie)[0] == 200
        assert ask(one, "/api/tasks", Authorization=f"Bearer {query[6:]}")[0] == 200
        assert upgrade(one, Cookie=cookie, Origin=f"http://127.0.0.1:{one.port}") == 101


def test_a_proxy_that_is_named_gets_in(run: RunDirectory) -> None:
    with dashboard(run, "--allow-origin", "https://hub.example.org") as one:
        assert ask(one, "/", Host="hub.example.org")[0] == 200
        assert "hub.example.org" in ask(one, "/")[1]["Content-Security-Policy"]
        assert upgrade(one, Origin="https://hub.example.org") == 101
        assert ask(one, "/", Host="other.example.org")[0] == 403


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_asked_to(run: RunDirectory, number: signal.Signals) -> None:
    with dashboard(run) as one:
        one.process.send_signal(number)
        assert one.process.wait(timeout=120) == 0
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(one.url)


# -- the server in this process -----------------------------------------------------------------


def in_process(run: RunDirectory, port: int = 0) -> Dashboard:
    return Dashboard(run, run.manifest(), Door("127.0.0.1", port))


def test_a_page_of_a_run_that_has_ended_hears_that_the_server_is_there(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its browser hangs up when it hears nothing, and sees no pings."""
    monkeypatch.setattr(server, "BEAT_S", 0.2)
    listening, port = access.listen("127.0.0.1", 0)

    async def listen() -> int:
        serving = asyncio.create_task(in_process(run, port).serve(listening))
        socket = await websocket_connect(f"ws://127.0.0.1:{port}/live")
        beats = 0
        async with asyncio.timeout(30):
            while beats < 3:
                beats += "beat" in json.loads(str(await socket.read_message()))
        socket.close()
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        return beats

    assert asyncio.run(listen()) == 3


def test_a_run_that_has_ended_costs_no_more(tmp_path: Path) -> None:
    began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=2)
    forecast = {"price": 24.0, "seconds": 86_400.0}
    made = make_run(tmp_path, "dear", created=began.isoformat(), forecast=forecast)
    deliver(made)
    page = in_process(made)
    with Monitor(made) as monitor:
        view = monitor.refresh()
    assert view.ended
    costs = []
    for later in (0.0, 86_400.0):
        page._coming = dataclasses.replace(view, at=view.at + later)
        page._take()
        costs.append(page.feed.extra["cost"])
    assert costs[0] == costs[1]
    assert costs[0]["so_far"] == costs[0]["forecast"] == pytest.approx(48.0, rel=0.01)
