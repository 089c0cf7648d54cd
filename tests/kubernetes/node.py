"""A real node: kubelet, containerd and runc, on which pods truly run. It needs root.

All of it lives in a process and a mount namespace of its own, with its own /run, /var/lib (in
memory: unpacking images is what takes longest), /var/log and cgroups: the kernel ends every
process and mount of a node with the one that holds it.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.kubernetes.binaries import built, installed, needs_root
from tests.kubernetes.client import Document, wait_for
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.images import program_image
from tests.kubernetes.part import Part
from tests.kubernetes.reservations import Reservation, only_version_2, reserved
from tests.services.process import Server, free_ports

PAUSE = "localhost/pause:1"
SOCKET = "containerd/containerd.sock"  # below the node's /run
MOUNTS = """
set -eu
mount --make-rshared /
folder=$1 run=$2 pause=$3
shift 3
for cgroup; do mount --bind "$cgroup" "${cgroup%/*}"; done
mount -t tmpfs -o mode=755 node /var/lib
mount --bind "$folder/log" /var/log
mount --bind "$run" /run
: > /run/held
exec "$pause"
"""
CONTAINERD = """
version = 3
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{pause}"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true  # to lower it needs CAP_SYS_RESOURCE, which not all machines give
  disable_apparmor = true
  tolerate_missing_hugetlb_controller = true
  disable_hugetlb_controller = true
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = "{runc}"
  SystemdCgroup = false
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["{plugins}"]
  conf_dir = "{network}"
"""


class RealNode:
    """A running node of a cluster; its kubelet may be killed and restarted."""

    def __init__(
        self, cluster: ControlPlane, folder: Path, reservation: Reservation, port: int
    ) -> None:
        self.name = f"{cluster.name}-node"
        self.cluster = cluster
        self.folder = folder
        self.gateway = reservation.gateway
        self.key = reservation.key
        self._reservation = reservation
        for name in ("log", "network"):
            (folder / name).mkdir(parents=True)
        self._loaded = [program_image(folder / "pause.oci", PAUSE, built("pause"))]
        network = folder / "network"
        (network / "10-bridge.conflist").write_text(json.dumps(self._network()))
        (folder / "containerd.toml").write_text(
            CONTAINERD.format(
                pause=PAUSE,
                runc=installed("runc"),
                plugins=installed("host-local").parent,
                network=network,
            )
        )
        (folder / "kubelet.json").write_text(json.dumps(self._kubelet(port)))
        self.holder = Part(
            "holder",
            [
                *self._joined(), installed("unshare"), *self._own_cgroups, "--mount", "--pid",
                "--fork", "--kill-child", "--mount-proc", "/bin/sh", "-c", MOUNTS, "sh",
                folder, reservation.run, built("pause"), *reservation.cgroups,
            ],
            folder,
            (reservation.run / "held").exists,
        )  # fmt: skip

    @property
    def _own_cgroups(self) -> list[str]:
        """With version 1, runc finds a container's cgroups only in a namespace of theirs."""
        return [] if only_version_2() else ["--cgroup"]

    def _joined(self) -> list[str]:
        """Return what puts a command into the node's cgroups, where they are a namespace."""
        places = self._reservation.cgroups if self._own_cgroups else []
        join = "".join(f"echo $$ > {place}/cgroup.procs && " for place in places)
        return ["/bin/sh", "-c", f'{join}exec "$@"', "sh"]

    def _network(self) -> Document:
        subnet = self._reservation.subnet
        ranges = [[{"subnet": str(subnet), "gateway": self.gateway}]]
        addresses = {
            "type": "host-local",
            "ranges": ranges,
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        bridge = {"type": "bridge", "bridge": self._reservation.bridge, "ipam": addresses}
        return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge]}

    def _kubelet(self, port: int) -> Document:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self.gateway,
            "port": port,
            "readOnlyPort": 0,
            "healthzPort": 0,
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "containerRuntimeEndpoint": f"unix:///run/{SOCKET}",
            "cgroupDriver": "cgroupfs",
            "cgroupsPerQOS": False,
            "enforceNodeAllocatable": [],
            "failCgroupV1": False,
            "failSwapOn": False,
            "oomScoreAdj": 0,
            "makeIPTablesUtilChains": False,
            "localStorageCapacityIsolation": False,
            "evictionHard": {"memory.available": "100Mi"},
            "imageGCHighThresholdPercent": 100,  # never: however full this machine's disk is
            "nodeStatusUpdateFrequency": "2s",
            "serializeImagePulls": False,
            "maxPods": 60,
        }

    def _inside(self, name: str, *command: str | Path) -> Part:
        """Return a part that runs in the node's namespaces."""
        parent = self.holder.process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        enter = [*self._joined(), installed("nsenter"), *self._own_cgroups, "--mount", "--pid"]
        enter += ["--target", children[0], "--"]
        path = f"{built('containerd').parent}:{os.environ['PATH']}"  # it finds its shim there
        return Part(name, [*enter, *command], self.folder, environment={"PATH": path})

    @property
    def processes(self) -> list[Server]:
        """The processes of its parts, for the report of a failed test."""
        return [self.containerd.process, self.kubelet.process]

    def start(self) -> None:
        """Start it, and wait until the cluster may place pods on it."""
        self.holder.start()
        self.holder.wait()
        self.containerd = self._inside(
            "containerd", built("containerd"), "--config", self.folder / "containerd.toml"
        )
        self.containerd.start()
        wait_for(self._containerd_answers, "containerd")
        for archive in self._loaded:
            self.load(archive)
        self.kubelet = self._inside(
            "kubelet", built("kubelet"), "--config", self.folder / "kubelet.json",
            "--kubeconfig", self.cluster.kubeconfig, "--hostname-override", self.name,
            "--node-ip", self.gateway,
        )  # fmt: skip
        self.kubelet.start()
        wait_for(self.ready, f"the node {self.name}")

    def ready(self) -> bool:
        """Whether the cluster may place pods on it."""
        node = self.cluster.client.find(f"/api/v1/nodes/{self.name}")
        conditions = node["status"].get("conditions", []) if node else []
        taints = node["spec"].get("taints", []) if node else []
        return not taints and any(
            one["type"] == "Ready" and one["status"] == "True" for one in conditions
        )

    def _ctr(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        socket = self._reservation.run / SOCKET
        command = [built("ctr"), "--address", socket, "--namespace", "k8s.io", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def _containerd_answers(self) -> bool:
        return self._ctr("version").returncode == 0

    def load(self, archive: Path) -> None:
        """Put the images of an OCI archive on the node; use them with IfNotPresent or Never."""
        done = self._ctr("images", "import", archive)
        assert done.returncode == 0, done.stderr
        if archive not in self._loaded:
            self._loaded.append(archive)

    def images(self) -> set[str]:
        """Return the names of the images that are on the node."""
        return set(self._ctr("images", "list", "--quiet").stdout.split())

    def forget(self, image: str) -> None:
        """Remove an image from the node."""
        self._ctr("images", "remove", "--sync", image)

    def pids(self, words: str = "") -> list[int]:
        """Return the processes of its pods whose command line has some words, pauses apart."""
        found = []
        for pid in sorted(self._reservation.pids()):
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # it ended meanwhile
                continue
            if line.strip() not in ("", "/pause") and words in line:
                found.append(pid)
        return found

    def kill_process(self, words: str = "") -> int:
        """Kill the first process of a pod with these words with SIGKILL; return its pid."""

        def kill() -> int | None:
            for pid in self.pids(words):
                with contextlib.suppress(ProcessLookupError):  # it ended by itself meanwhile
                    os.kill(int(pid), signal.SIGKILL)
                    return int(pid)
            return None

        return int(wait_for(kill, f"a process of a pod with {words!r}"))

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Let its kubelet and its pods stand still; afterwards they go on as if nothing were."""
        kubelet = psutil.Process(self.kubelet.process.pid)
        own = [kubelet.pid, *(child.pid for child in kubelet.children(recursive=True))]
        stopped: list[int] = []
        for pids in (lambda: own, self._reservation.pids):  # no pod begins once the kubelet hangs
            for pid in pids():
                with contextlib.suppress(ProcessLookupError):  # it ended by itself meanwhile
                    os.kill(pid, signal.SIGSTOP)
                    stopped.append(pid)
        try:
            yield
        finally:
            for pid in stopped:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def power_off(self) -> None:
        """End all of its processes at once, those of its pods too; `start` is then a boot.

        It has the images that were loaded, and pulls the others again.
        """
        self.holder.kill()
        deadline = time.monotonic() + 20
        while self._reservation.pids() and time.monotonic() < deadline:
            time.sleep(0.02)
        for name in ("containerd", "kubelet"):
            if name in self.__dict__:
                self.__dict__[name].kill()
        for left in self._reservation.run.iterdir():  # a boot finds /run empty
            if left.name == "owner":
                continue
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink()


@contextmanager
def real_node(cluster: ControlPlane) -> Iterator[RealNode]:
    """Give a cluster a real node."""
    needs_root()
    with reserved() as reservation:
        node = RealNode(cluster, cluster.folder / "node", reservation, free_ports(1)[0])
        try:
            node.start()
            yield node
        finally:
            node.power_off()
