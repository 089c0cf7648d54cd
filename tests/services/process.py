"""A server's process: started on free ports, ready, stopped, and never left behind.

The kernel kills the server when the thread that started it ends (`setpriv --pdeathsig`), so a
test that is killed leaves nothing. Servers are therefore started from one thread that lives as
long as this process does, whichever thread asks.
"""

import os
import random
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.client import HTTPException
from pathlib import Path

from tests.services.programs import program

LOOPBACK = "127.0.0.1"
PORT_TRIES = 5
TAIL_BYTES = 6000

_starter = ThreadPoolExecutor(1, thread_name_prefix="starts servers")

# Between the start and the signal's setting the parent may have died: then do not start at all.
_IF_PARENT_LIVES = 'expected=$1; shift; [ "$PPID" = "$expected" ] && exec "$@"'
_TAKEN = re.compile(
    r"address already in use|could not bind|port .* is not available", re.IGNORECASE
)


class StartError(Exception):
    """A server ended, or was not ready in time; the message has the end of its log."""


class PortTakenError(StartError):
    """Another process took a port between our choice and the server's start."""


class Server:
    """One running server process, the leader of its own process group."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        """The server's process id (not that of a wrapper)."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def said(self) -> str:
        """Return the end of its log."""
        if not self.log.exists():
            return ""
        return self.log.read_bytes()[-TAIL_BYTES:].decode(errors="replace")

    def kill(self) -> None:
        """End it and its children at once, with SIGKILL, and wait for it."""
        if self.alive():
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


def is_free(port: int) -> bool:
    """Whether a server may listen at a port of the loopback address."""
    with socket.socket() as probe:
        # Connections that have ended do not count, as they do not for servers.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports(count: int, *, offset: int = 0) -> list[int]:
    """Return ports nobody listens at, nor at `port + offset`.

    They are outside the range the kernel gives to clients: inside it, a client's connection may
    take the port before the server does.
    """
    lowest_of_clients = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    candidates = range(10_000, lowest_of_clients - offset)
    chosen: dict[int, None] = {}  # ports and their offsets, in order
    for port in random.SystemRandom().sample(candidates, k=len(candidates)):
        pair = {port: None, port + offset: None}
        if not pair.keys() & chosen.keys() and all(map(is_free, pair)):
            chosen |= pair
            count -= 1
        if count == 0:
            return list(chosen)[:: 2 if offset else 1]
    raise StartError(f"not enough free ports below {lowest_of_clients}")


def spawn(
    name: str,
    command: Sequence[str | Path],
    log: Path,
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    privileges: Sequence[str] = (),
) -> Server:
    """Start a process that ends with this one; `privileges` are options of `setpriv`."""
    whole = [program("setpriv"), *privileges, "--pdeathsig", "KILL", "--"]
    whole += ["/bin/sh", "-c", _IF_PARENT_LIVES, "sh", str(os.getpid()), *map(str, command)]

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                whole,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the tests, not for their servers
            )

    return Server(name, _starter.submit(start).result(), log)


def wait_until_ready(server: Server, ready: Callable[[], bool], seconds: float) -> None:
    """Wait for `ready()`; it may raise what a client raises before a server answers."""
    deadline = time.monotonic() + seconds
    pause = 0.015
    why = "it said no"
    while True:
        # First: who cannot have its port ends at once, and whoever has it may not answer us.
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)
        if not server.alive():
            said = server.said()
            kind = PortTakenError if _TAKEN.search(said) else StartError
            raise kind(f"{server.name} ended before it was ready:\n{said}")
        try:
            if ready():
                break
        except (OSError, HTTPException) as error:
            why = repr(error)
        if time.monotonic() > deadline:
            raise StartError(
                f"{server.name} was not ready after {seconds:g} s ({why}):\n{server.said()}"
            )
    # What answered may be somebody else's, on the port ours could not have.
    if not server.alive():
        raise PortTakenError(f"{server.name} ended, another server answers:\n{server.said()}")


@contextmanager
def started(
    start: Callable[[list[int]], Server],
    ready: Callable[[Server, list[int]], bool],
    *,
    ports: int = 1,
    offset: int = 0,
    seconds: float = 30,
) -> Iterator[tuple[Server, list[int]]]:
    """Start a server on free ports, wait until it is ready, and kill it afterwards.

    A server that also takes a port a fixed offset higher says so (see `free_ports`). `start` is
    called again, with other ports, where another process was quicker.
    """
    for attempt in range(PORT_TRIES):
        chosen = free_ports(ports, offset=offset)
        server = start(chosen)
        try:
            try:
                wait_until_ready(server, partial(ready, server, chosen), seconds)
            except PortTakenError:
                if attempt == PORT_TRIES - 1:
                    raise
                continue
            yield server, chosen
            return
        finally:
            server.kill()
