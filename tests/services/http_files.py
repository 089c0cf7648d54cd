"""An HTTP server of a folder: ranges, ETags, a bearer token, and a log of every request."""

import mmap
import re
import secrets
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from tests.services.process import LOOPBACK

BLOCK = 256 * 1024
PART_HEAD = b"\r\n--%s\r\nContent-Type: application/octet-stream\r\nContent-Range: %s\r\n\r\n"


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str  # without the leading slash, unquoted, without the query
    target: str  # as it was sent
    headers: Mapping[str, str]  # names in lower case
    body: bytes = b""

    @property
    def range(self) -> str | None:
        """The range asked for, as it was sent."""
        return self.headers.get("range")


@dataclass(frozen=True)
class Content:
    """What is at a path now."""

    data: memoryview | bytes
    etag: str
    modified: float


@dataclass(frozen=True)
class Answer:
    """What is to be sent, and what goes wrong on the way."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Sequence[memoryview | bytes] = ()
    cut: int | None = None  # nothing more after so many bytes of the body; -1: no headers either
    reset: bool = False  # then RST, not FIN
    stall: tuple[int, float] | None = None  # before which byte (-1: before the headers), seconds
    bytes_per_second: float | None = None
    length: int | None = None  # the Content-Length to claim, not that of the body

    @property
    def size(self) -> int:
        """The true length of the body."""
        return sum(map(len, self.body))


@dataclass
class Request:
    """One line of a server's log."""

    method: str
    path: str
    range: str | None
    number: int  # of the requests with this method for this path, from 0
    client: int  # its port: one connection has one
    status: int = 0
    sent: int = 0  # bytes of the body
    fault: str | None = None


def parse_ranges(asked: str, size: int) -> list[tuple[int, int]] | None:
    """Return [start, stop) of each range that can be served, or None for no valid header.

    RFC 9110, section 14.1: a header that cannot be understood is ignored.
    """
    match = re.fullmatch(r"bytes=([\d,\s-]+)", asked.strip())
    if not match:
        return None
    found = []
    for part in match[1].split(","):
        numbers = re.fullmatch(r"(\d*)-(\d*)", part.strip())
        if not numbers or part.strip() == "-":
            return None
        first, last = numbers.groups()
        if not first:
            start, stop = max(0, size - int(last)), size
        else:
            start, stop = int(first), min(size, int(last) + 1) if last else size
            if last and int(last) < int(first):
                return None
        if start < stop:
            found.append((start, stop))
    return found


def answer_from(asked: Asked, content: Content) -> Answer:
    """Return what a right server says: 200, 206 with one or several ranges, 304, 412 or 416."""
    data, size = content.data, len(content.data)
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": content.etag,
        "Last-Modified": formatdate(content.modified, usegmt=True),
    }
    if content.etag in asked.headers.get("if-none-match", ""):
        return Answer(304, headers)
    if asked.headers.get("if-match", "*") not in ("*", content.etag):
        return Answer(412, headers)
    ranges = None
    if asked.range and asked.headers.get("if-range", content.etag) == content.etag:
        ranges = parse_ranges(asked.range, size)
    if ranges is None:
        kind = {"Content-Type": "application/octet-stream"}
        return Answer(200, headers | kind, [memoryview(data)])
    if not ranges:
        return Answer(416, headers | {"Content-Range": f"bytes */{size}"})
    view = memoryview(data)
    if len(ranges) == 1:
        ((start, stop),) = ranges
        headers |= {
            "Content-Range": f"bytes {start}-{stop - 1}/{size}",
            "Content-Type": "application/octet-stream",
        }
        return Answer(206, headers, [view[start:stop]])
    boundary = secrets.token_hex(12).encode()
    body: list[memoryview | bytes] = []
    for start, stop in ranges:
        where = b"bytes %d-%d/%d" % (start, stop - 1, size)
        body += [PART_HEAD % (boundary, where), view[start:stop]]
    body.append(b"\r\n--%s--\r\n" % boundary)
    kind = {"Content-Type": f"multipart/byteranges; boundary={boundary.decode()}"}
    return Answer(206, headers | kind, body)


class HttpServer:
    """A running HTTP server of the files in `folder`; it runs in threads of this process."""

    def __init__(self, folder: Path, token: str | None = None) -> None:
        self.folder = folder
        self.token = token  # may be changed at any time
        self.log: list[Request] = []
        self.most_connections = 0
        self.failures: list[BaseException] = []  # bugs of the server's own
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closing = threading.Event()
        self._httpd = _Httpd((LOOPBACK, 0), _Handler)
        self._httpd.owner = self
        self.port: int = self._httpd.server_address[1]
        self.endpoint = f"http://{LOOPBACK}:{self.port}"

    def url(self, name: str) -> str:
        """Return the URL of a file in the folder."""
        return f"{self.endpoint}/{quote(name)}"

    def requests(self, path: str | None = None, method: str | None = None) -> list[Request]:
        """Return the log, of one path or method where named."""
        with self._lock:
            return [
                entry
                for entry in self.log
                if path in (None, entry.path) and method in (None, entry.method)
            ]

    def bytes_sent(self, path: str | None = None) -> int:
        """Return how many bytes of bodies were sent."""
        return sum(entry.sent for entry in self.requests(path))

    def forget(self) -> None:
        """Empty the log; requests are counted from 0 again."""
        with self._lock:
            self.log.clear()
            self.most_connections = len(self._open)

    # What follows is for the handler, and for kinds of server that answer otherwise.

    def content(self, path: str) -> Content | None:
        """Return what is at a path, or None."""
        found = (self.folder / path).resolve()
        if not found.is_relative_to(self.folder.resolve()) or not found.is_file():
            return None
        status = found.stat()
        data: memoryview | bytes = b""
        if status.st_size:
            with found.open("rb") as file:
                data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return Content(data, f'"{status.st_mtime_ns:x}-{status.st_size:x}"', status.st_mtime)

    def answer(self, asked: Asked, entry: Request) -> Answer:
        """Return what is said to a request."""
        if self.token and asked.headers.get("authorization") != f"Bearer {self.token}":
            return Answer(401, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        if asked.method not in ("GET", "HEAD"):
            return Answer(405, {"Allow": "GET, HEAD"})
        content = self.content(asked.path)
        return Answer(404) if content is None else answer_from(asked, content)

    def enter(self, asked: Asked, client: int) -> Request:
        """Open a line of the log."""
        with self._lock:
            number = sum(e.path == asked.path and e.method == asked.method for e in self.log)
            entry = Request(asked.method, asked.path, asked.range, number, client)
            self.log.append(entry)
        return entry

    def connected(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
            self.most_connections = max(self.most_connections, len(self._open))

    def disconnected(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than the server lives."""
        self._closing.wait(seconds)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve until the block ends; a bug of the server's own is raised then."""
        thread = threading.Thread(target=self._httpd.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._closing.set()
            self._httpd.shutdown()
            with self._lock:
                for connection in self._open:
                    with suppress(OSError):  # the client was quicker
                        connection.shutdown(socket.SHUT_RDWR)
            self._httpd.server_close()  # waits for the threads
            thread.join()
        if self.failures:
            raise ExceptionGroup("the HTTP server failed", _exceptions(self.failures))


def _exceptions(failures: Sequence[BaseException]) -> list[Exception]:
    return [one if isinstance(one, Exception) else RuntimeError(repr(one)) for one in failures]


class _Httpd(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them
    request_queue_size = 128
    owner: HttpServer

    def handle_error(self, request: object, client_address: object) -> None:
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self.owner.failures.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Httpd

    def setup(self) -> None:
        super().setup()
        self.server.owner.connected(self.connection)

    def finish(self) -> None:
        self.server.owner.disconnected(self.connection)
        super().finish()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: the log is the server's list."""

    def _any(self) -> None:
        owner = self.server.owner
        length = int(self.headers.get("content-length", 0))
        path = unquote(urlsplit(self.path).path).lstrip("/")
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, path, self.path, headers, self.rfile.read(length))
        entry = owner.enter(asked, self.client_address[1])
        self._send(owner, entry, owner.answer(asked, entry))

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _any  # noqa: N815

    def _send(self, owner: HttpServer, entry: Request, answer: Answer) -> None:
        entry.status = answer.status
        if answer.stall and answer.stall[0] < 0:
            owner.pause(answer.stall[1])
        if answer.cut is not None and answer.cut < 0:
            self._hang_up(reset=answer.reset)
            return
        length = answer.size if answer.length is None else answer.length
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 304:
            self.send_header("Content-Length", str(length))
        if answer.cut is not None or (self.command != "HEAD" and length != answer.size):
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(owner, entry, answer)
        if answer.cut is not None:
            self._hang_up(reset=answer.reset)

    def _send_body(self, owner: HttpServer, entry: Request, answer: Answer) -> None:
        end = answer.size if answer.cut is None else min(answer.cut, answer.size)
        stall_at, seconds = answer.stall or (-1, 0.0)
        block = BLOCK
        if answer.bytes_per_second:
            block = max(1, int(answer.bytes_per_second / 20))
        for part in answer.body:
            view, at = memoryview(part), 0
            while at < len(view) and entry.sent < end:
                if entry.sent == stall_at:
                    owner.pause(seconds)
                step = min(block, len(view) - at, end - entry.sent)
                if entry.sent < stall_at:
                    step = min(step, stall_at - entry.sent)
                # Counted first: who has the bytes must find them in the log.
                entry.sent += step
                self.wfile.write(view[at : at + step])
                at += step
                if answer.bytes_per_second:
                    owner.pause(step / answer.bytes_per_second)

    def _hang_up(self, *, reset: bool) -> None:
        self.close_connection = True
        if reset:
            # Closing with a linger of 0 s sends RST; TCP drops what was not read yet, so let
            # the client have the bytes first.
            time.sleep(0.05)
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.server.owner.disconnected(self.connection)
            self.connection.close()  # done when `finish` closes its file


def files_folder(tmp_path: Path) -> Path:
    """Make the folder that is served."""
    folder = tmp_path / "http-files"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def http_server(tmp_path: Path, *, token: str | None = None) -> Iterator[HttpServer]:
    """Serve a folder (`http-files` in `tmp_path`); with a token, only to who has it."""
    server = HttpServer(files_folder(tmp_path), token)
    with server.serving():
        yield server
