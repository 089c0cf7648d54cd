"""Servers start on free ports, and none outlives the process that started it."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.services import process
from tests.services.fixtures import or_skip
from tests.services.gcs import gcs_server
from tests.services.process import LOOPBACK, PortTakenError, Server, StartError, free_ports
from tests.services.programs import UnavailableError, program
from tests.services.redis import redis_server
from tests.services.s3 import s3_server
from tests.services.xrootd import xrootd_server

ROOT = Path(__file__).parents[2]


def listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((LOOPBACK, port)) == 0


def is_listened_at(server: Server, ports: list[int]) -> bool:
    return listening(ports[0])


def gone(pid: int, seconds: float = 5) -> bool:
    """Whether a process ends in time; one that only waits to be reaped has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def python(tmp_path: Path, code: str, port: int) -> Server:
    command = (sys.executable, "-S", "-c", code, str(port))
    return process.spawn("python", command, tmp_path / "python.log", cwd=tmp_path)


def test_free_ports_are_free_and_not_those_of_clients() -> None:
    ports = free_ports(20, offset=10_000)
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert len({*ports, *(port + 10_000 for port in ports)}) == 40
    assert all(port + 10_000 < first for port in ports)
    assert not any(listening(port) for port in ports)


def test_a_port_that_is_listened_at_is_not_free() -> None:
    (port,) = free_ports(1)
    with socket.create_server((LOOPBACK, port)):
        assert not process.is_free(port)
    assert process.is_free(port)


def test_a_server_that_ends_says_its_log(tmp_path: Path) -> None:
    def start(ports: list[int]) -> Server:
        return python(tmp_path, "raise SystemExit('no such option')", ports[0])

    with (
        pytest.raises(StartError, match="ended before it was ready:\nno such option"),
        process.started(start, is_listened_at),
    ):
        pass


def test_a_server_that_is_never_ready_is_killed(tmp_path: Path) -> None:
    pids = []

    def start(ports: list[int]) -> Server:
        server = python(tmp_path, "import time; print('hm', flush=True); time.sleep(60)", ports[0])
        pids.append(server.pid)
        return server

    with (
        pytest.raises(StartError, match=r"not ready after 0\.5 s"),
        process.started(start, is_listened_at, seconds=0.5),
    ):
        pass
    assert len(pids) == 1
    assert gone(pids[0])


@pytest.mark.parametrize("kind", [gcs_server, redis_server, s3_server, xrootd_server])
def test_a_taken_port_leads_to_another(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered: list[list[int]] = []
    with ExitStack() as stack:

        def choose(count: int, *, offset: int) -> list[int]:
            ports = free_ports(count, offset=offset)
            if not offered:  # one who is quicker, and never answers
                stack.enter_context(socket.create_server((LOOPBACK, ports[0])))
            offered.append(ports)
            return ports

        monkeypatch.setattr(process, "free_ports", choose)
        server = stack.enter_context(or_skip(kind(tmp_path)))
        assert len(offered) == 2
        assert server.port == offered[1][0]


def test_no_port_at_all_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (taken,) = free_ports(1)

    def choose(count: int, *, offset: int) -> list[int]:
        return [taken]

    monkeypatch.setattr(process, "free_ports", choose)
    monkeypatch.setattr(process, "PORT_TRIES", 2)
    with (
        socket.create_server((LOOPBACK, taken)),
        pytest.raises(PortTakenError, match="in use"),
        redis_server(tmp_path),
    ):
        pass


def test_stopping_ends_its_children_too(tmp_path: Path) -> None:
    code = "import subprocess; subprocess.run(['sleep', '60'])"
    server = python(tmp_path, code, 0)
    deadline = time.monotonic() + 10
    while not (children := psutil.Process(server.pid).children()) and time.monotonic() < deadline:
        time.sleep(0.02)
    server.kill()
    assert [gone(child.pid) for child in children] == [True]
    assert not server.alive()
    server.kill()  # once more is no error


def test_a_server_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    with ExitStack() as stack:
        asked: list[Server] = []
        thread = threading.Thread(
            target=lambda: asked.append(stack.enter_context(redis_server(tmp_path)).process)
        )
        thread.start()
        thread.join()
        time.sleep(0.2)
        assert asked[0].alive()


def test_several_at_once(tmp_path: Path) -> None:
    with ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        several = [redis_server(tmp_path / str(number)) for number in range(4)]
        servers = list(pool.map(stack.enter_context, several))
        assert len({server.port for server in servers}) == 4
        assert all(server.answers() for server in servers)


# What a test session is, without pytest: it starts all there is, says the pids, and waits.
SESSION = """
    import sys, time
    from contextlib import ExitStack
    from pathlib import Path
    from tests.services.gcs import gcs_server
    from tests.services.redis import redis_server
    from tests.services.s3 import s3_server
    from tests.services.xrootd import xrootd_server

    kinds = {"gcs": gcs_server, "redis": redis_server, "s3": s3_server, "xrootd": xrootd_server}
    with ExitStack() as stack:
        for name in sys.argv[2:]:
            server = stack.enter_context(kinds[name](Path(sys.argv[1])))
            print(server.process.pid, flush=True)
        print("all", flush=True)
        time.sleep(60)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_parent_leaves_no_process(tmp_path: Path, how: signal.Signals) -> None:
    kinds = ("redis", "xrootd") if how != signal.SIGKILL else ("redis", "xrootd", "gcs", "s3")
    try:
        for name in ("redis-server", "xrootd", "fake-gcs-server", "weed")[: len(kinds)]:
            program(name)
    except UnavailableError as error:
        pytest.skip(str(error))
    session = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SESSION), str(tmp_path), *kinds],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert session.stdout is not None
    said = []
    while (line := session.stdout.readline().strip()) not in ("", "all"):
        said.append(int(line))
    session.send_signal(how)
    _, complaint = session.communicate(timeout=120)
    assert len(said) == len(kinds), complaint
    assert all(gone(pid) for pid in said)


def test_a_parent_that_died_first_starts_nothing(tmp_path: Path) -> None:
    """The moment between the start and the setting of the signal."""
    marker = tmp_path / "started"
    command = ["/bin/sh", "-c", process._IF_PARENT_LIVES, "sh", "1", "/bin/touch", str(marker)]
    assert subprocess.run(command, check=False).returncode != 0
    assert not marker.exists()


def test_xrootd_runs_without_root(tmp_path: Path) -> None:
    with xrootd_server(tmp_path) as server:
        assert psutil.Process(server.process.pid).uids().real != 0
