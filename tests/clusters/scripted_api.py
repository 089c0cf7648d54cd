"""An HTTP server on loopback that answers as an API server in trouble would, one answer a line.

The real thing is tested against a real control plane; this is for what one cannot be made to do on
demand: storms of 429, a watch that breaks off, a token that expires between two requests.
"""

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One answer: a document, or raw `body`; or a reset connection, or nothing for a while."""

    status: int = 200
    document: Any = None
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    reset: bool = False
    silent_s: float = 0.0


def refused(status: int, message: str, reason: str = "", **headers: str) -> Reply:
    """Return an answer with a Status object, as API servers give them."""
    said = {"kind": "Status", "code": status, "message": message, "reason": reason}
    sent = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Reply(status, said, headers=sent)


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class ScriptedApi:
    """Answers from `replies` in order; an empty object when they are used up."""

    url: str = ""
    replies: deque[Reply] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)

    def say(self, *replies: Reply) -> None:
        self.replies.extend(replies)

    def kubeconfig(self, folder: Path, user: dict[str, Any] | None = None, **more: str) -> Path:
        """Write a kubeconfig with the context `scripted` for this server."""
        path = folder / "kubeconfig"
        path.write_text(json.dumps(kubeconfig(self.url, "scripted", user or {"token": "t0k"})))
        return path


def kubeconfig(server: str, name: str, user: dict[str, Any]) -> dict[str, Any]:
    """Return a kubeconfig of one context."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }


@contextmanager
def scripted_api() -> Iterator[ScriptedApi]:
    """Run a scripted server on a free port of loopback."""
    api = ScriptedApi()
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            api.asked.append(Asked(self.command, self.path, dict(self.headers.items()), body))
            reply = api.replies.popleft() if api.replies else Reply(document={})
            if reply.silent_s:
                over.wait(reply.silent_s)
            if reply.reset:
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                self.close_connection = True
                return
            content = reply.body or json.dumps(reply.document).encode()
            self.send_response(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            if not any(name == "Content-Length" for name, _ in reply.headers):
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            if any(name == "Connection" for name, _ in reply.headers):
                self.close_connection = True

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass  # a client that went away

    server = Quiet(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield api
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()
