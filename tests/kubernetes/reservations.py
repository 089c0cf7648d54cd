"""What a real node takes of the machine: a folder, a bridge, a cgroup; and its sweeping up.

Each has a key, and a folder /run/higgsdemo-lab/KEY with the process that owns it. What belongs to
a process that is gone (kill -9 too) is removed when the next node is made.
"""

import fcntl
import ipaddress
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.kubernetes.binaries import installed

RUN = Path("/run/higgsdemo-lab")
CGROUPS = Path("/sys/fs/cgroup")
NETWORK = ipaddress.ip_network("10.244.0.0/16")  # of which each node has a /24
PATIENCE_S = 20.0


@dataclass(frozen=True)
class Reservation:
    """What one node has to itself."""

    key: str
    subnet: ipaddress.IPv4Network

    @property
    def run(self) -> Path:
        """The node's /run; short, for the paths of its sockets."""
        return RUN / self.key

    @property
    def bridge(self) -> str:
        """The name of its bridge."""
        return f"hd-{self.key}"

    @property
    def cgroups(self) -> list[Path]:
        """The roots of its pods' cgroups."""
        return _cgroups(self.key)

    @property
    def gateway(self) -> str:
        """The machine's address on the bridge, at which pods reach it."""
        return str(self.subnet[1])

    def pids(self) -> set[int]:
        """The processes of its pods, as this process sees them."""
        found: set[int] = set()
        for folder in self.cgroups:
            for file in folder.glob("*/**/cgroup.procs"):  # the node's own are in the root
                with suppress(OSError):  # the cgroup ended
                    found |= set(map(int, file.read_text().split()))
        return found


def only_version_2() -> bool:
    """Whether this machine has cgroups of version 2 alone."""
    return (CGROUPS / "cgroup.controllers").exists()


def _hierarchies() -> list[Path]:
    """Return the roots of the cgroups: version 2 has one, version 1 one for each resource."""
    if only_version_2():
        return [CGROUPS]
    places = [place for place in CGROUPS.iterdir() if not place.is_symlink()]
    return [place for place in places if (place / "cgroup.procs").exists()]


def _cgroups(key: str) -> list[Path]:
    """Return the cgroups of a node that there are, one in each hierarchy."""
    places = [place / f"higgsdemo-{key}" for place in _hierarchies()]
    return [place for place in places if place.is_dir()]


def _make_cgroups(key: str) -> None:
    """Make them; the node takes them for the roots, with all that its machine has."""
    for place in _hierarchies():
        made = place / f"higgsdemo-{key}"
        made.mkdir()
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (place / name).exists() and (made / name).exists():
                (made / name).write_text((place / name).read_text())
        if (made / "cgroup.controllers").exists():
            given = (made / "cgroup.controllers").read_text().split()
            (made / "cgroup.subtree_control").write_text(" ".join(f"+{one}" for one in given))


def _owner(pid: int) -> str:
    """Return what tells a process from a later one of the same number."""
    return f"{pid} {psutil.Process(pid).create_time()}"


def _orphaned(folder: Path) -> bool:
    with suppress(OSError, ValueError, psutil.NoSuchProcess):
        owner = (folder / "owner").read_text()
        return owner != _owner(int(owner.split()[0]))
    return True


def _ip(*arguments: str) -> str:
    command = [installed("ip"), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def _alone() -> Iterator[None]:
    """Let no other process of this machine reserve or sweep meanwhile."""
    RUN.mkdir(exist_ok=True)
    with (RUN / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _free_key() -> str:
    """Return a key that nobody has; short, for the name of a bridge has 15 characters."""
    while (RUN / (key := secrets.token_hex(3))).exists():
        pass
    return key


def _free_subnet() -> ipaddress.IPv4Network:
    used = [
        ipaddress.ip_network(f"{address['local']}/{address['prefixlen']}", strict=False)
        for link in json.loads(_ip("-4", "-json", "address", "show"))
        for address in link.get("addr_info", [])
    ]
    for subnet in NETWORK.subnets(new_prefix=24):
        if not any(subnet.overlaps(one) for one in used):
            assert isinstance(subnet, ipaddress.IPv4Network)
            return subnet
    raise RuntimeError(f"no subnet of {NETWORK} is free")


@contextmanager
def reserved() -> Iterator[Reservation]:
    """Sweep up, make a bridge and a folder of one's own, and remove all of it afterwards."""
    with _alone():
        sweep()
        one = Reservation(_free_key(), _free_subnet())
        one.run.mkdir()
        (one.run / "owner").write_text(_owner(os.getpid()))
        _make_cgroups(one.key)
        _ip("link", "add", one.bridge, "type", "bridge")
        _ip("address", "add", f"{one.gateway}/{one.subnet.prefixlen}", "dev", one.bridge)
        _ip("link", "set", one.bridge, "up")
    try:
        yield one
    finally:
        with _alone():
            remove(one.key)


def sweep() -> list[str]:
    """Remove what is left of processes that are gone; return the keys."""
    swept = []
    for folder in RUN.iterdir() if RUN.exists() else ():
        if folder.is_dir() and _orphaned(folder):
            remove(folder.name)
            swept.append(folder.name)
    return swept


def remove(key: str) -> None:
    """Remove what a node has taken; what is gone already is fine.

    Its processes lie in a process namespace that ended with its owner; here it is waited for.
    """
    deadline = time.monotonic() + PATIENCE_S
    for cgroup in _cgroups(key):
        _remove_cgroup(cgroup, deadline)
    with suppress(subprocess.CalledProcessError):
        _ip("link", "delete", f"hd-{key}")
    shutil.rmtree(RUN / key, ignore_errors=True)


def _remove_cgroup(cgroup: Path, deadline: float) -> None:
    while cgroup.exists():
        for file in cgroup.glob("**/cgroup.procs"):
            with suppress(OSError):
                for pid in file.read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
        for folder in sorted(cgroup.glob("**/"), reverse=True):
            with suppress(OSError):  # a process of it is about to end
                folder.rmdir()
        if time.monotonic() > deadline:
            raise RuntimeError(f"{cgroup} could not be removed")
        time.sleep(0.02)
