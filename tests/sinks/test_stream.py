"""Redis as a sink: users, TLS, losing it, and what it holds."""

import dataclasses
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.errors import CredentialsError, RunError, TransientError, UsageError
from higgsdemo.sinks import Page, Patience, Sink, open_sink
from higgsdemo.sinks.parcel import pack
from higgsdemo.sinks.stream import Address
from higgsdemo.storage.access import Access
from tests.ledger.builders import make_task, result_of
from tests.services.fixtures import or_skip
from tests.services.process import free_ports
from tests.services.redis import RedisServer, redis_server
from tests.sinks.conftest import QUICK, use_redis

module = pytest.importorskip("redis")

RESULTS = [result_of(make_task(number)) for number in range(6)]
RESULT = RESULTS[0]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that a test may kill."""
    with or_skip(redis_server(tmp_path, fsync="always")) as server:
        yield server


def raw(server: RedisServer) -> Any:
    return module.Redis.from_url(server.url("admin"), **server.options)


def names(pages: list[Page]) -> list[str]:
    return [arrival.name for page in pages for arrival in page.arrivals]


def new_run() -> str:
    return f"run-{secrets.token_hex(4)}"


def put(sink: Sink, run: str, *numbers: int) -> list[str]:
    for number in numbers:
        sink.deliver(RESULTS[number], run)
    return [pack(RESULTS[number], run)[0] for number in numbers]


def test_valkey_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        or_skip(redis_server(tmp_path, binary="valkey-server")) as server,
        open_sink(use_redis(server, monkeypatch)) as sink,
    ):
        put(sink, "r", 0, 0, 1)
        assert len(names(list(sink.pages("r")))) == 2


def test_keys_carry_the_run(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run()
    with open_sink(use_redis(redis, monkeypatch)) as sink, raw(redis) as client:
        put(sink, run, 0)
        found = sorted(key.decode() for key in client.keys(f"*{run}*"))
    assert found == [f"higgsdemo:{{{run}}}:{what}" for what in ("epoch", "names", "results")]


def test_credentials_in_the_url_or_mounted(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = use_redis(redis, monkeypatch)
    monkeypatch.delenv("REDIS_USERNAME")
    monkeypatch.delenv("REDIS_PASSWORD")
    with pytest.raises(CredentialsError, match="let us in"), open_sink(url) as sink:
        put(sink, new_run(), 0)
    with open_sink(redis.url()) as sink:
        put(sink, new_run(), 0)
        assert redis.passwords["worker"] not in sink.url + repr(sink)
    (tmp_path / "password").write_text(redis.passwords["worker"] + "\n")
    monkeypatch.setenv("REDIS_USERNAME", "worker")
    monkeypatch.setenv("REDIS_PASSWORD_FILE", str(tmp_path / "password"))
    with open_sink(url) as sink:
        put(sink, new_run(), 0)
    for name, value in {"redis-username": "worker", "redis-password": "wrong"}.items():
        (tmp_path / name).write_text(value)
    monkeypatch.setenv("HIGGSDEMO_SECRETS_DIR", str(tmp_path))
    with pytest.raises(CredentialsError), open_sink(url) as sink:
        put(sink, new_run(), 0)
    monkeypatch.delenv("HIGGSDEMO_SECRETS_DIR")
    monkeypatch.setenv("REDIS_PASSWORD_FILE", str(tmp_path / "none"))
    with pytest.raises(UsageError, match="REDIS_PASSWORD_FILE"):
        open_sink(url)


def test_an_address_shows_no_secret() -> None:
    address = Address.of("rediss://me:hu%2Fsh@h:1/2", Access())
    assert (address.username, address.password, address.tls) == ("me", "hu/sh", True)
    assert "hu" not in repr(address) + address.shown


@pytest.mark.parametrize("url", ["redis://:pa[ss@h", "redis://:pa\u2105ss@h"])
def test_an_address_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="makes no sense") as caught:
        Address.of(url, Access())
    assert "ss@h" not in "".join(caught.value.lines())
    assert caught.value.__suppress_context__


def test_a_user_who_may_only_read(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run()
    with open_sink(use_redis(redis, monkeypatch)) as sink:
        put(sink, run, 0)
    with open_sink(use_redis(redis, monkeypatch, "reader")) as sink:
        assert len(names(list(sink.pages(run)))) == 1
        with pytest.raises(CredentialsError, match="let us in"):
            put(sink, run, 1)
    with open_sink(use_redis(redis, monkeypatch, "worker")) as sink:
        assert len(names(list(sink.pages(run)))) == 1


def test_tls(redis: RedisServer, redis_tls: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    url = use_redis(redis_tls, monkeypatch)
    with open_sink(url, patience=QUICK) as sink:
        put(sink, new_run(), 0)
    with pytest.raises(TransientError, match="rediss://"):
        look(url.replace("rediss", "redis"))
    with pytest.raises(TransientError, match="TLS"):  # both wait for the other to speak
        look(use_redis(redis, monkeypatch).replace("redis:", "rediss:"))
    use_redis(redis_tls, monkeypatch)
    monkeypatch.delenv("HIGGSDEMO_STORAGE_CA")
    with pytest.raises(CredentialsError, match="who it is"):
        look(url)


def look(url: str) -> list[Page]:
    access = dataclasses.replace(Access.from_environment(), connect_s=0.5)
    with open_sink(url, access=access, patience=Patience(0.2, 0.05, 0.1)) as sink:
        return list(sink.pages("r"))


def test_an_unreachable_host() -> None:
    (port,) = free_ports(1)
    with pytest.raises(TransientError, match=r"tried for \d s"):
        look(f"redis://127.0.0.1:{port}/0")


def test_keys_of_somebody_else_are_an_error_not_a_bug(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run()
    with raw(redis) as client:
        client.set(f"higgsdemo:{{{run}}}:results", "x")
    with open_sink(use_redis(redis, monkeypatch), patience=QUICK) as sink:
        with pytest.raises(RunError, match="refuses"):
            list(sink.pages(run))
        with pytest.raises(RunError, match="refuses"):
            put(sink, run, 0)


def test_an_entry_that_is_no_parcel_is_named(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run()
    with open_sink(use_redis(redis, monkeypatch)) as sink, raw(redis) as client:
        put(sink, run, 0)
        client.xadd(f"higgsdemo:{{{run}}}:results", {"a": "b"})
        client.xadd(f"higgsdemo:{{{run}}}:results", {"name": b"\xff\x1b[2J"})
        (page,) = sink.pages(run)
    assert [arrival.payload is None for arrival in page.arrivals] == [False, True, True]
    assert all(arrival.problem for arrival in page.arrivals[1:])


def test_trimming_bounds_its_memory_and_loses_nothing(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run()
    with open_sink(use_redis(redis, monkeypatch)) as sink, raw(redis) as client:
        put(sink, run, 0, 1, 2)
        (page,) = sink.pages(run)
        new = put(sink, run, 3)
        sink.trim(run, page.cursor)
        assert client.xlen(f"higgsdemo:{{{run}}}:results") == 1
        assert names(list(sink.pages(run, page.cursor))) == new
        sink.trim(run, "another-epoch/9999999999999-0")
        sink.trim(run, "")
        assert client.xlen(f"higgsdemo:{{{run}}}:results") == 1
        (page,) = sink.pages(run)
        sink.trim(run, page.cursor)
        pages = list(sink.pages(run, page.cursor))
        assert pages == []  # empty, but not emptied
        assert names([*sink.pages(run, page.cursor)]) == []
        again = put(sink, run, 0)
        assert names(list(sink.pages(run, page.cursor))) == again


def test_evicted_entries_can_be_delivered_again(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run()
    with open_sink(use_redis(redis, monkeypatch)) as sink, raw(redis) as client:
        put(sink, run, 0)
        client.delete(f"higgsdemo:{{{run}}}:results")
        put(sink, run, 0)
        assert len(names(list(sink.pages(run)))) == 1


def test_a_restart_with_its_data_loses_nothing(
    own: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_sink(use_redis(own, monkeypatch), patience=QUICK) as sink:
        put(sink, "r", 0, 1)
        (page,) = sink.pages("r")
        new = put(sink, "r", 2)
        own.restart()
        later = list(sink.pages("r", page.cursor))
    assert names(later) == new
    assert not any(page.emptied for page in later)


@pytest.mark.parametrize("refilled", [False, True])
def test_coming_back_empty_is_noticed_and_read_from_the_start(
    own: RedisServer, monkeypatch: pytest.MonkeyPatch, refilled: bool
) -> None:
    with open_sink(use_redis(own, monkeypatch), patience=QUICK) as sink:
        put(sink, "r", 0, 1)
        (page,) = sink.pages("r")
        own.restart(keep_data=False)
        new = put(sink, "r", 1, 2) if refilled else []
        later = list(sink.pages("r", page.cursor))
        assert [page.emptied for page in later] == [True] + [False] * refilled
        assert names(later) == new
        rest = list(sink.pages("r", later[-1].cursor))
        assert not any(page.emptied for page in rest)


def test_a_clock_set_back_hides_nothing(own: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_sink(use_redis(own, monkeypatch)) as sink:
        put(sink, "r", 0)
        (page,) = sink.pages("r")
        epoch = page.cursor.partition("/")[0]
        ahead = f"{epoch}/{int(time.time() * 1000) + 3_600_000}-0"  # of entries lost since
        pages = list(sink.pages("r", ahead))
    assert pages[0].emptied
    assert len(names(pages)) == 1


def test_a_worker_waits_for_a_redis_that_restarts(
    own: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_sink(use_redis(own, monkeypatch), patience=Patience(20, 0.05, 0.5)) as sink:
        put(sink, "r", 0)
        own.kill()
        back = threading.Timer(0.5, own.restart)
        back.start()
        put(sink, "r", 1)
        back.join()
        assert len(names(list(sink.pages("r")))) == 2


def test_a_full_redis_is_waited_for_and_then_told(
    own: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_sink(use_redis(own, monkeypatch), patience=QUICK) as sink, raw(own) as client:
        put(sink, "r", 0)
        client.config_set("maxmemory", "1mb")
        with pytest.raises(TransientError, match="maxmemory"):
            put(sink, "r", 1)
        client.config_set("maxmemory", "0")
        put(sink, "r", 1)
