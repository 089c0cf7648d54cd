"""openstacksdk against a service that speaks Keystone and Magnum."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from higgsdemo.clusters.providers import State, Wanted, Wishes, create_all, delete_all
from higgsdemo.clusters.providers.magnum import Magnum
from higgsdemo.errors import CredentialsError, HiggsdemoError, UsageError
from tests.services.magnum import MagnumService, magnum_service

# openstacksdk warns of what it does itself
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:openstack"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning:openstack"),
]
WISHES = Wishes(template="kubernetes-1.34", keypair="demo")
TWO = [Wanted(f"kubecon-demo-{n}", "m2.xlarge", 4) for n in range(2)]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MagnumService]:
    monkeypatch.setenv("HOME", str(tmp_path))  # no clouds.yaml of the user's own
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Magnum, "poll_s", 0.05)
    with magnum_service() as running:
        for key, value in running.environment.items():
            monkeypatch.setenv(key, value)
        yield running


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config"


def test_clusters_are_made_from_the_template(service: MagnumService, config: Path) -> None:
    magnum = Magnum.open(WISHES)
    ended = create_all(magnum, TWO, kubeconfig=config)
    assert [(one.state, one.error) for one in ended] == [(State.READY, None)] * 2
    assert service.names() == [one.name for one in TWO]
    asked = next(one for one in service.created if one["name"] == "kubecon-demo-1")
    assert asked["cluster_template_id"] == service.templates[0]["uuid"]
    assert (asked["flavor_id"], asked["node_count"], asked["keypair"]) == ("m2.xlarge", 4, "demo")
    # The labels of the template are kept: without them the cloud would take other defaults.
    assert asked["labels"] == {"kube_tag": "v1.34.2", "managed-by": "higgsdemo"}
    create_all(magnum, TWO, kubeconfig=config)
    assert len(service.created) == 2


def test_the_context_has_a_certificate_that_magnum_signed(
    service: MagnumService, config: Path
) -> None:
    create_all(Magnum.open(WISHES), TWO[:1], kubeconfig=config)
    document = yaml.safe_load(config.read_text())
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    assert cluster["server"] == "https://10.0.0.1:6443"
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    assert authority == service.authority.pem
    signed = x509.load_pem_x509_certificate(base64.b64decode(user["client-certificate-data"]))
    signed.verify_directly_issued_by(service.authority.certificate)
    subject = {each.oid: each.value for each in signed.subject}
    assert subject[NameOID.ORGANIZATION_NAME] == "system:masters"
    key = serialization.load_pem_private_key(base64.b64decode(user["client-key-data"]), None)
    assert key.public_key() == signed.public_key()


def test_failures_are_told_in_the_words_of_the_cloud(service: MagnumService, config: Path) -> None:
    service.fail["kubecon-demo-0"] = "No valid host was found."
    ended = create_all(Magnum.open(WISHES), TWO, kubeconfig=config)
    assert [one.state for one in ended] == [State.FAILED, State.READY]
    assert "No valid host was found." in str(ended[0].error)


def test_deleted_and_waited_for(service: MagnumService, config: Path) -> None:
    magnum = Magnum.open(WISHES)
    create_all(magnum, TWO, kubeconfig=config)
    service.put("of-somebody-else", ours=False)
    names = [*(one.name for one in TWO), "of-somebody-else"]
    ended = delete_all(magnum, names, kubeconfig=config)
    assert [one.state for one in ended] == [State.ABSENT, State.ABSENT, State.READY]
    assert "left alone" in str(ended[2].error)
    assert service.names() == ["of-somebody-else"]
    assert yaml.safe_load(config.read_text())["contexts"] == []


def test_clusters_of_a_prefix(service: MagnumService) -> None:
    service.put("kubecon-demo-5")
    service.put("kubecon-demo-6", "CREATE_FAILED", ours=False)
    service.put("other")
    found = Magnum.open(WISHES).named("kubecon-demo-")
    assert [(one.name, one.state, one.ours) for one in found] == [
        ("kubecon-demo-5", State.READY, True),
        ("kubecon-demo-6", State.FAILED, False),
    ]


def test_an_unknown_template_is_told_with_the_nearest(service: MagnumService, config: Path) -> None:
    magnum = Magnum.open(Wishes(template="kubernetes-1.43"))
    (ended,) = create_all(magnum, TWO[:1], kubeconfig=config)
    assert "no cluster template 'kubernetes-1.43'" in str(ended.error)
    assert "kubernetes-1.34" in ended.error.nearest if ended.error else False


def test_without_a_template_the_ones_there_are_told(service: MagnumService) -> None:
    with pytest.raises(UsageError, match=r"1\.34-gpu"):
        Magnum.open(Wishes()).check(TWO[0])


def test_without_nodes(service: MagnumService) -> None:
    with pytest.raises(UsageError, match="how many nodes"):
        Magnum.open(WISHES).check(Wanted("a", "m2.large", 0))


def test_a_wrong_password(service: MagnumService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_PASSWORD", "wrong")
    with pytest.raises(CredentialsError) as caught:
        Magnum.open(WISHES).look("a")
    assert "requires authentication" in str(caught.value)
    assert "wrong" not in str(caught.value).replace("went wrong", "")


def test_no_cloud_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="cannot sign in to OpenStack"):
        Magnum.open(Wishes(cloud="absent"))


@pytest.mark.parametrize("status", [500, 503, 429])
def test_trouble_that_passes_is_borne(service: MagnumService, config: Path, status: int) -> None:
    magnum = Magnum.open(WISHES)
    service.refuse += [("POST", "/container-infra/v1/clusters", status, "try later")]
    (ended,) = create_all(magnum, TWO[:1], kubeconfig=config)
    assert ended.state is State.READY
    assert len(service.created) == 1


def test_refusals_are_final(service: MagnumService, config: Path) -> None:
    service.refuse += [("POST", "/container-infra/v1/clusters", 403, "Quota exceeded")]
    (ended,) = create_all(Magnum.open(WISHES), TWO[:1], kubeconfig=config)
    assert isinstance(ended.error, HiggsdemoError)
    assert "Quota exceeded" in str(ended.error)
    assert service.created == []
