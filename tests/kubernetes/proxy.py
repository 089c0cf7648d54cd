"""A proxy in front of an API server, for what servers do on a bad day: 429, refusals, silence."""

import http.client
import http.server
import json
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.kubernetes.client import Client, Document, kubeconfig
from tests.kubernetes.control_plane import ControlPlane
from tests.services.certificates import make_certificates
from tests.services.process import LOOPBACK

BLOCK = 64 * 1024
REFUSAL = 'admission webhook "policy.example.org" denied the request: no more jobs today'
NOT_FORWARDED = {"host", "connection", "content-length", "transfer-encoding"}


@dataclass
class Weather:
    """What the proxy does at the moment; may be changed while it runs."""

    refuse: int = 0  # of so many requests one is let through, the others get 429; 0: all are
    silent: bool = False  # nobody is answered
    jobs: Literal["made", "refused", "unanswered"] = "made"  # once they are to be made in earnest
    seen: Counter[int] = field(default_factory=Counter)  # requests by the status of their answer


class Proxy:
    """A running proxy; it runs in threads of this process."""

    def __init__(self, cluster: ControlPlane, folder: Path) -> None:
        self.cluster = cluster
        self.weather = Weather()
        self.over = threading.Event()
        self.connections: set[socket.socket] = set()
        self._certificates = make_certificates(folder)
        self._server = http.server.ThreadingHTTPServer((LOOPBACK, 0), _handler(self))
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificates.certificate, self._certificates.key)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = int(self._server.server_address[1])

    @property
    def client(self) -> Client:
        """A client that may do everything, through the proxy."""
        server = f"https://{LOOPBACK}:{self.port}"
        return Client(server, self._certificates.authority, self.cluster.client.token)

    def context(self) -> Document:
        """Return a kubeconfig that goes through the proxy."""
        client = self.client
        return kubeconfig(self.cluster.name, client.server, client.authority, client.token)

    def break_all(self) -> None:
        """Break all connections that are open, watches too."""
        for connection in list(self.connections):
            with suppress(OSError):  # it ended meanwhile
                connection.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve until the block ends."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.over.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def _handler(proxy: Proxy) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def setup(self) -> None:
            super().setup()
            proxy.connections.add(self.connection)

        def finish(self) -> None:
            proxy.connections.discard(self.connection)
            with suppress(OSError):  # it was broken
                super().finish()

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            weather = proxy.weather
            makes_job = self.command == "PATCH" and "/jobs/" in self.path
            in_earnest = makes_job and "dryRun" not in self.path
            while (
                weather.silent or (in_earnest and weather.jobs == "unanswered")
            ) and not proxy.over.wait(0.1):
                pass
            if in_earnest and weather.jobs == "refused":
                self._refuse()
                return
            total = sum(weather.seen.values())
            if weather.refuse and total % weather.refuse:
                weather.seen[429] += 1
                self.send_response(429)
                self.send_header("Retry-After", "1")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._pass_on(body)

        def _refuse(self) -> None:
            said = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": REFUSAL}
            answer = json.dumps(said).encode()
            self.send_response(403)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _pass_on(self, body: bytes) -> None:
            host = proxy.cluster.server.removeprefix("https://")
            trust = ssl.create_default_context(cafile=str(proxy.cluster.authority))
            upstream = http.client.HTTPSConnection(host, context=trust, timeout=600)
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in NOT_FORWARDED
            }
            self.close_connection = True  # the end of the answer is that of the connection
            with suppress(OSError, http.client.HTTPException):  # either end is gone
                try:
                    upstream.request(self.command, self.path, body or None, headers)
                    answer = upstream.getresponse()
                    proxy.weather.seen[answer.status] += 1
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        if name.lower() not in NOT_FORWARDED:
                            self.send_header(name, value)
                    self.send_header("Connection", "close")
                    self.end_headers()
                    while part := answer.read1(BLOCK):
                        self.wfile.write(part)
                finally:
                    upstream.close()

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _forward  # noqa: N815

    return Handler


@contextmanager
def proxy(cluster: ControlPlane, folder: Path) -> Iterator[Proxy]:
    """Start a proxy in front of a cluster's API server."""
    made = Proxy(cluster, folder)
    with made.serving():
        yield made
