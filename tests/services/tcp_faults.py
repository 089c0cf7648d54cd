"""A relay in front of any server whose connections go wrong: for root:// and redis://.

    with tcp_faults(xrootd.port) as relay:
        relay.script(Break(after=100_000), None)

The first connection is reset after the server's first 100,000 bytes, the second goes well.
"""

import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tests.services.process import LOOPBACK

BLOCK = 64 * 1024


@dataclass(frozen=True)
class Break:
    """After so many bytes from the server: a pause, then the end or, with `go_on`, the rest."""

    after: int = 0
    seconds: float = 0
    reset: bool = True  # RST; otherwise the connection is closed in good order
    go_on: bool = False


@dataclass
class Connection:
    """One line of the relay's log."""

    number: int
    to_client: int = 0  # bytes
    fault: Break | None = None


class Relay:
    """A running relay to a port of this machine; it runs in threads of this process."""

    def __init__(self, port: int, host: str = LOOPBACK) -> None:
        self.upstream = port
        self.host = host
        self.log: list[Connection] = []
        self._listener = socket.create_server((host, 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._faults: list[Break | None] = []
        self._then: Break | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._clients: dict[socket.socket, threading.Thread] = {}
        self._threads: list[threading.Thread] = []

    def script(self, *faults: Break | None, then: Break | None = None) -> None:
        """Say how the next connections go, one by one; `then`, all later ones."""
        with self._lock:
            self._faults, self._then = list(faults), then

    def break_all(self) -> None:
        """Reset every connection that is open now; one in a pause, when the pause is over."""
        with self._lock:
            broken = dict(self._clients)
            for client in broken:
                with suppress(OSError):  # it was quicker
                    _reset_when_closed(client)
                    client.shutdown(socket.SHUT_RD)  # wakes its thread
        for thread in broken.values():
            thread.join(1)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed: the end
                return
            with self._lock:
                fault = self._faults.pop(0) if self._faults else self._then
                entry = Connection(len(self.log), fault=fault)
                self.log.append(entry)
                thread = threading.Thread(target=self._relay, args=(client, entry), daemon=True)
                self._clients[client] = thread
                self._threads.append(thread)
                thread.start()

    def _relay(self, client: socket.socket, entry: Connection) -> None:
        # One thread for both directions: closing sends RST only when no other one reads.
        try:
            with (
                client,
                suppress(OSError),  # either end is gone: so is the connection
                socket.create_connection((LOOPBACK, self.upstream), timeout=10) as server,
            ):
                server.settimeout(None)
                self._copy(client, server, entry)
        finally:
            with self._lock:
                self._clients.pop(client, None)

    def _copy(self, client: socket.socket, server: socket.socket, entry: Connection) -> None:
        fault = entry.fault
        while True:
            left = BLOCK if fault is None else min(BLOCK, fault.after - entry.to_client)
            if fault is not None and left == 0:
                self._closing.wait(fault.seconds)
                if not fault.go_on:
                    if fault.reset:
                        _reset_when_closed(client)
                    return
                fault, left = None, BLOCK
            readable, _, _ = select.select([client, server], [], [])
            if client in readable:
                data = client.recv(BLOCK)
                if not data:
                    return
                server.sendall(data)
            if server in readable:
                data = server.recv(left)
                if not data:
                    return
                entry.to_client += len(data)
                client.sendall(data)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Relay until the block ends."""
        accepting = threading.Thread(target=self._accept, daemon=True)
        accepting.start()
        try:
            yield
        finally:
            self._closing.set()
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
            accepting.join()
            self._listener.close()
            self.break_all()
            for thread in self._threads:
                thread.join()


def _reset_when_closed(end: socket.socket) -> None:
    # Who closes a socket that lingers for 0 s sends RST.
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def tcp_faults(port: int, *, host: str = LOOPBACK) -> Iterator[Relay]:
    """Relay to a port of this machine, with faults; `host` is where the relay listens."""
    relay = Relay(port, host)
    with relay.serving():
        yield relay
