"""Files on web servers and object stores: byte ranges by HTTP, every answer checked."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar
from urllib.parse import urljoin

from higgsdemo.errors import CredentialsError
from higgsdemo.storage.patience import PassingError, WholeFileError
from higgsdemo.storage.ranges import coalesce, gap_within
from higgsdemo.storage.refusals import Reply, changed, refusal
from higgsdemo.storage.remote import Head, Raw
from higgsdemo.storage.source import Range
from higgsdemo.storage.urls import origin, redact
from higgsdemo.storage.wire import Wire

T = TypeVar("T")
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_EMPTY = re.compile(r"bytes \*/0")
_MOVED = {301, 302, 303, 307, 308}
_HOPS = 5
_SPAN_BYTES = 4 * 1024 * 1024
_FREE_WASTE = 16 * 1024  # bytes read for nothing in one round that are always worth a request
_WASTE = 0.04  # and as a share of what is needed
_BLOCK_BYTES = 1024 * 1024
_TOLD_BYTES = 8 * 1024  # of what a server says of an error


class Signer(Protocol):
    """Who we are, to a server: the headers that prove it."""

    @property
    def hint(self) -> str:
        """What to do about a refusal that gives no reason."""
        ...

    def address(self, url: str) -> str:
        """Return the http(s):// address of a file."""
        ...

    def headers(self, url: str) -> Mapping[str, str]:
        """Return the headers for a GET of `url`. Raises CredentialsError where there are none."""
        ...

    def renew(self, reply: Reply) -> bool:
        """Look for newer credentials after a refusal; whether another try makes sense."""
        ...


class WebFile:
    """One file of a web server or object store. Raises as `remote.Remote` says."""

    def __init__(self, url: str, wire: Wire, signer: Signer) -> None:
        self.shown = redact(url)
        self._named = url
        self._url = signer.address(url)
        self._at = self._url  # where redirects led
        self._wire = wire
        self._signer = signer
        self._etag: str | None = None
        self._size: int | None = None

    def open(self, count: int) -> Head:
        """Read the first `count` bytes, and with them size and identity of the file."""
        data, headers = self._range(0, count)
        assert self._size is not None
        tag = headers.get("etag") or headers.get("last-modified")
        return Head(self._size, data, checksums(headers), tag)

    def plan(self, ranges: Sequence[Range]) -> list[list[Range]]:
        """Group ranges into requests: one span each, as object stores want it."""
        needed = sum(stop - start for start, stop in ranges)
        gap = gap_within(ranges, max(_FREE_WASTE, int(_WASTE * needed)))
        return [[(start, stop)] for start, stop, _ in coalesce(ranges, gap, _SPAN_BYTES)]

    def fetch(self, parts: Sequence[Range]) -> list[Raw]:
        """Read one span."""
        return [self._range(start, stop)[0] for start, stop in parts]

    def checksum(self) -> None:
        """Return None: what a store knows came with the first bytes."""

    def whole(self, size: int, write: Callable[[memoryview, int], None]) -> None:
        """Read the file of `size` bytes in one request, for servers that know no ranges."""

        def take(response: http.client.HTTPResponse) -> bool | Reply:
            if response.status != 200:
                return _reply(response)
            length = response.getheader("content-length")
            if length is not None and int(length) != size:
                raise changed(self.shown, f"it had {size} bytes and has {length} now")
            block, at = memoryview(bytearray(_BLOCK_BYTES)), 0
            while count := self._wire.fill(response, block):
                if at + count > size:
                    raise PassingError(f"more bytes came than the {size} announced")
                write(block[:count], at)
                at += count
            if at < size:
                raise PassingError(f"the connection ended after {at} of {size} bytes")
            return True

        self._get({}, take, size)

    def _range(self, start: int, stop: int) -> tuple[bytearray, Mapping[str, str]]:
        """Read [start, stop), or as much of it as there is when the size is not known yet."""

        def take(
            response: http.client.HTTPResponse,
        ) -> tuple[bytearray, Mapping[str, str]] | Reply:
            headers = {name.lower(): value for name, value in response.getheaders()}
            if response.status not in (200, 206):
                reply = _reply(response)
                nothing = _EMPTY.fullmatch(headers.get("content-range", ""))
                if reply.status != 416 or not nothing or self._size:
                    return reply
                self._size = 0
                return bytearray(), headers
            return self._take(response, headers, start, stop), headers

        asked = {"Range": f"bytes={start}-{stop - 1}"}
        if self._etag and not self._etag.startswith("W/"):
            asked["If-Match"] = self._etag
        return self._get(asked, take, stop - start)

    def _get(
        self,
        asked: Mapping[str, str],
        take: Callable[[http.client.HTTPResponse], T | Reply],
        size: int,
    ) -> T:
        """Ask with the best credentials there are."""
        renewed = False
        while True:
            answer = self._follow(asked, take, size)
            if not isinstance(answer, Reply):
                return answer
            if not renewed and self._at != self._url and 400 <= answer.status < 500:
                self._at, renewed = self._url, True  # an address that was lent has expired
            elif not renewed and self._signer.renew(answer):
                self._url = self._at = self._signer.address(self._named)
                renewed = True
            else:
                raise refusal(answer, self.shown, hint=self._signer.hint)

    def _follow(
        self,
        asked: Mapping[str, str],
        take: Callable[[http.client.HTTPResponse], T | Reply],
        size: int,
    ) -> T | Reply:
        """Ask where redirects lead."""
        for _ in range(_HOPS + 1):
            headers = {"Accept-Encoding": "identity", **asked}
            if origin(self._at) == origin(self._url):  # nobody else sees our keys
                headers |= self._signer.headers(self._at)
            answer = self._wire.get(self._at, headers, take, size)
            if not isinstance(answer, Reply) or answer.status not in _MOVED:
                return answer
            to = answer.headers.get("location")
            if not to:
                return answer
            self._go(urljoin(self._at, to))
        self._at = self._url
        raise PassingError(f"more than {_HOPS} redirects")

    def _go(self, to: str) -> None:
        scheme = origin(to)[0]
        if scheme not in ("http", "https"):
            raise PassingError(f"a redirect to {redact(to)}, which is not the web")
        if scheme == "http" and origin(self._url)[0] == "https":
            raise CredentialsError(
                "a redirect from https:// to http://",
                why=f"it leads to {redact(to)}",
                where=self.shown,
                hint="name the http:// address yourself if it is meant to be read in the clear",
            )
        self._at = to

    def _take(
        self,
        response: http.client.HTTPResponse,
        headers: Mapping[str, str],
        start: int,
        stop: int,
    ) -> bytearray:
        first, last, size = self._covered(response, headers, start, stop)
        if headers.get("content-encoding", "identity") != "identity":
            raise PassingError(f"the bytes came {headers['content-encoding']}-encoded")
        if self._size is not None and size != self._size:
            raise changed(self.shown, f"it had {self._size} bytes and has {size} now")
        etag = headers.get("etag")
        if self._etag is not None and etag is not None and etag != self._etag:
            raise changed(self.shown, "its ETag is another one")
        length = headers.get("content-length")
        if length is not None and length != str(last - first):
            raise PassingError(f"{length} bytes announced instead of {last - first}")
        data = bytearray(last - first)
        got = self._wire.fill(response, memoryview(data))
        if got < len(data):
            raise PassingError(f"the connection ended after {got} of {len(data)} bytes")
        if response.read(1):
            raise PassingError(f"more bytes came than the {len(data)} asked for")
        self._size, self._etag = size, self._etag or etag
        return data

    def _covered(
        self,
        response: http.client.HTTPResponse,
        headers: Mapping[str, str],
        start: int,
        stop: int,
    ) -> tuple[int, int, int]:
        """Return [first, last) of the bytes to come, and the size of the file."""
        if response.status == 206:
            told = headers.get("content-range", "")
            found = _CONTENT_RANGE.fullmatch(told)
            if found is None:
                raise PassingError(f"206 with the Content-Range {told!r}")
            first, end, size = (int(number) for number in found.groups())
            if (first, end + 1) != (start, min(stop, size)):
                wanted = f"{start}-{min(stop, size) - 1}"
                raise PassingError(f"bytes {first}-{end} came instead of {wanted}")
            return first, end + 1, size
        length = headers.get("content-length", "")
        if start == 0 and length.isdigit() and int(length) <= stop:
            return 0, int(length), int(length)  # the whole of a small file: no harm
        raise WholeFileError(int(length) if length.isdigit() else 0)


def _reply(response: http.client.HTTPResponse) -> Reply:
    headers = {name.lower(): value for name, value in response.getheaders()}
    body = response.read(_TOLD_BYTES).decode(errors="replace")
    return Reply(response.status, response.reason, headers, body)


def checksums(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the checksums of the whole file that a store gives with any part of it.

    S3's ETag is the MD5 of objects that came in one piece and are not encrypted with a key of
    its own (AWS, "Checking object integrity"); Google gives `x-goog-hash`. Whoever uploads may
    leave another as metadata, as `samples upload` does.
    """
    import base64

    found = []
    etag = headers.get("etag", "").strip('"')
    kms = headers.get("x-amz-server-side-encryption", "AES256") != "AES256"
    s3 = any(name.startswith("x-amz-") for name in headers)
    if s3 and not kms and re.fullmatch(r"[0-9a-f]{32}", etag):
        found.append(f"md5:{etag}")
    left = headers.get("x-amz-meta-adler32") or headers.get("x-goog-meta-adler32") or ""
    if re.fullmatch(r"[0-9a-f]{8}", left):
        found.append(f"adler32:{left}")
    for part in headers.get("x-goog-hash", "").split(","):
        kind, _, value = part.strip().partition("=")
        if kind in ("md5", "crc32c") and value:
            found.append(f"{kind}:{base64.b64decode(value).hex()}")
    return tuple(found)
