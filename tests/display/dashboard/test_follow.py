"""Dashboards that collect from a real Redis: one reader a run, and somebody takes over."""

import asyncio
import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from tornado.websocket import websocket_connect

from higgsdemo.errors import Cause
from higgsdemo.ledger import RunDirectory
from higgsdemo.model import Failure, Task
from higgsdemo.sinks import Patience, open_sink
from tests.display.dashboard.builders import SAMPLES, Served, dashboard, deliver, make_run, results
from tests.display.dashboard.looking import WAIT_S, Sections, done, look, says
from tests.services.fixtures import or_skip
from tests.services.redis import redis_server
from tests.sinks.conftest import use_redis


def push(url: str, run: RunDirectory, tasks: tuple[Task, ...]) -> None:
    made = results(tasks)
    with open_sink(url, patience=Patience(30, 0.02, 0.2)) as sink:
        for task in tasks:
            sink.deliver(made[task.id], run.id)


@pytest.mark.slow
def test_one_reader_and_who_takes_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path)
    tasks = run.manifest().tasks
    with or_skip(redis_server(tmp_path)) as server, ExitStack() as stack:
        url = use_redis(server, monkeypatch)
        first = stack.enter_context(dashboard(run, "--sink", url))
        look(first, says("collecting from redis://"))
        second = stack.enter_context(dashboard(run, "--redis-host", f"127.0.0.1:{server.port}"))
        look(second, says(f"driven by process {first.process.pid}"))
        push(url, run, tasks[:10])
        for one in (first, second):
            look(one, done(10))
        first.kill()
        push(url, run, tasks[10:])
        seen = look(second, done(len(tasks)))
        assert seen["overview"]["state"] == "complete"
        assert seen["overview"]["refused"] == []
    with run.ledger() as ledger:
        made = results(tasks)
        assert dict(ledger.digests()) == {task.id: made[task.id].digest for task in tasks}


@pytest.mark.slow
def test_what_is_no_part_of_the_run_is_named_also_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path)
    tasks = run.manifest().tasks
    another = make_run(tmp_path, "another", samples=SAMPLES[:1])
    with or_skip(redis_server(tmp_path)) as server:
        url = use_redis(server, monkeypatch)
        with open_sink(url) as sink:
            task = another.manifest().tasks[0]
            sink.deliver(replace(results((task,))[task.id], version="2"), run.id)
            sink.deliver(Failure("0" * 16, Cause.BUG, "of no task of this run"), run.id)
        push(url, run, tasks[1:])
        for _ in range(2):  # killed, and another one, which reads nothing anew
            with dashboard(run, "--sink", url) as one:
                seen = look(one, done(len(tasks) - 1))["overview"]
                assert len(seen["refused"]) == 2
                assert seen["refused_more"] == 0
                assert "this run has no task '0000000000000000'" in " ".join(seen["refused"])
                assert "version '2'" in " ".join(seen["refused"])
                one.kill()


def test_a_sink_that_is_away_is_said(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    deliver(run, "Higgs")
    missing = (tmp_path / "nothing").as_uri()
    with dashboard(run, "--sink", missing) as one:
        seen = look(one, lambda seen: done(4)(seen) and says("nothing")(seen))
    assert seen["following"]["state"] == "waiting"


def test_only_what_changed_is_sent(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    deliver(run, "DoubleMu", "Higgs")

    async def listen(one: Served) -> list[set[str]]:
        socket = await websocket_connect(one.url.replace("http", "ws", 1) + "live")
        messages: list[set[str]] = []
        state: Sections = {}
        async with asyncio.timeout(WAIT_S):
            while state.get("overview", {}).get("done") != 8 or not state["overview"]["fit"]:
                state |= json.loads(str(await socket.read_message()))["sections"]
            deliver(run, "ZZ4e")
            while state["overview"]["done"] != 12:
                sections = json.loads(str(await socket.read_message()))["sections"]
                state |= sections
                messages.append({*sections})
            await socket.write_message(json.dumps({"select": {"channel": "4e"}}))
            while state["frame"]["channel"] != "4e":
                state |= json.loads(str(await socket.read_message()))["sections"]
            for nonsense in ("", "[]", '{"select": 7}', "[" * 10_000, '{"select": {"year": []}}'):
                await socket.write_message(nonsense)
            await socket.write_message(json.dumps({"select": {"channel": "4mu"}}))
            while state["frame"]["channel"] != "4mu":
                state |= json.loads(str(await socket.read_message()))["sections"]
        socket.close()
        return messages

    with dashboard(run) as one:
        messages = asyncio.run(listen(one))
    # 4e has no data yet: not a bin of the stack changes with its simulation.
    assert all("source:data" not in sections for sections in messages)
    assert all("source:stack-higgs" not in sections for sections in messages)
    assert any("completeness" in sections for sections in messages)


def test_a_run_played_again(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    deliver(run)
    with dashboard(run, "--replay", "0.01") as one:
        seen = look(one, lambda seen: "overview" in seen)
        assert seen["overview"]["done"] < 24
    with dashboard(run, "--replay", "1000") as one:
        look(one, done(24))
