"""etcd, kube-apiserver, kube-controller-manager and kube-scheduler: a cluster without nodes."""

import secrets
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from tests.kubernetes.binaries import built
from tests.kubernetes.client import Client, kubeconfig, wait_for, write_kubeconfig
from tests.kubernetes.part import Part
from tests.services.process import LOOPBACK, PORT_TRIES, PortTakenError, Server, free_ports

# Users by name with their groups. `admin` may do everything, the others what RBAC grants them.
USERS = {"admin": "system:masters", "developer": "developers", "guest": "guests"}


class ControlPlane:
    """A running control plane; each part may be killed and restarted by itself."""

    def __init__(self, name: str, folder: Path, ports: list[int], requests_per_s: int) -> None:
        self.name = name
        self.folder = folder
        api, etcd, peer, controllers, scheduler = ports
        self.server = f"https://{LOOPBACK}:{api}"
        self.authority = folder / "certificates" / "apiserver.crt"  # it signs its own
        self._tokens = {user: secrets.token_hex(16) for user in USERS}
        self.kubeconfig = folder / "kubeconfig"
        accounts = folder / "service-accounts.key"
        tokens = folder / "tokens.csv"
        etcd_url, peer_url = f"http://{LOOPBACK}:{etcd}", f"http://{LOOPBACK}:{peer}"
        pace = (f"--kube-api-qps={requests_per_s}", f"--kube-api-burst={2 * requests_per_s}")
        self.etcd = Part(
            "etcd",
            [
                built("etcd"), "--data-dir", folder / "etcd",
                "--unsafe-no-fsync",  # a killed process loses nothing by it, only a machine would
                "--quota-backend-bytes", str(4 << 30),
                "--listen-client-urls", etcd_url, "--advertise-client-urls", etcd_url,
                "--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url,
                "--initial-cluster", f"default={peer_url}",
            ],
            folder,
            lambda: urllib.request.urlopen(f"{etcd_url}/health", timeout=2).status == 200,
        )  # fmt: skip
        self.api_server = Part(
            "kube-apiserver",
            [
                built("kube-apiserver"), "--etcd-servers", etcd_url,
                "--bind-address", LOOPBACK, "--secure-port", str(api),
                "--advertise-address", LOOPBACK, "--cert-dir", self.authority.parent,
                "--service-cluster-ip-range", "10.0.0.0/24", "--authorization-mode", "Node,RBAC",
                "--token-auth-file", tokens, "--service-account-key-file", accounts,
                "--service-account-signing-key-file", accounts,
                "--service-account-issuer", "https://kubernetes.default.svc",
                "--kubelet-preferred-address-types", "InternalIP",
                "--endpoint-reconciler-type", "none", "--profiling=false",
            ],
            folder,
            lambda: self.authority.exists() and self.client.ready(),
        )  # fmt: skip
        self.controllers = Part(
            "kube-controller-manager",
            [
                built("kube-controller-manager"), "--kubeconfig", self.kubeconfig,
                "--service-account-private-key-file", accounts, "--root-ca-file", self.authority,
                "--leader-elect=false", "--bind-address", LOOPBACK,
                "--secure-port", str(controllers), "--profiling=false", *pace,
            ],
            folder,
        )  # fmt: skip
        self.scheduler = Part(
            "kube-scheduler",
            [
                built("kube-scheduler"), "--kubeconfig", self.kubeconfig, "--leader-elect=false",
                "--bind-address", LOOPBACK, "--secure-port", str(scheduler), "--profiling=false",
                *pace,
            ],
            folder,
        )  # fmt: skip
        self.parts = [self.etcd, self.api_server, self.controllers, self.scheduler]
        lines = [f'{self._tokens[user]},{user},{user},"{group}"' for user, group in USERS.items()]
        for file, text in ((tokens, "\n".join(lines) + "\n"), (accounts, _private_key())):
            file.touch(mode=0o600)
            file.write_text(text)
        self.write_kubeconfig(self.kubeconfig)

    @property
    def processes(self) -> list[Server]:
        """The processes of all parts, for the report of a failed test."""
        return [part.process for part in self.parts]

    @cached_property
    def client(self) -> Client:
        """A client that may do everything."""
        return self.client_of("admin")

    def client_of(self, user: str) -> Client:
        """Return a client as one of the `USERS`."""
        return Client(self.server, self.authority, self._tokens[user])

    def context(self, user: str = "admin", name: str = "", server: str = "") -> dict[str, object]:
        """Return a kubeconfig of one context, named like the cluster; through a proxy, if given."""
        return kubeconfig(
            name or self.name, server or self.server, self.authority, self._tokens[user]
        )

    def write_kubeconfig(self, file: Path, user: str = "admin") -> Path:
        """Write a kubeconfig for one of the `USERS`."""
        return write_kubeconfig(file, [self.context(user)])

    def kubectl(self, *arguments: str, text: str = "") -> str:
        """Run kubectl as the admin; `text` is its input."""
        command = [built("kubectl"), "--kubeconfig", self.kubeconfig, *arguments]
        return subprocess.run(
            command, input=text, text=True, capture_output=True, check=True, timeout=180
        ).stdout

    def start(self) -> None:
        """Start all parts, and wait until the cluster takes work."""
        self.etcd.start()
        self.etcd.wait()
        self.api_server.start()
        self.api_server.wait()
        self.controllers.start()
        self.scheduler.start()
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        wait_for(lambda: self.client.find(account), "kube-controller-manager at work")

    def kill(self) -> None:
        """Kill all parts, who depends on another first."""
        for part in reversed(self.parts):
            part.kill()


def _private_key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        .decode()
    )


@contextmanager
def control_plane(name: str, folder: Path, *, requests_per_s: int = 400) -> Iterator[ControlPlane]:
    """Start a control plane that keeps everything in a folder.

    `requests_per_s` is what the controllers and the scheduler allow themselves (their default
    is 50 and 20; a cluster of the size of the demo's is given more).
    """
    for attempt in range(PORT_TRIES):
        home = folder.resolve() / f"{name}-{attempt}"
        home.mkdir(parents=True)
        cluster = ControlPlane(name, home, free_ports(5), requests_per_s)
        try:
            try:
                cluster.start()
            except PortTakenError:
                if attempt == PORT_TRIES - 1:
                    raise
                continue
            yield cluster
            return
        finally:
            cluster.kill()
