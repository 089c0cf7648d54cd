"""An HTTP server whose answers go wrong as told: by path, and by number of the request.

    server.script("a.root", Status(503, retry_after=1), None, Truncate(1000))

The first GET of a.root gets a 503, the second goes well, the third ends after 1000 bytes, all
later ones go well. A byte count of -1 means before the first header.
"""

import http.client
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from tests.services.http_files import (
    Answer,
    Asked,
    Content,
    HttpServer,
    Request,
    answer_from,
    files_folder,
)

# Headers that belong to one connection, RFC 9110 section 7.6.1, and those we write ourselves.
OF_A_CONNECTION = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
    "date",
    "server",
}


class Fault:
    """What goes wrong with one answer; a fault overrides what it changes."""

    def instead(self, asked: Asked) -> Answer | None:
        """Return what is said without doing what was asked, or None to do it."""
        return None

    def content(self, content: Content) -> Content:
        """Return what the server takes for the file."""
        return content

    def answer(self, answer: Answer, asked: Asked, content: Content | None) -> Answer:
        """Return the answer as it is to be sent."""
        return answer


@dataclass(frozen=True)
class Truncate(Fault):
    """The connection closes in good order after some bytes of the body."""

    after: int

    def answer(self, answer: Answer, asked: Asked, content: Content | None) -> Answer:
        return replace(answer, cut=self.after)


@dataclass(frozen=True)
class Reset(Fault):
    """The connection is reset. What was asked has been done: an upload is there."""

    after: int = -1

    def answer(self, answer: Answer, asked: Asked, content: Content | None) -> Answer:
        return replace(answer, cut=self.after, reset=True)


@dataclass(frozen=True)
class Stall(Fault):
    """Nothing comes for a time, then the rest."""

    seconds: float
    after: int = 0

    def answer(self, answer: Answer, asked: Asked, content: Content | None) -> Answer:
        return replace(answer, stall=(self.after, self.seconds))


@dataclass(frozen=True)
class Trickle(Fault):
    """The body comes slowly, without a pause."""

    bytes_per_second: float

    def answer(self, answer: Answer, asked: Asked, content: Content | None) -> Answer:
        return replace(answer, bytes_per_second=self.bytes_per_second)


@dataclass(frozen=True)
class Status(Fault):
    """A status instead of the file: 503, 429, 403, 500, ...; the request is not carried out."""

    status: int
    retry_after: str | float | None = None  # seconds or an HTTP date
    body: bytes = b"told to fail\n"
    headers: tuple[tuple[str, str], ...] = ()

    def instead(self, asked: Asked) -> Answer | None:
        headers = dict(self.headers)
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        return Answer(self.status, headers, [self.body])


def slow_down(retry_after: str | float | None = None) -> Status:
    """Return S3's way to say 503."""
    body = (
        b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
        b"<Message>Please reduce your request rate.</Message></Error>"
    )
    return Status(503, retry_after, body, (("Content-Type", "application/xml"),))


def expired_token() -> Status:
    """Return RFC 6750's answer to a token that has expired."""
    why = 'Bearer error="invalid_token", error_description="The access token expired"'
    return Status(401, headers=(("WWW-Authenticate", why),))


@dataclass(frozen=True)
class Redirect(Fault):
    """A redirect; to the path itself it is a loop."""

    to: str  # a path of this server (with the leading slash), or a URL
    status: int = 302

    def instead(self, asked: Asked) -> Answer | None:
        return Answer(self.status, {"Location": self.to})


@dataclass(frozen=True)
class WrongLength(Fault):
    """The Content-Length is off by some bytes; the connection closes after the true body."""

    by: int

    def answer(self, answer: Answer, asked: Asked, content: Content | None) -> Answer:
        return replace(answer, length=max(0, answer.size + self.by))


@dataclass(frozen=True)
class WrongRange(Fault):
    """The bytes of another range are sent, said honestly in Content-Range or not."""

    shift: int
    honest: bool = True

    def answer(self, answer: Answer, asked: Asked, content: Content | None) -> Answer:
        if answer.status != 206 or content is None or "Content-Range" not in answer.headers:
            return answer
        asked_for, size = answer.headers["Content-Range"].removeprefix("bytes ").split("/")
        first, last = (int(number) + self.shift for number in asked_for.split("-"))
        first, last = max(0, first), min(int(size) - 1, last)
        headers = dict(answer.headers)
        if self.honest:
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        return replace(answer, headers=headers, body=[memoryview(content.data)[first : last + 1]])


@dataclass(frozen=True)
class IgnoreRange(Fault):
    """The whole file with 200, whatever range was asked for."""

    def answer(self, answer: Answer, asked: Asked, content: Content | None) -> Answer:
        if answer.status != 206 or content is None:
            return answer
        headers = {k: v for k, v in asked.headers.items() if k != "range"}
        return answer_from(replace(asked, headers=headers), content)


@dataclass(frozen=True)
class WrongEtag(Fault):
    """Another ETag than the file's, with the same bytes."""

    etag: str = '"another"'

    def answer(self, answer: Answer, asked: Asked, content: Content | None) -> Answer:
        return replace(answer, headers={**answer.headers, "ETag": self.etag})


@dataclass(frozen=True)
class Changed(Fault):
    """The file is another one, with another ETag and date."""

    data: bytes

    def content(self, content: Content) -> Content:
        return Content(self.data, f'"changed-{len(self.data):x}"', time.time())


@dataclass(frozen=True)
class Corrupt(Fault):
    """One byte is not what it was; lengths and ETag are."""

    at: int

    def content(self, content: Content) -> Content:
        data = bytearray(content.data)
        data[self.at] ^= 0xFF
        return replace(content, data=bytes(data))


class _Script:
    def __init__(self, faults: Sequence[Fault | None], then: Fault | None) -> None:
        self.faults, self.then = list(faults), then

    def next(self) -> Fault | None:
        return self.faults.pop(0) if self.faults else self.then


class _Dice:
    def __init__(self, faults: Sequence[Fault], share: float, seed: int, in_a_row: int) -> None:
        self._random = random.Random(seed)
        self._faults, self._share, self._most, self._row = list(faults), share, in_a_row, 0

    def next(self) -> Fault | None:
        fault = self._random.choice(self._faults)
        bad = self._random.random() < self._share and self._row < self._most
        self._row = self._row + 1 if bad else 0
        return fault if bad else None


class FaultServer(HttpServer):
    """An HTTP server of a folder that does as its scripts say.

    With `upstream` (http://HOST:PORT) it passes requests on instead, so that S3 and GCS have
    faults too: signatures stay valid, as the Host header is passed on as it came. The faults
    that change a file's content or range are for files alone.
    """

    def __init__(self, folder: Path, token: str | None = None, upstream: str | None = None) -> None:
        super().__init__(folder, token)
        self.upstream = upstream
        self._scripts: dict[tuple[str, str], _Script | _Dice] = {}

    def script(
        self, path: str, *faults: Fault | None, then: Fault | None = None, method: str = "GET"
    ) -> None:
        """Say how the next requests for a path go, one by one; `then`, all later ones.

        "*" is every path without a script of its own. A new script replaces the old one.
        """
        with self._lock:
            self._scripts[method, path] = _Script(faults, then)

    def scatter(
        self,
        path: str,
        *faults: Fault,
        share: float,
        seed: int,
        in_a_row: int = 2,
        method: str = "GET",
    ) -> None:
        """Let a share of the requests for a path go wrong, at most so many in a row."""
        with self._lock:
            self._scripts[method, path] = _Dice(faults, share, seed, in_a_row)

    def heal(self) -> None:
        """Forget all scripts."""
        with self._lock:
            self._scripts.clear()

    def _fault(self, asked: Asked) -> Fault | None:
        with self._lock:
            for path in (asked.path, "*"):
                if script := self._scripts.get((asked.method, path)):
                    return script.next()
        return None

    def answer(self, asked: Asked, entry: Request) -> Answer:
        """Return what is said to a request, and note the fault in the log."""
        fault = self._fault(asked)
        if fault is None:
            return self._pass_on(asked) if self.upstream else super().answer(asked, entry)
        entry.fault = repr(fault)
        instead = fault.instead(asked)
        if instead is not None:
            return instead
        if self.upstream:
            return fault.answer(self._pass_on(asked), asked, None)
        right = super().answer(asked, entry)
        content = self.content(asked.path)
        if content is None or right.status >= 400:
            return fault.answer(right, asked, None)
        content = fault.content(content)
        return fault.answer(answer_from(asked, content), asked, content)

    def _pass_on(self, asked: Asked) -> Answer:
        upstream = urlsplit(self.upstream or "")
        connection = http.client.HTTPConnection(upstream.hostname or "", upstream.port, timeout=60)
        try:
            connection.putrequest(
                asked.method, asked.target, skip_host=True, skip_accept_encoding=True
            )
            for name, value in asked.headers.items():
                if name not in ("connection", "expect"):
                    connection.putheader(name, value)
            connection.endheaders(asked.body)
            answer = connection.getresponse()
            body = answer.read()
            headers = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() not in OF_A_CONNECTION
            }
            length = answer.getheader("content-length")
            told = int(length) if length and asked.method == "HEAD" else None
            return Answer(answer.status, headers, [body], length=told)
        finally:
            connection.close()


@contextmanager
def fault_server(
    tmp_path: Path, *, token: str | None = None, upstream: str | None = None
) -> Iterator[FaultServer]:
    """Serve a folder (`http-files` in `tmp_path`) with faults, or pass requests on with faults."""
    server = FaultServer(files_folder(tmp_path), token, upstream)
    with server.serving():
        yield server
