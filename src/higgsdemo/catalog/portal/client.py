"""Asking the portal over HTTP: with time limits, patience when it is busy, and clear errors.

cernopendata-client 1.0 asks without a time limit and ends the program on an error, so the
transport is here; what an answer means is left to it (`higgsdemo.catalog.portal.record`).
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from urllib.parse import urlsplit

import tenacity

import higgsdemo
from higgsdemo.catalog.portal.record import PortalBusyError, PortalError, Record, read_record
from higgsdemo.errors import UsageError

SERVER = "https://opendata.cern.ch"
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_BLOCK = 1 << 16
_LARGEST = 1 << 28  # bytes of an answer; the largest known records are a few MB
_LONGEST_WAIT_S = 60.0
_PATIENCE = 10  # an answer may take this many times the time-out in all


@dataclass(frozen=True, slots=True)
class Portal:
    """The portal at `server`.

    `timeout_s` is how long it may say nothing. When it is busy or away it is asked `attempts`
    times, with random waits that grow from `backoff_s`, and as long as it asks for itself
    (Retry-After, up to a minute).
    """

    server: str = SERVER
    timeout_s: float = 30.0
    attempts: int = 4
    backoff_s: float = 1.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.server)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                f"not the address of a portal: {self.server!r}",
                hint=f"it begins with https:// or http://, for example {SERVER}",
            )
        object.__setattr__(self, "server", self.server.rstrip("/"))

    def record(self, number: int) -> Record:
        """Return record `number`, with its ROOT files.

        Raises PortalBusyError where the portal cannot be reached, PortalError where it has no
        such record or answers in a form that is not known, UsageError where
        cernopendata-client is not installed.
        """
        url = f"{self.server}/api/records/{number}"
        patient = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(PortalBusyError),
            stop=tenacity.stop_after_attempt(self.attempts),
            wait=self._wait,
            reraise=True,
        )
        return read_record(number, self.server, patient(self._json, url, number))

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after_s if isinstance(error, PortalBusyError) else 0.0
        # Random, so that many clients that were refused together do not come back together.
        jitter = tenacity.wait_random_exponential(multiplier=self.backoff_s, max=_LONGEST_WAIT_S)
        return min(asked, _LONGEST_WAIT_S) + jitter(state)

    def _json(self, url: str, number: int) -> object:
        body = self._get(url, number)
        try:
            document: object = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise self._busy(
                f"its answer of {len(body)} bytes is not JSON: {error}", url
            ) from error
        return document

    def _get(self, url: str, number: int) -> bytes:
        request = urllib.request.Request(
            url,
            headers={
                "Accept": "application/json",
                "User-Agent": f"higgsdemo/{higgsdemo.__version__}",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:
                return self._body(answer, url)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error, url, number) from error
        except urllib.error.URLError as error:
            raise self._unreachable(error.reason, url) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error, url) from error

    def _body(self, answer: http.client.HTTPResponse, url: str) -> bytes:
        until = time.monotonic() + _PATIENCE * self.timeout_s
        blocks: list[bytes] = []
        size = 0
        while block := answer.read(_BLOCK):
            blocks.append(block)
            size += len(block)
            if size > _LARGEST:
                raise PortalError("the portal's answer is too long", why=f"{size} bytes", where=url)
            if time.monotonic() > until:
                said = f"{size} bytes came in {_PATIENCE * self.timeout_s:g} s"
                raise self._busy(f"its answer does not end: {said}", url)
        # `read` with a size takes a connection that closes early for the end.
        if answer.length:
            raise self._busy(f"its answer ends {answer.length} bytes too early", url)
        return b"".join(blocks)

    def _refusal(self, error: urllib.error.HTTPError, url: str, number: int) -> PortalError:
        if error.code in (404, 410):
            return PortalError(
                f"the portal has no record {number}",
                why=f"it answers {error.code} {error.reason}",
                where=url,
                hint=f"look it up on {self.server}",
            )
        if error.code not in _BUSY:
            return PortalError(
                "the portal refuses", why=f"it answers {error.code} {error.reason}", where=url
            )
        busy = self._busy(f"it answers {error.code} {error.reason}", url)
        asked = error.headers.get("Retry-After", "")
        busy.retry_after_s = float(asked) if asked.isdecimal() else 0.0
        return busy

    def _unreachable(self, reason: object, url: str) -> PortalError:
        if isinstance(reason, ssl.SSLCertVerificationError):
            return PortalError(
                "the portal's certificate is not accepted",
                why=reason.verify_message,
                where=url,
                hint="name the file of your certificate authorities in SSL_CERT_FILE",
            )
        if isinstance(reason, TimeoutError):
            return self._busy(f"timed out: nothing came for {self.timeout_s:g} s", url)
        if isinstance(reason, socket.gaierror):
            return self._busy(f"the host's name is not known: {reason.strerror}", url)
        said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        return self._busy(said, url)

    def _busy(self, why: str, url: str) -> PortalBusyError:
        asked = f"; asked {self.attempts} times" if self.attempts > 1 else ""
        return PortalBusyError(
            "the CERN Open Data portal cannot be reached, or is too busy",
            why=f"{why}{asked}",
            where=url,
            hint="try again later; what was fetched before is used from the cache",
        )
