"""Every kind of sink, on real services."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from higgsdemo.sinks import Patience, Sink, open_sink
from tests.services.fixtures import gcs, redis, redis_tls, s3, s3_tls
from tests.services.redis import RedisServer
from tests.services.s3 import S3Server
from tests.sinks.xml_gcs import xml_gcs

__all__ = ["gcs", "redis", "redis_tls", "s3", "s3_tls"]

KINDS = ("file", "s3", "gs", "redis", "rediss")
QUICK = Patience(total_s=3.0, first_s=0.05, longest_s=0.3)


@dataclass
class Place:
    """A place for a sink of its own; `open()` opens it as a worker's process does."""

    kind: str
    url: str
    run: str

    def open(self, patience: Patience = QUICK) -> Sink:
        return open_sink(self.url, patience=patience)


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


def use_s3(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    monkeypatch.setenv("AWS_REGION", server.region)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)


def use_redis(server: RedisServer, monkeypatch: pytest.MonkeyPatch, user: str = "worker") -> str:
    monkeypatch.setenv("REDIS_USERNAME", user)
    monkeypatch.setenv("REDIS_PASSWORD", server.passwords[user])
    if server.certificates:
        monkeypatch.setenv("HIGGSDEMO_STORAGE_CA", str(server.certificates.authority))
    return f"redis{'s' if server.certificates else ''}://127.0.0.1:{server.port}/0"


@pytest.fixture(params=KINDS)
def place(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Place]:
    """A place in each kind of store."""
    kind: str = request.param
    run = f"run-{secrets.token_hex(4)}"
    use: Callable[[str], object] = request.getfixturevalue
    if kind == "file":
        folder = tmp_path / "a sink"
        folder.mkdir()
        yield Place(kind, folder.as_uri(), run)
    elif kind == "s3":
        pytest.importorskip("obstore")
        server = use("s3")
        assert isinstance(server, S3Server)
        use_s3(server, monkeypatch)
        yield Place(kind, f"s3://{server.create_bucket()}/pre/fix", run)
    elif kind == "gs":
        pytest.importorskip("obstore")
        emulator = use("gcs")
        with xml_gcs(emulator.endpoint) as address:  # type: ignore[attr-defined]
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
            yield Place(kind, f"gs://{emulator.create_bucket()}/pre", run)  # type: ignore[attr-defined]
    else:
        pytest.importorskip("redis")
        server = use("redis" if kind == "redis" else "redis_tls")
        assert isinstance(server, RedisServer)
        yield Place(kind, use_redis(server, monkeypatch), run)
