"""Redis (or Valkey) with users, TLS where asked, and a log of writes that survives kill -9."""

import secrets
import shutil
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from tests.services.certificates import Certificates, make_certificates
from tests.services.process import LOOPBACK, Server, spawn, started, wait_until_ready
from tests.services.programs import program

Fsync = Literal["always", "everysec", "no"]

# What a user may do, in the words of ACL SETUSER. The keys of a run are under `higgsdemo:`.
USERS = {
    "admin": "~* &* +@all",
    "worker": "resetchannels ~higgsdemo:* &higgsdemo:* +@all -@dangerous -@admin",
    "reader": "resetchannels %R~higgsdemo:* &higgsdemo:* +@read +@connection +@transaction",
}


class RedisServer:
    """A running Redis, or one that was killed and may be restarted, at the same port."""

    host = LOOPBACK

    def __init__(
        self,
        folder: Path,
        binary: str,
        port: int,
        passwords: Mapping[str, str],
        certificates: Certificates | None,
    ) -> None:
        self.folder = folder
        self.port = port
        self.passwords = dict(passwords)
        self.certificates = certificates
        self._binary = binary
        self._server: Server | None = None

    @property
    def process(self) -> Server:
        """The process that runs now, or ran last."""
        if self._server is None:
            raise RuntimeError("this Redis was never started")
        return self._server

    def url(self, user: str = "worker", *, password: str | None = None) -> str:
        """Return redis://USER:PASSWORD@HOST:PORT/0 (rediss:// with TLS)."""
        scheme = "rediss" if self.certificates else "redis"
        secret = quote(self.passwords[user] if password is None else password, safe="")
        return f"{scheme}://{user}:{secret}@{self.host}:{self.port}/0"

    @property
    def options(self) -> dict[str, str]:
        """What redis-py's `from_url` needs beside the URL: with TLS, whom to trust."""
        return {"ssl_ca_certs": str(self.certificates.authority)} if self.certificates else {}

    def answers(self) -> bool:
        """Whether it lets the admin in and is done reading its log; OSError if none listens."""
        talk = f"AUTH admin {self.passwords['admin']}\r\nPING\r\nQUIT\r\n".encode()
        with socket.create_connection((self.host, self.port), timeout=2) as plain:
            if self.certificates:
                with self.certificates.context().wrap_socket(
                    plain, server_hostname=self.host
                ) as safe:
                    return self._ask(safe, talk)
            return self._ask(plain, talk)

    @staticmethod
    def _ask(connection: socket.socket | ssl.SSLSocket, talk: bytes) -> bool:
        connection.sendall(talk)
        said = b""
        while part := connection.recv(4096):
            said += part
        return said.startswith(b"+OK\r\n+PONG\r\n")

    def start(self) -> Server:
        """Start the process, and do not wait."""
        port = str(self.port)
        command = [self._binary, str(self.folder / "redis.conf")]
        command += ["--port", "0", "--tls-port", port] if self.certificates else ["--port", port]
        self._server = spawn("redis", command, self.folder / "redis.log", cwd=self.folder)
        return self._server

    def kill(self) -> None:
        """Kill it with SIGKILL; what it had acknowledged stays in its folder."""
        self.process.kill()

    def restart(self, *, keep_data: bool = True) -> None:
        """Kill it and start it again at the same port, with its data or empty."""
        self.kill()
        if not keep_data:
            shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)
        wait_until_ready(self.start(), self.answers, seconds=30)


def _configuration(folder: Path, fsync: Fsync, certificates: Certificates | None) -> str:
    lines = [
        f"bind {LOOPBACK}",
        "daemonize no",
        f"dir {folder}",
        f"aclfile {folder / 'users.acl'}",
        "appendonly yes",
        f"appendfsync {fsync}",
        'save ""',
    ]
    if certificates:
        lines += [
            f"tls-cert-file {certificates.certificate}",
            f"tls-key-file {certificates.key}",
            f"tls-ca-cert-file {certificates.authority}",
            "tls-auth-clients no",
        ]
    return "\n".join(lines) + "\n"


@contextmanager
def redis_server(
    tmp_path: Path,
    *,
    binary: str = "redis-server",
    tls: bool = False,
    fsync: Fsync = "everysec",
    users: Mapping[str, str] = USERS,
) -> Iterator[RedisServer]:
    """Start a Redis that keeps its data and its log (`redis.log`) in a folder of its own.

    Nobody gets in without a user's password; `users` says what each may do. `valkey-server` as
    `binary` is the one that comes as a wheel, without TLS.
    """
    parent = tmp_path.resolve()
    folder = parent / f"redis-{secrets.token_hex(3)}"
    folder.mkdir(parents=True)
    rules = {"admin": USERS["admin"], **users}  # the admin is who asks whether it is ready
    passwords = {name: secrets.token_urlsafe(18) for name in rules}
    certificates = make_certificates(folder / "tls") if tls else None
    acl = ["user default off"]
    acl += [f"user {name} on >{passwords[name]} {rule}" for name, rule in rules.items()]
    for name, text in {
        "users.acl": "\n".join(acl) + "\n",
        "redis.conf": _configuration(folder, fsync, certificates),
    }.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text)
    made: list[RedisServer] = []

    def start(ports: list[int]) -> Server:
        made[:] = [RedisServer(folder, program(binary), ports[0], passwords, certificates)]
        return made[0].start()

    def ready(server: Server, ports: list[int]) -> bool:
        return made[0].answers()

    with started(start, ready):
        try:
            yield made[0]
        finally:
            made[0].kill()
