"""What goes over the wire, counted outside of the programs that are measured.

HTTP, S3 and GCS: the log of the tests' own HTTP server, which serves files or passes requests on.
XRootD: a relay that reads the frames of the protocol as they go by.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

HANDSHAKE = 20  # bytes, XRootD protocol 5, "Initial handshake"
FRAME = struct.Struct(">2sH16sI")  # stream id, request, parameters, length of what follows
READ, READV = 3013, 3025


@dataclass
class Count:
    """Requests, and bytes that came back."""

    requests: int = 0
    received: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, requests: int, received: int) -> None:
        with self.lock:
            self.requests += requests
            self.received += received

    def reset(self) -> None:
        with self.lock:
            self.requests = self.received = 0


class _Frames:
    """Counts requests in the bytes of one connection from the client."""

    def __init__(self) -> None:
        self._skip = HANDSHAKE
        self._held = b""

    def feed(self, data: bytes) -> int:
        count = 0
        self._held += data
        while True:
            if self._skip:
                gone = min(self._skip, len(self._held))
                self._held, self._skip = self._held[gone:], self._skip - gone
            if self._skip or len(self._held) < FRAME.size:
                return count
            self._skip = FRAME.unpack_from(self._held)[3]
            self._held = self._held[FRAME.size :]
            count += 1


@contextmanager
def xrootd_relay(endpoint: str) -> Iterator[tuple[str, Count]]:
    """Relay to `endpoint` (root://HOST:PORT); yields the relay's endpoint and what it counts."""
    to = urlsplit(endpoint)
    count = Count()
    ends: list[socket.socket] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket, frames: _Frames | None) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 18):
                count.add(*((frames.feed(data), 0) if frames else (0, len(data))))
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection((to.hostname or "", to.port or 1094))
                ends.extend((client, server))
                for pair in ((client, server, _Frames()), (server, client, None)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"root://127.0.0.1:{listener.getsockname()[1]}", count
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for end in ends:
            end.close()
        thread.join()
