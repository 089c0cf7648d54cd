"""Files on XRootD servers (root://), by vector reads of the XRootD client.

Who we are it finds itself: an X.509 proxy (X509_USER_PROXY), a bearer token (WLCG discovery).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from higgsdemo.errors import CredentialsError, InputError, TaskError
from higgsdemo.storage.access import Access
from higgsdemo.storage.extras import optional
from higgsdemo.storage.patience import PassingError, Rate
from higgsdemo.storage.ranges import coalesce, pieces
from higgsdemo.storage.remote import Head, Raw
from higgsdemo.storage.source import Range
from higgsdemo.storage.tokens import bearer_token, jwt_expiry, proxy_expiry, proxy_path
from higgsdemo.storage.urls import redact

# A server's own limits to a vector read: XRootD protocol 5.2, kXR_readv (configurable; these are
# what every server has): parts in it, bytes of a part.
PARTS = 1024
PART_BYTES = 2 * 1024 * 1024 - 16
REQUEST_BYTES = 8 * 1024 * 1024
_GAP = 512  # closer than this, one part is cheaper than two

# XProtocol.hh: what a server says.
_NOT_FOUND, _IS_DIRECTORY, _ARGUMENT_INVALID, _NO_SUCH_CHECKSUM = 3011, 3016, 3000, 3013
_NOT_AUTHORISED, _AUTHENTICATION_FAILED, _TLS_REQUIRED = 3010, 3030, 3028
# XrdClStatus.hh: what the client found out by itself.
_ERROR_RESPONSE = 400
_LOCKED_OUT = {109: "the TLS connection failed", 204: "not let in", 205: "not let in"}
_UNREACHABLE = {102, 103, 108, 110}
_LOGIN_FAILED = 203


class XrootdFile:
    """One file on an XRootD server. Raises as `remote.Remote` says."""

    def __init__(self, url: str, access: Access, rate: Rate | None) -> None:
        self.shown = redact(url)
        self._url = url
        self._access = access
        self._rate = rate
        self._client = _client(access, self.shown)
        self._file: Any = None
        self._size = 0

    def open(self, count: int) -> Head:  # noqa: ARG002 (a read would cost a request)
        """Open the file and ask for its size."""
        if token := self._access.secret("bearer-token"):  # where the client does not look
            os.environ["BEARER_TOKEN"] = token
        file = self._client.File()
        timeout = self._timeout
        status, _ = file.open(self._url, self._client.flags.OpenFlags.READ, timeout=timeout)
        self._check(status, "cannot read the input")
        status, stat = file.stat(timeout=timeout)
        self._check(status, "cannot read the input")
        self._file, self._size = file, int(stat.size)
        return Head(self._size, tag=f"{stat.modtime}")

    def checksum(self) -> str | None:
        """Return the checksum that the server has, `adler32:...` as a rule; None if it has none."""
        at = self._client.URL(self._url)
        system = self._client.FileSystem(f"{at.protocol}://{at.hostid}")
        code = self._client.flags.QueryCode.CHECKSUM
        status, answer = system.query(code, at.path, timeout=self._timeout)
        kind, _, value = (answer or b"").rstrip(b"\0").decode(errors="replace").partition(" ")
        return f"{kind}:{value}" if status.ok and value else None

    def plan(self, ranges: Sequence[Range]) -> list[list[Range]]:
        """Group ranges into vector reads: many parts, hardly a byte that nobody needs."""
        requests: list[list[Range]] = []
        size = 0
        for start, stop, _ in coalesce(ranges, _GAP, PART_BYTES):
            for part in pieces(start, stop, PART_BYTES):
                length = part[1] - part[0]
                if not requests or len(requests[-1]) == PARTS or size + length > REQUEST_BYTES:
                    requests.append([])
                    size = 0
                requests[-1].append(part)
                size += length
        return requests

    def fetch(self, parts: Sequence[Range]) -> list[Raw]:
        """Make one read, a vector read if it has several parts."""
        if self._rate:
            self._rate.take(sum(stop - start for start, stop in parts))
        lengths = [stop - start for start, stop in parts]
        if len(parts) == 1:
            status, data = self._file.read(parts[0][0], lengths[0], timeout=self._timeout)
            self._check(status, "reading the input failed")
            found: list[Raw] = [data]
        else:
            chunks = list(zip((start for start, _ in parts), lengths, strict=True))
            status, answer = self._file.vector_read(chunks, timeout=self._timeout)
            self._check(status, "reading the input failed")
            found = [chunk.buffer for chunk in answer]
        if [len(data) for data in found] != lengths:
            raise PassingError(f"{sum(map(len, found))} bytes came instead of {sum(lengths)}")
        return found

    @property
    def _timeout(self) -> int:
        return max(1, round(self._access.stall_s))

    def _check(self, status: Any, what: str) -> None:
        if not status.ok:
            raise self._failure(status, what)

    def _failure(self, status: Any, what: str) -> TaskError | PassingError:
        said = self._access.scrub(" ".join(str(status.message).split()))
        code = status.errno if status.code == _ERROR_RESPONSE else 0
        if code in (_NOT_FOUND, _IS_DIRECTORY, _ARGUMENT_INVALID):
            kind = "a folder, not a file" if code == _IS_DIRECTORY else "no such file"
            return InputError(
                f"{what}: {kind}", why=said, where=self.shown, hint="check its name and server"
            )
        if code in (_NOT_AUTHORISED, _AUTHENTICATION_FAILED, _TLS_REQUIRED):
            return self._refused("no permission to read it", said)
        if status.code in _LOCKED_OUT:
            return self._refused(_LOCKED_OUT[status.code], said)
        if status.code in _UNREACHABLE:
            after = f"within {_environment(self._access)['ConnectionWindow']} s"
            return PassingError(f"cannot reach the server {after}: {said}", tries=2)
        if status.code == _LOGIN_FAILED:  # as a rule: it asks for TLS, and we have none
            said += (
                "; if the server asks for TLS, the folder X509_CERT_DIR must have the authority of"
                " its certificate, and the file X509_USER_PROXY, if set, be there"
            )
        return PassingError(said)

    def _refused(self, what: str, said: str) -> CredentialsError:
        return CredentialsError(
            what,
            why="; ".join([said, *_ended(self._access)]),
            where=self.shown,
            hint="get a proxy (voms-proxy-init) or a token (BEARER_TOKEN_FILE), then resume",
        )


def _ended(access: Access) -> list[str]:
    """Say what is the matter with our proxy and token: the client only says that none would do."""
    said = []
    proxy, now = proxy_path(access), datetime.now(UTC)
    try:
        ends = proxy_expiry(proxy)
        if ends is None:
            said.append(f"there is no proxy at {proxy}")
        elif ends < now:
            said.append(f"the proxy {proxy} ended at {ends:%Y-%m-%d %H:%M:%S} UTC")
        kept = access.get("BEARER_TOKEN_FILE")
        if kept and Path(kept).exists() and Path(kept).stat().st_mode & 0o077:
            said.append(f"the client takes no token that others may read: chmod 600 {kept}")
        token = bearer_token(access)
        ends = jwt_expiry(token) if token else None
        if ends is not None and ends < now:
            said.append(f"the token ended at {ends:%Y-%m-%d %H:%M:%S} UTC")
    except CredentialsError as error:
        said.append(f"{error.what}: {error.where}")
    return said


def _environment(access: Access) -> dict[str, int]:
    """Return the client's time-outs, s: it would wait for hours by itself."""
    return {
        "ConnectionWindow": max(1, round(access.connect_s)),
        "ConnectionRetry": 1,
        "RequestTimeout": max(1, round(access.stall_s)),
        "StreamTimeout": max(1, round(access.stall_s)),
        "TimeoutResolution": 1,
    }


def _client(access: Access, where: str) -> Any:
    client = optional("XRootD.client", "xrootd", where)
    for name, value in _environment(access).items():
        if f"XRD_{name.upper()}" not in os.environ:  # what the user set stays
            client.EnvPutInt(name, value)
    return client
