"""The clusters as fixtures. A machine that cannot run them skips, with what is missing.

For all tests: `pytest_plugins = ("tests.kubernetes.fixtures",)` in tests/conftest.py. Tests that
use them all run in one process of pytest-xdist, one after another: clusters are large.
"""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kubernetes.binaries import ROOT, built, installed, needs_root
from tests.kubernetes.client import Client
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.control_plane import control_plane as start_control_plane
from tests.kubernetes.images import shell_image
from tests.kubernetes.kwok import kwok_cluster as start_kwok_cluster
from tests.kubernetes.node import RealNode, real_node
from tests.kubernetes.registry import Registry, registry
from tests.kubernetes.stages import Stages
from tests.services.fixtures import or_skip
from tests.services.process import Server
from tests.services.programs import UnavailableError

OURS = {
    "control_plane",
    "image_registry",
    "kwok_cluster",
    "needs_real_nodes",
    "real_clusters",
    "worker_image",
}
SHELL = "localhost/shell:1"  # on every real node


@dataclass(frozen=True)
class RealCluster:
    """A control plane and its real node."""

    control_plane: ControlPlane
    node: RealNode

    @property
    def name(self) -> str:
        """The name of its context."""
        return self.control_plane.name

    @property
    def client(self) -> Client:
        """A client that may do everything."""
        return self.control_plane.client

    @property
    def gateway(self) -> str:
        """The address at which its pods reach this machine."""
        return self.node.gateway

    @property
    def processes(self) -> list[Server]:
        """All processes, for the report of a failed test."""
        return [*self.control_plane.processes, *self.node.processes]


@dataclass(frozen=True)
class WorkerImage:
    """The image of images/worker, as podman has built it."""

    archive: Path  # of OCI, to load on a node or to push

    @property
    def name(self) -> str:
        """What podman calls it."""
        return f"localhost/higgsdemo-worker:{self.archive.stem.removeprefix('worker-')}"

    def podman(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run podman, with the settings that this machine needs."""
        script = 'source scripts/podman.sh && exec podman "$@"'
        return subprocess.run(
            ["bash", "-c", script, "podman", *arguments],
            cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip


@pytest.fixture(scope="session")
def worker_image() -> WorkerImage:
    """The worker's image; building it takes minutes the first time, and is then cached."""
    try:
        for name in ("podman", "debootstrap"):
            installed(name)
        needs_root()
    except UnavailableError as error:
        pytest.skip(str(error))
    command = [ROOT / "scripts" / "build-image"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return WorkerImage(Path(done.stdout.strip()))


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put all tests that use a cluster into one group, and first: it takes longest."""
    for item in items:
        if OURS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("kubernetes"))

    def others(item: pytest.Item) -> bool:
        groups = {mark.args[0] for mark in item.iter_markers("xdist_group")}
        return "kubernetes" not in groups

    items.sort(key=others)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster without nodes; make namespaces of your own in it."""
    folder = tmp_path_factory.mktemp("kubernetes")
    with or_skip(start_control_plane("bare", folder)) as cluster:
        yield cluster


@pytest.fixture
def kwok_cluster(tmp_path: Path) -> Iterator[Callable[..., ControlPlane]]:
    """Start clusters of simulated nodes: `kwok_cluster("66:16:60Gi", Stages(...), name="a")`."""
    with ExitStack() as stack:

        def start(
            shape: str = "4:8:32Gi", stages: Stages | None = None, *, name: str = "kwok", **how: int
        ) -> ControlPlane:
            folder = tmp_path / f"kubernetes-{name}"
            made = or_skip(start_kwok_cluster(name, folder, shape, stages, **how))
            return stack.enter_context(made)

        yield start


@pytest.fixture(scope="session")
def needs_real_nodes() -> None:
    """Skip where no real node can run."""
    try:
        needs_root()
        for name in ("kube-apiserver", "kubelet", "containerd"):
            built(name)
        for name in ("runc", "host-local", "ip"):
            installed(name)
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def real_clusters(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[int], Sequence[RealCluster]]]:
    """Start clusters with a real node each, all at once: `one, two, three = real_clusters(3)`.

    They are the same ones for all tests of the session: leave nothing in them.
    """
    folder = tmp_path_factory.mktemp("real")
    stacks: list[ExitStack] = []
    running: list[RealCluster] = []

    def start(number: int) -> RealCluster:
        stack = ExitStack()
        stacks.append(stack)
        cluster = stack.enter_context(or_skip(start_control_plane(f"real-{number}", folder)))
        node = stack.enter_context(or_skip(real_node(cluster)))
        node.load(shell_image(cluster.folder / "shell.oci", SHELL))
        return RealCluster(cluster, node)

    def clusters(count: int) -> Sequence[RealCluster]:
        with ThreadPoolExecutor() as pool:
            running.extend(pool.map(start, range(len(running), count)))
        return running[:count]

    try:
        yield clusters
    finally:
        with ThreadPoolExecutor() as pool:
            list(pool.map(ExitStack.close, stacks))


@pytest.fixture(scope="session")
def image_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry of container images, from which real nodes pull."""
    with or_skip(registry(tmp_path_factory.mktemp("registry"))) as server:
        yield server
