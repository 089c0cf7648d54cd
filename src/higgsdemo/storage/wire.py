"""HTTP connections: few, reused, watched for stalls, within a limit of bytes per second.

The standard library's client under threads of ours. Measured against obstore on SeaweedFS
(recipes, 256 MB in 8 MB ranges; 400 ranges of 100 kB): 0.8x its wall time and 0.7x its CPU time;
and a status, `Retry-After`, a wrong `Content-Range` and a silent connection are all visible here.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit

import higgsdemo
from higgsdemo.errors import CredentialsError, UsageError
from higgsdemo.storage.access import Access
from higgsdemo.storage.hung import within
from higgsdemo.storage.patience import PassingError, Rate
from higgsdemo.storage.urls import origin, redact

T = TypeVar("T")
BLOCK_BYTES = 1024 * 1024
SLOWEST = 10e3  # bytes a second: a transfer that is slower than this in all is given up
CONNECT_TRIES = 3  # a host that cannot be reached is given up earlier than one that is busy
_GRID_AUTHORITIES = "/etc/grid-security/certificates"


class _IdleClosedError(Exception):
    """The server had closed a connection that we kept."""


class Wire:
    """All HTTP of a process with one `Access`; used by many threads."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.pool = ThreadPoolExecutor(access.connections, thread_name_prefix="storage")
        self._slots = threading.BoundedSemaphore(access.connections)
        self._idle: dict[tuple[str, str], list[http.client.HTTPConnection]] = {}
        self._lock = threading.Lock()
        self._started = False
        limit = access.download_bytes_per_second
        self.rate = Rate(limit) if limit else None

    def get(
        self,
        url: str,
        headers: Mapping[str, str],
        take: Callable[[http.client.HTTPResponse], T],
        size: int = 0,
    ) -> T:
        """Send a GET and return what `take` makes of the answer, whatever its status.

        `size` is how many bytes are asked for, about. Raises PassingError where the connection
        fails or is hopelessly slow, CredentialsError where the host cannot be trusted. A
        connection of which `take` did not read everything is not used again.
        """
        self._stagger()
        with self._slots:
            while True:
                connection, fresh = self._connection(url)
                with within(self._longest(size), partial(_shut, connection.sock)) as limit:
                    try:
                        return self._once(connection, url, headers, take, fresh)
                    except _IdleClosedError:
                        continue
                    except PassingError as error:
                        if not limit.over:
                            raise
                        why = f"{size} bytes did not come in {limit.seconds:.0f} s"
                        raise PassingError(why) from error

    def _once(
        self,
        connection: http.client.HTTPConnection,
        url: str,
        headers: Mapping[str, str],
        take: Callable[[http.client.HTTPResponse], T],
        fresh: bool,
    ) -> T:
        """Ask over one connection, and keep it if nothing is left in it."""
        try:
            response = self._ask(connection, url, headers)
        except (http.client.RemoteDisconnected, ConnectionError, BrokenPipeError) as error:
            connection.close()
            if fresh:
                raise PassingError(f"the connection broke: {_said(error)}") from error
            # It was idle, and the server closed it meanwhile: that is no failure.
            raise _IdleClosedError from error
        except (TimeoutError, OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._passing(error) from error
        try:
            taken = take(response)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._passing(error) from error
        except BaseException:
            connection.close()
            raise
        if response.isclosed() and not response.will_close:
            with self._lock:
                self._idle.setdefault(origin(url), []).append(connection)
        else:
            connection.close()
        return taken

    def fill(self, response: http.client.HTTPResponse, view: memoryview) -> int:
        """Read the body into `view` until it is full or the body ends; return how many came."""
        step = min(BLOCK_BYTES, self.rate.step) if self.rate else BLOCK_BYTES
        at = 0
        while at < len(view):
            count = response.readinto(view[at : at + step])
            if not count:
                break
            at += count
            if self.rate:
                self.rate.take(count)
        return at

    def close(self) -> None:
        """Close idle connections and end the threads."""
        self.pool.shutdown(cancel_futures=True)
        with self._lock:
            for connections in self._idle.values():
                for connection in connections:
                    connection.close()
            self._idle.clear()

    def _longest(self, size: int) -> float:
        """Return how long an answer of so many bytes may take, s."""
        limit = self.access.download_bytes_per_second
        share = SLOWEST if limit is None else min(SLOWEST, limit / (2 * self.access.connections))
        return 2 * self.access.stall_s + size / share  # a stall is told as one

    def _stagger(self) -> None:
        if self._started or not self.access.stagger_s:
            return
        with self._lock:
            if not self._started:
                self._started = True
                time.sleep(random.uniform(0, self.access.stagger_s))

    def _connection(self, url: str) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            waiting = self._idle.get(origin(url))
            if waiting:
                return waiting.pop(), False
        parts = urlsplit(url)
        host = parts.hostname or ""
        try:
            port = parts.port
        except ValueError:
            raise UsageError("not a URL: its port is not a number", where=redact(url)) from None
        connection = (
            http.client.HTTPSConnection(
                host, port, timeout=self.access.connect_s, context=self._context
            )
            if parts.scheme.lower() == "https"
            else http.client.HTTPConnection(host, port, timeout=self.access.connect_s)
        )
        place = f"{connection.host}:{connection.port}"
        began = time.monotonic()
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            raise CredentialsError(
                f"{place} cannot prove who it is",
                why=error.verify_message,
                where=redact(url),
                hint="name the file of its authority with --storage-ca (HIGGSDEMO_STORAGE_CA)",
            ) from error
        except ssl.SSLError as error:
            if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"):
                raise CredentialsError(
                    f"{place} does not speak TLS, which https:// asks for",
                    why=_said(error),
                    where=redact(url),
                    hint="write http:// if it is meant to be read in the clear",
                ) from error
            raise PassingError(
                f"no TLS with {place}: {_said(error)}", tries=CONNECT_TRIES
            ) from error
        except TimeoutError as error:
            why = f"cannot reach {place}: no answer in {self.access.connect_s:g} s"
            raise PassingError(why, tries=CONNECT_TRIES) from error
        except (OSError, UnicodeError) as error:  # UnicodeError: no possible host name
            after = time.monotonic() - began
            why = f"cannot reach {place}: {_said(error)} after {after:.1f} s"
            raise PassingError(why, tries=CONNECT_TRIES) from error
        connection.sock.settimeout(self.access.stall_s)
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, True

    def _ask(
        self, connection: http.client.HTTPConnection, url: str, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        agent = {"User-Agent": f"higgsdemo/{higgsdemo.__version__}"}
        connection.request("GET", target, headers=agent | dict(headers))
        return connection.getresponse()

    @functools.cached_property
    def _context(self) -> ssl.SSLContext:
        authority = self.access.authority
        try:
            context = ssl.create_default_context(cafile=authority)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                "cannot read the certificates to trust", why=_said(error), where=authority
            ) from error
        if authority is None:  # CERN's and the grid's authorities, which few systems trust
            folder = self.access.get("X509_CERT_DIR") or _GRID_AUTHORITIES
            context.load_verify_locations(capath=folder)
        return context

    def _passing(self, error: Exception) -> PassingError:
        if isinstance(error, TimeoutError):
            return PassingError(f"no byte came for {self.access.stall_s:g} s")
        return PassingError(f"the connection broke: {_said(error)}")


def _shut(connection: socket.socket | None) -> None:
    """End a connection under who reads from it; one with TLS too, without its last words."""
    if connection is not None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _said(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return f"its name is not known ({error.strerror})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower() if not isinstance(error, ssl.SSLError) else error.strerror
    return redact(str(error)) or type(error).__name__


_wires: dict[Access, Wire] = {}
_wires_lock = threading.Lock()


def wire(access: Access) -> Wire:
    """Return the process's wire for these settings; it stays open for the files to come."""
    with _wires_lock:
        if access not in _wires:
            _wires[access] = Wire(access)
        return _wires[access]


def close_all() -> None:
    """Close all connections of this process that no file uses, and end their threads."""
    with _wires_lock:
        while _wires:
            _wires.popitem()[1].close()
