"""Who may look: the port, the token, and how to get there from elsewhere."""

from __future__ import annotations

import errno
import hmac
import ipaddress
import os
import secrets
import shlex
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from higgsdemo.errors import RunError, UsageError

FIRST_PORT = 8866
TRIED = 50  # ports after the one that was asked for
TOKEN_VARIABLE = "HIGGSDEMO_DASHBOARD_TOKEN"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int | None) -> tuple[socket.socket, int]:
    """Listen at `port`, or the next free one after it (None: one that is usually free).

    Port 0 is any free one. Returns the socket and the port. RunError if there is none, or the
    host is not ours.
    """
    first = FIRST_PORT if port is None else port
    ports = [0] if port == 0 else range(first, min(first + TRIED, 65535) + 1)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in ports:
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, number))
            listening.listen(128)
        except OSError as error:
            listening.close()
            if error.errno == errno.EADDRINUSE:
                continue
            raise RunError(
                f"cannot listen at {host}, port {number}",
                why=error.strerror or str(error),
                hint="without --host it is 127.0.0.1, and any port above 1023 will do",
            ) from error
        listening.setblocking(False)
        return listening, int(listening.getsockname()[1])
    raise RunError(
        f"all ports from {first} on are in use at {host}",
        where=f"{len(ports)} were tried",
        hint="choose another with --port, or --port 0 for any that is free",
    )


def token(environment: Mapping[str, str] = os.environ) -> str:
    """Return the token that browsers have to show: from the environment, or one of our own.

    Ours is kept for this user (mode 600), so that pages find back after a restart.
    """
    if given := environment.get(TOKEN_VARIABLE):
        return given
    state = environment.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    path = Path(state) / "higgsdemo" / "dashboard-token"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as kept:
            known = kept.read().strip()
            if len(known) >= 32:
                return known
            made = secrets.token_urlsafe(32)
            kept.seek(0)
            kept.truncate()
            kept.write(made + "\n")
            return made
    except OSError:  # no home, or a full disk: then a restart asks for the new one
        return secrets.token_urlsafe(32)


def same(given: str, right: str) -> bool:
    """Compare tokens in a time that tells nothing."""
    return hmac.compare_digest(given.encode(), right.encode())


def origin(text: str) -> str:
    """Return HOST or HOST:PORT of an origin such as https://hub.example.org."""
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
    except ValueError:  # half of a bracket
        parts = urlsplit("")
    if not parts.hostname or parts.path.strip("/") or parts.query:
        raise UsageError(
            f"{text!r} is not an origin", hint="e.g. --allow-origin https://hub.example.org"
        )
    return parts.netloc.lower()


@dataclass(frozen=True)
class Ways:
    """How to reach the dashboard; `lines` are what to type, exact where the machine says it."""

    host: str
    port: int
    token: str | None

    @property
    def url(self) -> str:
        """The URL on this machine."""
        host = self.host if self.host not in ("0.0.0.0", "::") else socket.gethostname()
        return self._url(f"[{host}]" if ":" in host else host)

    def lines(self, environment: Mapping[str, str] = os.environ) -> list[tuple[str, str]]:
        """Return pairs of where one sits and what to type or open there."""
        local = self._url("127.0.0.1")
        machine = socket.gethostname()
        found = []
        if environment.get("KUBERNETES_SERVICE_HOST"):
            forward = f"kubectl port-forward pod/{machine} {self.port}:{self.port}"
            if namespace := _namespace():
                forward = forward.replace("kubectl", f"kubectl -n {shlex.quote(namespace)}", 1)
            found.append(("outside the cluster", f"{forward}   then {local}"))
        else:
            user = environment.get("USER") or environment.get("LOGNAME") or "USER"
            tunnel = f"ssh -N -L {self.port}:127.0.0.1:{self.port} {shlex.quote(user)}@{machine}"
            found.append(("your laptop, over SSH", f"{tunnel}   then {local}"))
            found.append(
                (
                    "if this is a pod",
                    f"kubectl port-forward pod/POD {self.port}:{self.port}   then {local}",
                )
            )
        prefix = environment.get("JUPYTERHUB_SERVICE_PREFIX") or environment.get("NB_PREFIX")
        proxied = f"{(prefix or 'BASE-URL-OF-JUPYTER/').rstrip('/')}/proxy/{self.port}/"
        if self.token:
            proxied += f"?token={self.token}"
        found.append(("a notebook's proxy, with --allow-origin HOST", proxied))
        return found

    def _url(self, host: str) -> str:
        query = f"?token={self.token}" if self.token else ""
        return f"http://{host}:{self.port}/{query}"


def _namespace() -> str | None:
    try:
        path = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
        return path.read_text().strip() or None
    except OSError:
        return None
