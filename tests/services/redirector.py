"""An XRootD redirector and two data servers behind it, each a pair of xrootd and cmsd."""

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.services.process import LOOPBACK, Server, free_ports, spawn, wait_until_ready
from tests.services.programs import UnavailableError, program
from tests.services.xrootd import AS_DAEMON, EXPORTED

SECONDS = 60


@dataclass(frozen=True)
class DataServer:
    """One server behind a redirector, of the files in `folder`."""

    port: int
    folder: Path
    processes: tuple[Server, ...]

    def kill(self) -> None:
        """End it at once."""
        for process in self.processes:
            process.kill()


@dataclass(frozen=True)
class Redirector:
    """A running redirector."""

    port: int
    servers: tuple[DataServer, DataServer]

    def url(self, name: str) -> str:
        """Return the URL of a file that any of the servers has."""
        return f"root://{LOOPBACK}:{self.port}/{EXPORTED}/{name}"


def _configuration(role: str, root: Path, manager: int) -> str:
    lines = (
        f"all.role {role}",
        f"all.manager localhost:{manager}",
        f"all.export {EXPORTED} r/o",
        f"oss.localroot {root}",
        "all.adminpath /proc/self/cwd",  # short: the path of a socket has 108 characters
        "all.pidpath /proc/self/cwd",
        "xrd.network nodnr",
        "cms.delay startup 1 servers 1 lookup 1 full 1 hold 1 drop 5",  # not minutes
        *(
            f"{kind}.allow host {host}"
            for kind in ("xrd", "cms")
            for host in ("localhost", LOOPBACK)
        ),
    )
    return "\n".join(lines) + "\n"


@contextmanager
def redirector(tmp_path: Path) -> Iterator[Redirector]:
    """Start all six processes; yield once the redirector finds a file of each data server."""
    try:
        from XRootD import client
        from XRootD.client.flags import OpenFlags
    except ImportError as error:
        raise UnavailableError("a redirector is asked by xrootd, of the group `test`") from error
    manager, *ports = free_ports(6)
    with ExitStack() as stack:
        # cmsd sees no file in a test's own folders, which are for their owner alone.
        place = Path(stack.enter_context(TemporaryDirectory(prefix="higgsdemo-redirector-")))
        place.chmod(0o755)

        def start(name: str, role: str, port: int, cms_port: int) -> DataServer:
            state = place / f"{name}-{secrets.token_hex(3)}"
            files = place / f"{name}-files"
            files.mkdir()
            (state / "root").mkdir(parents=True)
            (state / "root" / EXPORTED.strip("/")).symlink_to(files)
            (state / "xrootd.cfg").write_text(_configuration(role, state / "root", manager))
            privileges: tuple[str, ...] = ()
            if os.geteuid() == 0:
                import pwd

                daemon = pwd.getpwnam("daemon")
                os.chown(state, daemon.pw_uid, daemon.pw_gid)
                privileges = AS_DAEMON
            made = []
            for kind, at in (("cmsd", cms_port), ("xrootd", port)):
                command = (program(kind), "-c", state / "xrootd.cfg", "-n", name, "-I", "v4",
                           "-p", str(at))  # fmt: skip
                log = tmp_path / f"{name}-{kind}.log"
                made.append(spawn(f"{name}-{kind}", command, log, cwd=state, privileges=privileges))
                stack.callback(made[-1].kill)
            return DataServer(port, files, tuple(made))

        head = start("manager", "manager", ports[0], manager)
        one, two = (start(f"server-{n}", "server", ports[n], ports[n + 2]) for n in (1, 2))
        for server in (one, two):
            (server.folder / f"ready-{server.port}").write_text("here")

        def ready() -> bool:
            for server in (head, one, two):  # the client would wait for minutes for them
                socket.create_connection((LOOPBACK, server.port), timeout=2).close()
            asked = client.FileSystem(f"root://{LOOPBACK}:{head.port}")
            for server in (one, two):
                path = f"{EXPORTED}/ready-{server.port}"
                status, _ = asked.locate(path, OpenFlags.NONE, timeout=10)
                if not status.ok:
                    raise OSError(f"{path}: {status.message}")
            return True

        wait_until_ready(head.processes[0], ready, SECONDS)
        yield Redirector(head.port, (one, two))
