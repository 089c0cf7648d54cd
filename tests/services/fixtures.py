"""The services as fixtures of a whole session; each starts when a test first asks for it.

For all tests: `pytest_plugins = ("tests.services.fixtures",)` in tests/conftest.py. A service
that is not installed skips the test. When a test fails, the ends of the logs of the services it
used are in its report.
"""

from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pytest

from tests.services.faults import FaultServer, fault_server
from tests.services.gcs import GcsServer, gcs_server
from tests.services.grid import Grid, make_grid
from tests.services.http_files import HttpServer, http_server
from tests.services.issuer import Issuer, make_issuer
from tests.services.process import LOOPBACK, Server
from tests.services.programs import UnavailableError
from tests.services.redis import RedisServer, redis_server
from tests.services.s3 import S3Server, s3_server
from tests.services.xrootd import EXPORTED, XrootdServer, xrootd_server

LOGGED_REQUESTS = 40
Service = TypeVar("Service")


@contextmanager
def or_skip(service: AbstractContextManager[Service]) -> Iterator[Service]:
    """Start a service, or skip the test where its program is not installed."""
    with ExitStack() as stack:
        try:
            started = stack.enter_context(service)
        except UnavailableError as error:
            pytest.skip(str(error))
        yield started


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 endpoint; make buckets of your own in it."""
    with or_skip(s3_server(tmp_path_factory.mktemp("s3"))) as server:
        yield server


@pytest.fixture(scope="session")
def s3_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 endpoint with a certificate of an authority that no system trusts."""
    with or_skip(s3_server(tmp_path_factory.mktemp("s3-tls"), tls=True)) as server:
        yield server


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    """A GCS endpoint; make buckets of your own in it."""
    with or_skip(gcs_server(tmp_path_factory.mktemp("gcs"))) as server:
        yield server


@pytest.fixture(scope="session")
def xrootd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[XrootdServer]:
    """An XRootD server of `xrootd.folder`: put files of your own into it."""
    with or_skip(xrootd_server(tmp_path_factory.mktemp("xrootd"))) as server:
        yield server


@pytest.fixture(scope="session")
def xrootd_gsi(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[XrootdServer, Grid]]:
    """An XRootD server that lets in who has an X.509 proxy, and no other; name it localhost."""
    folder = tmp_path_factory.mktemp("xrootd-gsi")
    with ExitStack() as stack:
        try:
            # Its user must see the authorities, and a test's own folders are for their owner alone.
            place = Path(stack.enter_context(TemporaryDirectory(prefix="higgsdemo-grid-")))
            place.chmod(0o755)
            grid = make_grid(place / "grid")
            gsi = f"-certdir:{grid.authorities} -cert:{grid.certificate} -key:{grid.key}"
            security = (
                "xrootd.seclib libXrdSec.so",
                f"sec.protocol gsi {gsi} -crl:0 -gmapopt:10 -dlgpxy:0",
                "sec.protbind * only gsi",
            )
            started = xrootd_server(folder, security=security, owned=[grid.key])
            yield stack.enter_context(started), grid
        except UnavailableError as error:
            pytest.skip(str(error))


@dataclass(frozen=True)
class TokenServer:
    """An XRootD server over TLS that lets in who has a token of `issuer`; name it localhost."""

    server: XrootdServer
    grid: Grid
    issuer: Issuer

    def url(self, name: str) -> str:
        """Return the URL of a file, by the name that is in the server's certificate."""
        return self.server.url(name).replace(LOOPBACK, "localhost")


@pytest.fixture(scope="session")
def xrootd_tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """An XRootD server that lets in who has a bearer token, and no other."""
    with ExitStack() as stack:
        try:
            place = Path(stack.enter_context(TemporaryDirectory(prefix="higgsdemo-tokens-")))
            place.chmod(0o755)
            grid = make_grid(place / "grid")
            issuer = make_issuer(place, EXPORTED)
            security = (
                f"xrd.tls {grid.certificate} {grid.key}",
                "xrd.tlsca noverify",  # of clients nobody asks a certificate
                "xrootd.tls login",
                "xrootd.seclib libXrdSec.so",
                "sec.protocol ztn",
                "sec.protbind * only ztn",
                "ofs.authorize",
                f"ofs.authlib libXrdAccSciTokens.so config={issuer.configuration}",
            )
            started = xrootd_server(
                tmp_path_factory.mktemp("xrootd-tokens"),
                security=security,
                owned=[grid.key],
                environment={"XDG_CACHE_HOME": str(issuer.cache)},
                public=False,
            )
            yield TokenServer(stack.enter_context(started), grid, issuer)
        except UnavailableError as error:
            pytest.skip(str(error))


@pytest.fixture(scope="session")
def http_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """An HTTP server of `http_files.folder`: put files of your own into it."""
    with http_server(tmp_path_factory.mktemp("http")) as server:
        yield server


@pytest.fixture(scope="session")
def fault_server_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultServer]:
    with fault_server(tmp_path_factory.mktemp("faults")) as server:
        yield server


@pytest.fixture
def faults(fault_server_of_session: FaultServer) -> Iterator[FaultServer]:
    """The HTTP server with faults; without scripts and with an empty log for each test."""
    server = fault_server_of_session
    server.heal()
    server.forget()
    yield server
    server.heal()


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis with users; use keys of your own (`higgsdemo:SOMETHING:...`)."""
    with or_skip(redis_server(tmp_path_factory.mktemp("redis"))) as server:
        yield server


@pytest.fixture(scope="session")
def redis_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis that speaks TLS alone, with a certificate no system trusts."""
    with or_skip(redis_server(tmp_path_factory.mktemp("redis-tls"), tls=True)) as server:
        yield server


def _logs(value: object) -> Iterator[tuple[str, str]]:
    for process in (getattr(value, "process", None), *getattr(value, "processes", ())):
        if isinstance(process, Server):
            yield f"end of the log of {process.name}", process.said()
    if isinstance(value, HttpServer):
        lines = map(str, value.requests()[-LOGGED_REQUESTS:])
        yield f"last requests to {value.endpoint}", "\n".join(lines)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the ends of the services' logs to the report of a failed test."""
    report = yield
    if report.failed:
        used: dict[str, Any] = getattr(item, "funcargs", {})
        for value in used.values():
            report.sections.extend(_logs(value))
    return report
