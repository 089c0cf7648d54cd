"""Redis and Valkey with redis-py: users, TLS, and what survives kill -9."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.services.fixtures import or_skip
from tests.services.redis import Fsync, RedisServer, redis_server

KEY = "higgsdemo:test:a"


def connect(server: RedisServer, user: str = "worker", **more: Any) -> Any:
    module = pytest.importorskip("redis")
    return module.Redis.from_url(server.url(user, **more), **server.options)


def errors() -> Any:
    return pytest.importorskip("redis.exceptions")


@pytest.fixture(params=["redis", "redis_tls", "valkey"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param != "valkey":
        yield request.getfixturevalue(request.param)
        return
    with or_skip(redis_server(tmp_path, binary="valkey-server")) as made:
        yield made


def test_round_trip(server: RedisServer) -> None:
    with connect(server) as worker, connect(server, "reader") as reader:
        worker.set(KEY, b"\0bytes")
        assert reader.get(KEY) == b"\0bytes"
        worker.delete(KEY)


def test_nobody_gets_in_without_a_password(server: RedisServer) -> None:
    module = pytest.importorskip("redis")
    url = server.url().replace(f"worker:{server.passwords['worker']}@", "")
    with (
        module.Redis.from_url(url, **server.options) as nobody,
        pytest.raises(errors().AuthenticationError),
    ):
        nobody.ping()
    with (
        connect(server, password="wrong") as nobody,
        pytest.raises(errors().AuthenticationError),
    ):
        nobody.ping()


def test_users_may_do_what_they_may(server: RedisServer) -> None:
    with connect(server) as worker, connect(server, "reader") as reader:
        deeds: tuple[Callable[[], Any], ...] = (
            lambda: worker.set("others:a", 1),
            lambda: worker.flushall(),
            lambda: worker.config_get("*"),
            lambda: worker.publish("others", b""),
            lambda: reader.set(KEY, 1),
        )
        for forbidden in deeds:
            with pytest.raises(errors().NoPermissionError):
                forbidden()
        worker.publish("higgsdemo:events", b"")


def test_tls_of_an_unknown_authority_is_refused(redis_tls: RedisServer) -> None:
    module = pytest.importorskip("redis")
    with (
        module.Redis.from_url(redis_tls.url()) as client,
        pytest.raises(errors().ConnectionError, match="certificate verify failed"),
    ):
        client.ping()


def test_no_plain_text_where_tls_is(redis_tls: RedisServer) -> None:
    module = pytest.importorskip("redis")
    plain = redis_tls.url().replace("rediss://", "redis://")
    with module.Redis.from_url(plain) as client, pytest.raises(errors().ConnectionError):
        client.ping()


@pytest.mark.parametrize("fsync", ["always", "everysec"])
@pytest.mark.parametrize("binary", ["redis-server", "valkey-server"])
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, fsync: Fsync, binary: str) -> None:
    with or_skip(redis_server(tmp_path, binary=binary, fsync=fsync)) as server:
        with connect(server) as worker:
            for number in range(300):
                worker.set(f"{KEY}:{number}", number)
        pid = server.process.pid
        server.restart()
        assert server.process.pid != pid
        with connect(server) as worker:
            assert [int(worker.get(f"{KEY}:{number}")) for number in (0, 299)] == [0, 299]


def test_it_may_come_back_empty(tmp_path: Path) -> None:
    with or_skip(redis_server(tmp_path)) as server:
        with connect(server) as worker:
            worker.set(KEY, 1)
        server.restart(keep_data=False)
        with connect(server) as worker:
            assert worker.get(KEY) is None


def test_it_may_vanish(tmp_path: Path) -> None:
    with or_skip(redis_server(tmp_path)) as server:
        server.kill()
        with connect(server) as worker, pytest.raises(errors().ConnectionError):
            worker.get(KEY)
        with pytest.raises(ConnectionRefusedError):
            server.answers()


def test_users_of_ones_own(tmp_path: Path) -> None:
    with or_skip(redis_server(tmp_path, users={"lonely": "+ping"})) as server:
        lonely = connect(server, "lonely")
        with lonely, pytest.raises(errors().NoPermissionError):
            lonely.get(KEY)


def test_passwords_are_only_in_files_of_the_owners(tmp_path: Path) -> None:
    with or_skip(redis_server(tmp_path)) as server:
        secret = server.passwords["worker"]
        assert (server.folder / "users.acl").stat().st_mode & 0o077 == 0
        assert secret not in (server.folder / "redis.log").read_text()
        assert secret not in Path(f"/proc/{server.process.pid}/cmdline").read_text()
