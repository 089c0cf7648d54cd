"""Debian's XRootD server: root:// and http:// on one port, read only, for this machine alone."""

import os
import secrets
import socket
import struct
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services.process import LOOPBACK, Server, spawn, started
from tests.services.programs import program

EXPORTED = "/data"  # what the served folder is called in URLs
# XRootD refuses to run as root. As Debian's user `daemon` it may still read everywhere, as the
# tests' folders are for their owner alone.
AS_DAEMON = (
    "--reuid=daemon", "--regid=daemon", "--clear-groups",
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
)  # fmt: skip
# The first words of the protocol, "XRootD protocol specification", section 2.3: the client's
# five numbers, and the kind of the server that answers (1: it has data).
HELLO = struct.pack(">5i", 0, 0, 0, 4, 2012)
DATA_SERVER = 1


@dataclass(frozen=True)
class XrootdServer:
    """A running XRootD server of the files in `folder`."""

    endpoint: str  # root://127.0.0.1:PORT
    http_endpoint: str  # http://127.0.0.1:PORT
    port: int
    folder: Path
    process: Server

    def url(self, name: str) -> str:
        """Return the root:// URL of a file in the folder."""
        return f"{self.endpoint}/{EXPORTED}/{name}"

    def http_url(self, name: str) -> str:
        """Return the http:// URL of a file in the folder."""
        return f"{self.http_endpoint}{EXPORTED}/{name}"


def _configuration(root: Path, port: int, security: Sequence[str]) -> str:
    lines = (
        f"all.export {EXPORTED} r/o",
        f"oss.localroot {root}",
        "all.adminpath /proc/self/cwd",  # short: the path of a socket has 108 characters
        "all.pidpath /proc/self/cwd",
        f"xrd.port {port}",
        "xrd.network nodnr",
        f"xrd.protocol http:{port} libXrdHttp.so",
        "http.selfhttps2http no",
        "http.listingdeny no",
        "xrootd.chksum max 2 adler32",
        "xrd.allow host 127.0.0.1",  # it listens everywhere: there is no option for an address
        "xrd.allow host localhost",
        *security,
    )
    return "\n".join(lines) + "\n"


def _speaks_root(port: int) -> bool:
    with socket.create_connection((LOOPBACK, port), timeout=2) as client:
        client.sendall(HELLO)
        answer = client.recv(16, socket.MSG_WAITALL)
    return len(answer) == 16 and struct.unpack(">i", answer[12:]) == (DATA_SERVER,)


@contextmanager
def xrootd_server(
    tmp_path: Path,
    files: Path | None = None,
    *,
    security: Sequence[str] = (),
    owned: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
    public: bool = True,
) -> Iterator[XrootdServer]:
    """Start a server of the files in a folder (`xrootd-files` in `tmp_path`, unless named).

    `security` are further lines of its configuration, `owned` the keys that must be its user's,
    `environment` variables of its own. It is `public` if it gives files to everybody over HTTP.
    """
    folder = tmp_path.resolve()
    files = (files or folder / "xrootd-files").resolve()
    files.mkdir(parents=True, exist_ok=True)
    state = folder / f"xrootd-{secrets.token_hex(3)}"  # pid files and sockets of this start
    root = state / "root"
    root.mkdir(parents=True)
    (root / EXPORTED.strip("/")).symlink_to(files)
    known, secret = files / f".ready-{secrets.token_hex(6)}", secrets.token_bytes(16)
    log = folder / "xrootd.log"
    privileges: tuple[str, ...] = ()
    if os.geteuid() == 0:
        import pwd

        daemon = pwd.getpwnam("daemon")
        for path in (state, *owned):
            os.chown(path, daemon.pw_uid, daemon.pw_gid)
        privileges = AS_DAEMON

    def start(ports: list[int]) -> Server:
        configuration = state / "xrootd.cfg"
        configuration.write_text(_configuration(root, ports[0], security))
        command = (program("xrootd"), "-c", configuration, "-I", "v4", "-p", str(ports[0]))
        return spawn("xrootd", command, log, cwd=state, env=environment, privileges=privileges)

    def ready(server: Server, ports: list[int]) -> bool:
        if not public:
            return _speaks_root(ports[0])
        url = f"http://{LOOPBACK}:{ports[0]}{EXPORTED}/{known.name}"
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.read() == secret and _speaks_root(ports[0])

    known.write_bytes(secret)
    with started(start, ready) as (server, ports):
        known.unlink()
        port = ports[0]
        endpoint = f"{LOOPBACK}:{port}"
        yield XrootdServer(f"root://{endpoint}", f"http://{endpoint}", port, files, server)
