"""Requests to an API server: counted, bounded in time, repeated where that may help."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import tenacity
from urllib3 import BaseHTTPResponse, Timeout
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationParseError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

import higgsdemo
from higgsdemo.clusters.contexts import load_login
from higgsdemo.clusters.refusals import RETRIED, refusal
from higgsdemo.errors import CredentialsError, TransientError, UsageError

Value = TypeVar("Value")
_LONGEST_ANSWER = 1 << 30  # bytes; no page of a list comes near it


@dataclass(frozen=True)
class Patience:
    """How long a request is tried, s.

    A connection may take `connect_s`, silence of the server `silence_s`. Pauses double from
    `first_s` to `longest_s`, half of each random; a `Retry-After` of the server is kept. No try
    begins after `total_s`.
    """

    total_s: float = 60.0  # a control plane restarts, or its leader changes, in less
    first_s: float = 0.2
    longest_s: float = 10.0
    connect_s: float = 10.0
    silence_s: float = 30.0

    @classmethod
    def of(cls, total_s: float) -> Patience:
        """Return a patience that ends after about `total_s`, s, even with a silent server."""
        return cls(
            total_s=total_s,
            connect_s=min(cls.connect_s, total_s),
            silence_s=min(cls.silence_s, total_s),
        )


@dataclass
class Traffic:
    """What went over the wire: requests (each try), bytes of bodies as sent and received."""

    requests: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def sent(self, count: int) -> None:
        """Count a request with a body of `count` bytes."""
        with self._lock:
            self.requests += 1
            self.sent_bytes += count

    def received(self, count: int) -> None:
        """Count `count` bytes of an answer."""
        with self._lock:
            self.received_bytes += count


class PassingError(Exception):
    """A request failed in a way that may pass. It never leaves this room."""

    def __init__(self, why: str, retry_after: float = 0.0) -> None:
        super().__init__(why)
        self.why = why
        self.retry_after = retry_after


class Wire:
    """The way to one API server. May be used by several threads."""

    def __init__(self, context: str, kubeconfig: Path | None, patience: Patience) -> None:
        self.context = context
        self.patience = patience
        self.traffic = Traffic()
        self._kubeconfig = kubeconfig
        self._lock = threading.Lock()
        self._sign_in()

    def _sign_in(self) -> None:
        from kubernetes.client.rest import RESTClientObject

        login = load_login(self.context, self._kubeconfig)
        login.connection_pool_maxsize = 8  # what submitting uses at once
        try:
            pool = RESTClientObject(login).pool_manager
        except (OSError, ValueError, HTTPError) as error:
            raise UsageError(
                f"context {self.context!r} cannot be used", why=str(error), where=str(login.host)
            ) from error
        self._login, self._pool = login, pool
        self.server = str(login.host).rstrip("/")

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def request(
        self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> bytes:
        """Return the body of a successful answer, decoded.

        `target` is path and query. Raises TransientError when patience is at its end,
        CredentialsError for 401 and denied permissions, ClusterApiError for other refusals.
        """

        def attempt() -> bytes:
            with self._ask(method, target, body, headers or {}, self.patience.silence_s) as answer:
                try:
                    content = answer.read(_LONGEST_ANSWER)
                except (HTTPError, OSError) as error:
                    raise PassingError(f"the answer broke off: {_why(error)}") from error
                finally:
                    self.traffic.received(answer.tell())
                return content

        return self._patiently(attempt, method, target)

    def stream(self, target: str, headers: Mapping[str, str], silence_s: float) -> BaseHTTPResponse:
        """Return the open answer of a watch; the caller reads, counts and closes it."""
        return self._patiently(
            lambda: self._ask("GET", target, b"", headers, silence_s), "GET", target
        )

    def _ask(
        self, method: str, target: str, body: bytes, headers: Mapping[str, str], silence_s: float
    ) -> BaseHTTPResponse:
        """Send one request, and once more with new credentials after a 401."""
        answer = self._send(method, target, body, headers, silence_s)
        if answer.status == 401:
            self._drain(answer)
            with self._lock:  # a token file was renewed, an exec plugin's token has expired
                self._sign_in()
            answer = self._send(method, target, body, headers, silence_s)
        if answer.status < 300:
            return answer
        content = self._drain(answer)
        if answer.status in RETRIED:
            words = str(refusal(method, target, answer.status, content, cluster=self.context).why)
            raise PassingError(words, _seconds(answer.headers.get("Retry-After")))
        raise refusal(method, target, answer.status, content, cluster=self.context)

    def _send(
        self, method: str, target: str, body: bytes, headers: Mapping[str, str], silence_s: float
    ) -> BaseHTTPResponse:
        with self._lock:
            token = self._login.get_api_key_with_prefix("BearerToken")
            pool = self._pool
        sent = {"User-Agent": f"higgsdemo/{higgsdemo.__version__}", **headers}
        if token:
            sent["Authorization"] = token
        self.traffic.sent(len(body))
        try:
            answer: BaseHTTPResponse = pool.request(
                method,
                self.server + target,
                body=body or None,
                headers=sent,
                preload_content=False,
                retries=False,
                redirect=False,
                timeout=Timeout(connect=self.patience.connect_s, read=silence_s),
            )
        except SSLError as error:
            raise CredentialsError(
                f"no trust between us and cluster {self.context!r}",
                why=_why(error),
                where=self.server,
                hint="look at certificate-authority and client-certificate in the kubeconfig",
            ) from error
        except LocationParseError as error:
            raise UsageError("not the address of a server", where=self.server) from error
        except NewConnectionError as error:  # to urllib3 it is a kind of time-out
            raise PassingError(_why(error)) from error
        except ConnectTimeoutError as error:
            why = f"no connection within {self.patience.connect_s:g} s"
            raise PassingError(why) from error
        except ReadTimeoutError as error:
            raise PassingError(f"no answer within {silence_s:g} s") from error
        except (HTTPError, OSError) as error:
            raise PassingError(_why(error)) from error
        return answer

    def _drain(self, answer: BaseHTTPResponse) -> bytes:
        try:
            return answer.read(1 << 20)
        except (HTTPError, OSError):
            return b""
        finally:
            self.traffic.received(answer.tell())
            answer.close()

    def _patiently(self, attempt: Callable[[], Value], method: str, target: str) -> Value:
        patience = self.patience

        def pause(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            wait = min(patience.first_s * 2.0 ** min(state.attempt_number - 1, 16),
                       patience.longest_s)  # fmt: skip
            asked = error.retry_after if isinstance(error, PassingError) else 0.0
            # Everybody was asked to come back then: not all in the same instant.
            return max(wait * random.uniform(0.5, 1), asked * random.uniform(1, 1.1))

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(PassingError),
            wait=pause,
            stop=tenacity.stop_before_delay(patience.total_s),
            reraise=True,
        )
        try:
            return retrying(attempt)
        except PassingError as error:
            tries = retrying.statistics["attempt_number"]
            raise TransientError(
                f"cluster {self.context!r} cannot be reached",
                why=f"{error.why} ({tries} {'try' if tries == 1 else 'tries'} in "
                f"{patience.total_s:g} s)",
                where=f"{self.server}, {method} {target}",
            ) from error


def _seconds(text: str | None) -> float:
    """Return a Retry-After; API servers send seconds."""
    try:
        return max(0.0, float(text or 0))
    except ValueError:
        return 0.0


def _why(error: BaseException) -> str:
    """Return what a network error says, without the objects urllib3 puts into it."""
    inner: BaseException = error
    while isinstance(inner, HTTPError):
        below = getattr(inner, "reason", None)
        if not isinstance(below, BaseException):
            below = next((each for each in inner.args if isinstance(each, BaseException)), None)
        if below is None:
            below = inner.__cause__
        if below is None or below is inner:
            break
        inner = below
    return getattr(inner, "strerror", None) or str(inner) or type(inner).__name__
