"""Kill -9 of collector, dashboard, workers and Redis at random: exact, or the loss is named."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.ledger import RunDirectory, closing_check, create_run
from tests.ledger.builders import SAMPLES, make_tasks, result_of
from tests.services.fixtures import or_skip
from tests.services.redis import Fsync, redis_server
from tests.sinks.conftest import use_redis

pytest.importorskip("redis")

COUNT = 400
ROOT = Path(__file__).parents[2]
EXPECTED = {task.id: result_of(task).digest for task in make_tasks(COUNT)}


@contextmanager
def process(*words: object) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [sys.executable, "-m", *map(str, words)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        yield started
    finally:
        started.kill()
        started.wait()
        if started.stdout:
            started.stdout.close()


def collector(made: RunDirectory, url: str, *more: str) -> Any:
    return process("higgsdemo", "collect", made.path, "--from", url, *more)


def dashboard(made: RunDirectory, url: str) -> Any:
    """A dashboard that collects on the way."""
    return process(
        *("higgsdemo", "dashboard", made.path, "--sink", url, "--port", "0", "--no-open")
    )


def collected(made: RunDirectory, url: str, *more: str) -> dict[str, Any]:
    """Collect what there is and return what was said."""
    with collector(made, url, "--json", *more) as one:
        out, _ = one.communicate(timeout=120)
    document: dict[str, Any] = json.loads(out)
    return document


def digests(made: RunDirectory) -> dict[str, str]:
    with made.ledger() as ledger:
        return dict(ledger.digests())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_kill_9_at_random(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    fsync: Fsync = chance.choice(["always", "everysec"])
    wiped = chance.random() < 0.4
    tasks = make_tasks(COUNT)
    made = create_run(tmp_path, "stormy", record={}, samples=SAMPLES, tasks=tasks)
    with or_skip(redis_server(tmp_path, fsync=fsync)) as server:
        url = use_redis(server, monkeypatch)
        taken: set[str] = set()  # acknowledged by Redis
        for _ in range(chance.randint(1, 2)):
            shown = chance.random() < 0.5
            reader = dashboard(made, url) if shown else collector(made, url, "--follow")
            with (
                reader as one,
                process("tests.sinks.pusher", url, "stormy", seed, COUNT) as pusher,
            ):
                time.sleep(chance.uniform(0.8, 1.4) + 0.4 * shown)
                victim = chance.choice(["collector", "redis", "pusher"])
                if victim == "redis":
                    server.kill()
                    time.sleep(chance.uniform(0, 0.3))
                    server.restart()
                    time.sleep(chance.uniform(0.2, 0.6))
                one.kill()
                pusher.kill()
                out, _ = pusher.communicate()
                taken |= set(out.split("\n")[:-1])
        known = digests(made)
        assert known.items() <= EXPECTED.items()
        if wiped:
            server.restart(keep_data=False)
        said = collected(made, url, "--final")
        known_now = digests(made)
        if wiped:
            assert known_now == known
            assert said["emptied"] == bool(known)  # who had read nothing cannot tell
        else:
            assert taken <= known_now.keys()  # what was acknowledged is there
            assert said["emptied"] == 0
        with made.ledger() as ledger:
            counts = ledger.counts()
            assert counts.failed.get("lost", 0) == COUNT - len(known_now) == said["lost"]
            missing = [task_id for task_id, _, _ in ledger.failed()]
            ledger.requeue_failed()
        if missing:
            with process("tests.sinks.pusher", url, "stormy", seed, COUNT, *missing) as pusher:
                pusher.communicate(timeout=120)
        said = collected(made, url)
        assert said["complete"], said
        assert (said["alarms"], said["refused"], said["problems"]) == (0, {}, [])
    assert digests(made) == EXPECTED
    with made.ledger() as ledger:
        assert closing_check(ledger, made.manifest()) == []


def test_a_collector_waits_for_a_redis_that_comes_back_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create_run(tmp_path, "calm", record={}, samples=SAMPLES, tasks=make_tasks(20))
    with or_skip(redis_server(tmp_path)) as server:
        url = use_redis(server, monkeypatch)
        ids = [task.id for task in make_tasks(20)]
        push = ("tests.sinks.pusher", url, "calm", 0, 20)
        with process(*push, *ids[:10]) as pusher:
            pusher.communicate(timeout=120)
        with collector(made, url, "--follow", "--json") as one:
            while len(digests(made)) < 10:
                assert one.poll() is None
                time.sleep(0.05)
            server.restart(keep_data=False)
            with process(*push, *ids[8:]) as pusher:
                pusher.communicate(timeout=120)
            out, _ = one.communicate(timeout=120)
        said = json.loads(out)
    assert (said["results"], said["emptied"], said["complete"]) == (20, 1, True)
    assert one.returncode == 0
