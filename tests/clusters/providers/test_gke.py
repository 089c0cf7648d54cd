"""GKE's client against a service that speaks its protocol: made, waited for, repeated, refused."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from higgsdemo.clusters.providers import State, Step, Wanted, Wishes, create_all, delete_all
from higgsdemo.clusters.providers.gke import ENDPOINT, Gke
from higgsdemo.errors import CredentialsError, HiggsdemoError, UsageError
from tests.services.gke import CA, STATUS, GkeService, gke_service

WISHES = Wishes(project="physics", location="europe-west4")
PARENT = "projects/physics/locations/europe-west4"
THREE = [Wanted(f"kubecon-demo-{n}", "n1-highmem-16", 22) for n in range(3)]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[GkeService]:
    with gke_service() as running:
        monkeypatch.setenv(ENDPOINT, running.endpoint)
        yield running


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "kube" / "config"


def contexts(config: Path) -> list[str]:
    return sorted(each["name"] for each in yaml.safe_load(config.read_text())["contexts"])


def test_a_cluster_per_entry_at_once_and_contexts_for_them(
    service: GkeService, config: Path
) -> None:
    steps: list[Step] = []
    ended = create_all(Gke.open(WISHES), THREE, kubeconfig=config, tell=steps.append)
    assert [(one.name, one.state, one.error) for one in ended] == [
        (one.name, State.READY, None) for one in THREE
    ]
    assert contexts(config) == [one.name for one in THREE]
    # All were asked for before any was ready: together, not one after another.
    first_ready = service.calls.index("GetCluster", 3)
    assert service.calls.count("CreateCluster") == 3
    assert first_ready
    assert {step.state for step in steps} == {State.CREATING, State.READY}
    request = next(one for one in service.created if one.cluster.name == "kubecon-demo-1")
    assert request.parent == PARENT
    (pool,) = request.cluster.node_pools
    assert (pool.config.machine_type, pool.initial_node_count) == ("n1-highmem-16", 22)
    assert not pool.config.spot
    assert dict(request.cluster.resource_labels) == {"managed-by": "higgsdemo"}


def test_the_context_gets_its_tokens_without_gcloud(service: GkeService, config: Path) -> None:
    create_all(Gke.open(WISHES), THREE[:1], kubeconfig=config)
    document = yaml.safe_load(config.read_text())
    cluster = document["clusters"][0]["cluster"]
    assert cluster == {"server": "https://10.1.2.3", "certificate-authority-data": CA}
    plugin = document["users"][0]["user"]["exec"]
    assert plugin["command"] == sys.executable
    assert "gcloud" not in json.dumps(plugin)
    assert config.stat().st_mode & 0o777 == 0o600


def test_repeated_it_makes_nothing_new(service: GkeService, config: Path) -> None:
    gke = Gke.open(WISHES)
    create_all(gke, THREE, kubeconfig=config)
    again = create_all(gke, THREE, kubeconfig=config)
    assert [one.error for one in again] == [None] * 3
    assert len(service.created) == 3


def test_one_that_is_being_made_or_deleted_is_waited_for(service: GkeService, config: Path) -> None:
    service.put(PARENT, "kubecon-demo-0", STATUS.PROVISIONING)
    service.put(PARENT, "kubecon-demo-1", STATUS.STOPPING)
    ended = create_all(Gke.open(WISHES), THREE[:2], kubeconfig=config)
    assert [one.state for one in ended] == [State.READY] * 2
    assert [one.cluster.name for one in service.created] == ["kubecon-demo-1"]


def test_other_nodes_than_wanted_are_told_and_left(service: GkeService, config: Path) -> None:
    gke = Gke.open(WISHES)
    create_all(gke, THREE[:1], kubeconfig=config)
    (ended,) = create_all(gke, [Wanted("kubecon-demo-0", "n1-highmem-32", 23)], kubeconfig=config)
    assert ended.note == (
        "has 22 nodes, not 23; has machines of type n1-highmem-16, not n1-highmem-32"
    )


def test_a_cluster_of_somebody_else_is_neither_used_nor_deleted(
    service: GkeService, config: Path
) -> None:
    service.put(PARENT, "kubecon-demo-0", ours=False)
    gke = Gke.open(WISHES)
    (made,) = create_all(gke, THREE[:1], kubeconfig=config)
    (gone,) = delete_all(gke, ["kubecon-demo-0"], kubeconfig=config)
    assert "did not make" in str(made.error)
    assert "left alone" in str(gone.error)
    assert service.deleted == []


def test_one_that_fails_does_not_stop_the_others(service: GkeService, config: Path) -> None:
    service.fail["kubecon-demo-1"] = "Insufficient quota: CPUS_ALL_REGIONS"
    ended = create_all(Gke.open(WISHES), THREE, kubeconfig=config)
    assert [one.state for one in ended] == [State.READY, State.FAILED, State.READY]
    assert "Insufficient quota" in str(ended[1].error)
    assert contexts(config) == ["kubecon-demo-0", "kubecon-demo-2"]


@pytest.mark.parametrize(
    ("code", "kind", "hint"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, CredentialsError, "Kubernetes Engine Admin"),
        (grpc.StatusCode.UNAUTHENTICATED, CredentialsError, "GOOGLE_APPLICATION_CREDENTIALS"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, HiggsdemoError, "quota"),
        (grpc.StatusCode.INVALID_ARGUMENT, UsageError, "no such machine type"),
    ],
)
def test_refusals_are_final_and_told(
    service: GkeService,
    config: Path,
    code: grpc.StatusCode,
    kind: type[HiggsdemoError],
    hint: str,
) -> None:
    service.refuse["CreateCluster"] = (code, "no such machine type or whatever", 99)
    (ended,) = create_all(Gke.open(WISHES), THREE[:1], kubeconfig=config)
    assert type(ended.error) is kind
    assert hint in str(ended.error)
    assert service.calls.count("CreateCluster") == 1
    assert not config.exists()


def test_trouble_that_passes_is_borne(service: GkeService, config: Path) -> None:
    service.refuse["CreateCluster"] = (grpc.StatusCode.UNAVAILABLE, "try later", 2)
    service.refuse["GetCluster"] = (grpc.StatusCode.INTERNAL, "oops", 1)
    steps: list[Step] = []
    (ended,) = create_all(Gke.open(WISHES), THREE[:1], kubeconfig=config, tell=steps.append)
    assert ended.state is State.READY
    assert any("tried again" in step.note for step in steps)


def test_trouble_that_does_not_pass_ends(service: GkeService, config: Path) -> None:
    service.refuse["GetCluster"] = (grpc.StatusCode.INTERNAL, "oops", 10**6)
    (ended,) = create_all(Gke.open(WISHES), THREE[:1], kubeconfig=config, patience_s=0.5)
    assert "oops" in str(ended.error)


def test_patience_ends(service: GkeService, config: Path) -> None:
    service.looks = 10**6
    (ended,) = create_all(Gke.open(WISHES), THREE[:1], kubeconfig=config, patience_s=0.5)
    assert "is still creating" in str(ended.error)


def test_deleted_and_waited_for_even_while_it_is_made(service: GkeService, config: Path) -> None:
    gke = Gke.open(WISHES)
    create_all(gke, THREE[:1], kubeconfig=config)
    service.put(PARENT, "kubecon-demo-1", STATUS.PROVISIONING)
    ended = delete_all(gke, ["kubecon-demo-0", "kubecon-demo-1"], kubeconfig=config)
    assert [(one.state, one.error) for one in ended] == [(State.ABSENT, None)] * 2
    assert service.names() == []
    assert contexts(config) == []


def test_clusters_of_a_prefix(service: GkeService) -> None:
    service.put(PARENT, "kubecon-demo-7")
    service.put(PARENT, "kubecon-demo-8", ours=False)
    service.put(PARENT, "other")
    service.put("projects/physics/locations/us-east1", "kubecon-demo-9")
    found = Gke.open(WISHES).named("kubecon-demo-")
    assert [(one.name, one.ours) for one in found] == [
        ("kubecon-demo-7", True),
        ("kubecon-demo-8", False),
    ]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Wanted("Upper", "n1-highmem-16", 1), "small letters"),
        (Wanted("a" * 41, "n1-highmem-16", 1), "at most 40"),
        (Wanted("a", "", 1), "which machines"),
        (Wanted("a", "n1-highmem-16", 0), "which machines"),
    ],
)
def test_what_can_never_be_made_is_refused_before_anything_is(
    service: GkeService, config: Path, wanted: Wanted, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        create_all(Gke.open(WISHES), [*THREE, wanted], kubeconfig=config)
    assert service.calls == []


def test_a_zone_means_all_nodes_are_there() -> None:
    regional = Gke(None, WISHES).describe(THREE[0])
    zonal = Gke(None, Wishes(project="p", location="europe-west4-a", spot=True)).describe(THREE[0])
    assert regional == "22 n1-highmem-16 in each zone of europe-west4"
    assert zonal == "22 spot n1-highmem-16 in europe-west4-a"


def test_without_a_project() -> None:
    with pytest.raises(UsageError, match="a project is needed"):
        Gke.open(Wishes())


@pytest.mark.parametrize("endpoint", ["http://10.0.0.1:80", "http://example.org:80", "http://"])
def test_plain_text_never_leaves_the_machine(
    monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv(ENDPOINT, endpoint)
    with pytest.raises(UsageError, match="only a service on this machine"):
        Gke.open(WISHES)


def test_without_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent.json"))
    with pytest.raises(CredentialsError, match="not signed in"):
        Gke.open(WISHES)


# -- tokens ---------------------------------------------------------------------------------------


class _Tokens(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"access_token": "secret-token", "expires_in": 3600}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Path]:
    """A service account whose tokens come from a server on this machine."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    server = HTTPServer(("127.0.0.1", 0), _Tokens)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    path = tmp_path / "account.json"
    path.write_text(
        json.dumps(
            {
                "type": "service_account",
                "project_id": "physics",
                "client_email": "demo@physics.example",
                "private_key_id": "1",
                "private_key": key.decode(),
                "token_uri": f"http://127.0.0.1:{server.server_port}/token",
            }
        )
    )
    yield path
    server.shutdown()
    thread.join()
    server.server_close()


def plugin(config: Path, account: Path) -> subprocess.CompletedProcess[str]:
    """Run what the kubeconfig says, as kubectl would, with no gcloud on the PATH."""
    entry = yaml.safe_load(config.read_text())["users"][0]["user"]["exec"]
    return subprocess.run(
        [entry["command"], *entry["args"]],
        env={"PATH": "/nowhere", "GOOGLE_APPLICATION_CREDENTIALS": str(account)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_plugin_gives_tokens(service: GkeService, config: Path, account: Path) -> None:
    create_all(Gke.open(WISHES), THREE[:1], kubeconfig=config)
    ended = plugin(config, account)
    document = json.loads(ended.stdout)
    assert (document["kind"], document["apiVersion"]) == (
        "ExecCredential",
        "client.authentication.k8s.io/v1",
    )
    assert document["status"]["token"] == "secret-token"
    assert document["status"]["expirationTimestamp"].endswith("Z")
    assert ended.returncode == 0


def test_kubernetes_own_package_uses_the_plugin(
    service: GkeService, config: Path, account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from higgsdemo.clusters.contexts import load_login

    create_all(Gke.open(WISHES), THREE[:1], kubeconfig=config)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account))
    login = load_login("kubecon-demo-0", config)
    assert [each.split()[-1] for each in login.api_key.values()] == ["secret-token"]


def test_the_plugin_says_in_a_line_why_not(
    service: GkeService, config: Path, tmp_path: Path
) -> None:
    create_all(Gke.open(WISHES), THREE[:1], kubeconfig=config)
    ended = plugin(config, tmp_path / "absent.json")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith("no token for Google Cloud: ")
    assert ended.stderr.count("\n") == 1
