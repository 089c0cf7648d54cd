import contextlib
import socket
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from higgsdemo.display.dashboard.access import FIRST_PORT
from higgsdemo.ledger import open_run, publish
from higgsdemo.sinks import open_sink
from tests.cli.conftest import Said
from tests.display.dashboard.builders import dashboard, make_run, results

Call = Callable[..., Said]


def test_an_unknown_run_is_told_with_the_nearest(higgsdemo: Call, tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "discovery-2012")
    said = higgsdemo("dashboard", "discovry-2012")
    assert said.status == 2
    assert "discovery-2012" in said.err


def test_no_run_at_all(higgsdemo: Call) -> None:
    said = higgsdemo("dashboard")
    assert said.status == 2
    assert "higgsdemo run" in said.err


def test_a_ledger_that_cannot_be_read_is_told_at_once(higgsdemo: Call, tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs", "old")
    with contextlib.closing(sqlite3.connect(run.path / "ledger.sqlite")) as ledger:
        ledger.execute("UPDATE meta SET value = '1' WHERE key = 'schema'")
        ledger.commit()
    said = higgsdemo("dashboard", "old", "--port", "0", "--no-open")
    assert said.status == 1
    assert "the ledger is older than this program" in said.err
    assert "http://" not in said.out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--sink", "ftp://x"], "unknown kind of sink"),
        (["--redis-host", "bus:port"], "makes no sense"),
        (["--allow-origin", "https://hub/user"], "not an origin"),
        (["--host", "192.0.2.1"], "cannot listen"),
    ],
)
def test_wrong_words(higgsdemo: Call, tmp_path: Path, words: list[str], expected: str) -> None:
    make_run(tmp_path / "runs")
    said = higgsdemo("dashboard", "higgs", *words)
    assert said.status in (1, 2)
    assert expected in said.err


def test_without_the_extra_it_is_named(
    higgsdemo: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "runs")
    monkeypatch.setitem(sys.modules, "bokeh", None)
    said = higgsdemo("dashboard", "higgs")
    assert said.status == 2
    assert "higgsdemo[dashboard]" in said.err


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with dashboard(run, "--port", port) as one:
            assert f"port {port} is in use: took {one.port}" in one.said
            assert one.port > port


def test_it_says_how_to_get_there(tmp_path: Path) -> None:
    with dashboard(make_run(tmp_path)) as one:
        assert f"ssh -N -L {one.port}:127.0.0.1:{one.port}" in one.said
        assert f"kubectl port-forward pod/POD {one.port}:{one.port}" in one.said
        assert f"proxy/{one.port}/" in one.said


def test_a_run_that_was_submitted_elsewhere_is_known_by_its_sink(
    higgsdemo: Call, tmp_path: Path
) -> None:
    (tmp_path / "sink").mkdir()
    url = f"file://{tmp_path}/sink"
    run = make_run(tmp_path / "elsewhere")
    manifest = run.manifest()
    made = results(manifest.tasks)
    with open_sink(url) as sink:
        publish(run, [sink])
        for task in manifest.tasks:
            sink.deliver(made[task.id], run.id)
    said = higgsdemo("watch", "--sink", url)
    assert said.status == 0, said.err
    assert "its plan is from file://" in said.err
    with open_run(tmp_path / "runs", run.id).look() as ledger:
        assert dict(ledger.digests()) == {one: result.digest for one, result in made.items()}
    again = higgsdemo("watch", "--sink", url)
    assert again.status == 0
    assert "its plan is from" not in again.err
    refused = higgsdemo("resume", run.id)
    assert refused.status == 2
    assert "is a copy, to look at" in refused.err
    with dashboard(run, "--runs", tmp_path / "there", "--sink", url, named=False) as one:
        assert "its plan is from file://" in one.said


def test_the_usual_port_in_use_is_said_too(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", FIRST_PORT))
            taken.listen()
        except OSError:
            pass  # somebody else has it, which is as good
        with dashboard(run, "--host", "127.0.0.1", port=False) as one:
            assert f"port {FIRST_PORT} is in use: took {one.port}" in one.said
