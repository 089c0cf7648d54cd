"""An object store as the record and Redis as the bus: real workers, a real collector."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from higgsdemo.errors import HiggsdemoError, TransientError
from higgsdemo.ledger import RunDirectory, create_run, open_run
from higgsdemo.model import Sample, Task
from higgsdemo.sinks import deliver, door, open_sinks
from tests.cli.conftest import Said, higgsdemo
from tests.ledger.builders import make_task, result_of
from tests.services.fixtures import or_skip
from tests.services.redis import RedisServer, redis_server
from tests.services.s3 import S3Server
from tests.sinks.conftest import QUICK, Place, use_redis, use_s3

__all__ = ["higgsdemo"]

pytest.importorskip("redis")
pytest.importorskip("obstore")


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of this test alone, which it may kill."""
    with or_skip(redis_server(tmp_path / "redis")) as server:
        yield server


@pytest.fixture
def pair(s3: S3Server, bus: RedisServer, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    use_s3(s3, monkeypatch)
    return f"s3://{s3.create_bucket()}/runs", use_redis(bus, monkeypatch)


def words(urls: tuple[str, ...], option: str) -> list[str]:
    return [word for url in urls for word in (option, url)]


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


class Work:
    """A run of scripted tasks; `do(n)` runs task n as a batch job would."""

    def __init__(self, tmp_path: Path, script: Callable[..., Task], urls: tuple[str, ...]) -> None:
        self.tasks = [script(f"t{number}", events=number + 1) for number in range(5)]
        self.made: RunDirectory = create_run(
            tmp_path / "runs", "r", record={}, samples=(Sample("s", "data", ()),), tasks=self.tasks
        )
        self._urls = urls
        self._folder = tmp_path

    def do(self, number: int) -> subprocess.CompletedProcess[str]:
        path = self._folder / f"task-{number}.json"
        path.write_text(json.dumps(self.tasks[number].to_json()))
        return call("higgsdemo.worker", path, *words(self._urls, "--sink"), "--run", "r")

    def collect(self, *more: str) -> list[str]:
        """Return the words of the collector's command."""
        return ["collect", str(self.made.path), *words(self._urls, "--from"), *more]


def test_redis_vanishes_and_comes_back_empty_and_nothing_is_lost(
    tmp_path: Path,
    script: Callable[..., Task],
    pair: tuple[str, str],
    bus: RedisServer,
    higgsdemo: Callable[..., Said],
) -> None:
    work = Work(tmp_path, script, pair)
    ended = work.do(0)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    said = higgsdemo(*work.collect("--json")).json
    assert (said["results"], said["silent"]) == (1, [])
    assert [url.partition(":")[0] for url in said["from"]] == ["s3", "redis"]
    assert work.do(1).returncode == 0  # on the bus, and nobody collects it before it is gone
    bus.kill()
    ended = work.do(2)
    assert ended.returncode == 0, ended.stderr
    assert "not delivered to redis://" in ended.stderr
    collected = higgsdemo(*work.collect())
    assert "going on without redis://" in collected.err
    assert "2 results" in collected.out
    bus.restart(keep_data=False)
    assert work.do(3).returncode == 0
    said = higgsdemo(*work.collect("--json")).json
    assert (said["results"], said["emptied"], said["duplicates"]) == (1, 1, 0)
    assert work.do(4).returncode == 0
    collected = higgsdemo(*work.collect("--follow", "--json"))
    assert collected.status == 0, collected.err
    assert collected.json["complete"] is True
    with open_run(tmp_path / "runs", "r").ledger() as ledger:
        assert ledger.counts().done == 5
        assert [len(ledger.attempts(task.id)) for task in work.tasks] == [1] * 5


def test_a_failure_that_comes_over_both_is_counted_once(
    tmp_path: Path,
    script: Callable[..., Task],
    pair: tuple[str, str],
    higgsdemo: Callable[..., Said],
) -> None:
    work = Work(tmp_path, script, pair)
    work.tasks[0] = script("t0", do="bad")
    assert work.do(0).returncode == 65
    said = higgsdemo(*work.collect("--json")).json
    assert said["failures"] == {"bad-input": 1}
    assert higgsdemo(*work.collect("--json")).json["failures"] == {}


def test_the_record_must_have_it(
    pair: tuple[str, str], s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = result_of(make_task(1))
    with pytest.raises(HiggsdemoError, match="the sink is not there"):
        deliver(result, "r", ["s3://no-such-bucket-here", pair[1]])
    with open_sinks([pair[1]])[0] as stream:  # the bus was tried all the same
        assert [len(page.arrivals) for page in stream.pages("r")] == [1]


def test_of_two_buses_one_is_enough(
    pair: tuple[str, str], bus: RedisServer, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "Patience", lambda: QUICK)
    result = result_of(make_task(1))
    there = redis.url()
    bus.kill()
    ((url, error),) = deliver(result, "two-buses", [pair[1], there])
    assert url == pair[1]
    assert isinstance(error, TransientError)
    redis_gone = "redis://127.0.0.1:1/0"
    with pytest.raises(TransientError):
        deliver(result, "two-buses", [pair[1], redis_gone])


def test_records_come_first_and_each_once(tmp_path: Path) -> None:
    opened = open_sinks(["redis://h", tmp_path.as_uri(), "rediss://h", tmp_path.as_uri()])
    assert [sink.is_record for sink in opened] == [True, False, False]


def test_a_worker_and_a_collector_over_every_kind_of_sink(
    place: Place, script: Callable[..., Task], tmp_path: Path, higgsdemo: Callable[..., Said]
) -> None:
    task = script("only", events=3)
    made = create_run(
        tmp_path / "runs", place.run, record={}, samples=(Sample("s", "data", ()),), tasks=[task]
    )
    path = tmp_path / "task.json"
    path.write_text(json.dumps(task.to_json()))
    for _ in range(2):
        ended = call("higgsdemo.worker", path, "--sink", place.url, "--run", place.run)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    said = higgsdemo("collect", made.path, "--from", place.url, "--json")
    assert said.status == 0, said.err
    assert (said.json["results"], said.json["alarms"], said.json["complete"]) == (1, 0, True)
