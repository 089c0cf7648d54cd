"""Nothing of a real node outlives its tests, nor those of a killed session the next one."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.kubernetes.binaries import ROOT
from tests.kubernetes.client import wait_for
from tests.kubernetes.reservations import CGROUPS, RUN, reserved, sweep

SESSION = """
import sys, time
from pathlib import Path
from tests.kubernetes.control_plane import control_plane
from tests.kubernetes.client import wait_for
from tests.kubernetes.images import shell_image
from tests.kubernetes.jobs import indexed_job, pod
from tests.kubernetes.node import real_node

folder = Path(sys.argv[1])
with control_plane("killed", folder) as cluster, real_node(cluster) as node:
    node.load(shell_image(folder / "shell.oci", "localhost/shell:1"))
    spec = pod("localhost/shell:1", ["sleep", "1000"])
    cluster.client.create("/apis/batch/v1/namespaces/default/jobs", indexed_job("one", spec, 1))
    wait_for(lambda: node.pids("sleep 1000"), "the pod")
    (folder / "part").write_text(node.key)
    (folder / "part").rename(folder / "key")
    time.sleep(float(sys.argv[2]))
"""


def programs(key: str, folder: Path) -> list[str]:
    """Command lines of a node, of its pods, and of its control plane."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or ())
        ours = any(word in line for word in (key, str(folder), "sleep 1000"))
        if ours and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(line)
    return found


def traces(key: str, folder: Path) -> list[str]:
    """What is left of a node on this machine."""
    found = [line for line in Path("/proc/mounts").read_text().splitlines() if key in line]
    found += [str(path) for path in (RUN / key, Path(f"/sys/class/net/hd-{key}")) if path.exists()]
    found += [str(path) for path in CGROUPS.glob(f"**/higgsdemo-{key}")]
    found += programs(key, folder)
    return found


@contextmanager
def session(folder: Path, seconds: float) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """Start a session with a pod on a real node; give it, with the node's key."""
    command = [sys.executable, "-c", SESSION, str(folder), str(seconds)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            wait_for(lambda: (folder / "key").exists() or process.poll() is not None, "the pod")
            yield process, (folder / "key").read_text()
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.usefixtures("needs_real_nodes")
def test_a_killed_session_is_swept_up(tmp_path: Path) -> None:
    with session(tmp_path, 60) as (process, key):
        assert len(traces(key, tmp_path)) > 5
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    wait_for(lambda: not programs(key, tmp_path), "the kernel's ending all processes")
    with reserved() as other:  # the next session's node
        assert other.key != key
    assert traces(key, tmp_path) == []


@pytest.mark.slow
@pytest.mark.usefixtures("needs_real_nodes")
def test_a_session_that_ends_leaves_nothing(tmp_path: Path) -> None:
    before = set(Path("/run").iterdir()) | set(Path("/var/lib").iterdir())
    hosts = Path("/etc/hosts").read_bytes()
    with session(tmp_path, 0) as (process, key):
        assert process.wait(60) == 0
    assert traces(key, tmp_path) == []
    assert set(Path("/run").iterdir()) | set(Path("/var/lib").iterdir()) <= before | {RUN}
    assert Path("/etc/hosts").read_bytes() == hosts


@pytest.mark.usefixtures("needs_real_nodes")
def test_what_belongs_to_the_living_stays() -> None:
    with reserved() as one:
        assert one.key not in sweep()
        assert one.run.is_dir()
        assert Path(f"/sys/class/net/{one.bridge}").exists()
