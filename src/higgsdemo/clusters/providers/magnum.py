"""Provider `magnum`: OpenStack's clusters, by openstacksdk.

A cluster template of the cloud says which image, network and version; mapping entries say flavor
and number of nodes. A context gets a client certificate that Magnum signs, as its own tools do.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from higgsdemo.clusters.kubeconfig import Entry
from higgsdemo.clusters.providers.protocol import LABEL, VALUE, Found, State, Wanted, Wishes
from higgsdemo.errors import CredentialsError, HiggsdemoError, TransientError, UsageError, nearest
from higgsdemo.storage.extras import optional

_CREATE_MINUTES = 60
_LOGIN = "name a cloud of clouds.yaml with --os-cloud, or set the variables OS_*"
_STATES = {
    "CREATE_IN_PROGRESS": State.CREATING,
    "CREATE_COMPLETE": State.READY,
    "UPDATE_IN_PROGRESS": State.READY,
    "UPDATE_COMPLETE": State.READY,
    "CREATE_FAILED": State.FAILED,
    "UPDATE_FAILED": State.FAILED,
    "DELETE_IN_PROGRESS": State.DELETING,
    "DELETE_COMPLETE": State.ABSENT,
    "DELETE_FAILED": State.FAILED,
}


class Magnum:
    """Clusters of an OpenStack project."""

    name = "magnum"
    poll_s = 10.0

    def __init__(self, connection: Any, wishes: Wishes) -> None:
        self._connection = connection
        self._wishes = wishes
        self._one_call = threading.Lock()  # a connection is not promised to be thread-safe

    @classmethod
    def open(cls, wishes: Wishes) -> Magnum:
        """Sign in. Raises UsageError without a cloud, CredentialsError where it refuses."""
        openstack = optional("openstack", "magnum", "provider magnum")
        with _told("cannot sign in to OpenStack", "the cloud"):
            connection = openstack.connect(**({"cloud": wishes.cloud} if wishes.cloud else {}))
        return cls(connection, wishes)

    def check(self, wanted: Wanted) -> None:
        """Raise UsageError for what Magnum can never make."""
        if not self._wishes.template:
            known = [one["name"] for one in self._templates()]
            raise UsageError(
                "a cluster template is needed",
                hint=f"choose one with --cluster-template: {', '.join(known) or 'none is there'}",
            )
        if wanted.nodes < 1:
            raise UsageError(
                f"the mapping does not say how many nodes cluster {wanted.name} has",
                hint='give its entry "nodes", and "flavor" with a flavor of your cloud',
            )

    def describe(self, wanted: Wanted) -> str:
        """Say machines and template."""
        flavor = wanted.flavor or "nodes as the template says"
        return f"{wanted.nodes} {flavor}, template {self._wishes.template}"

    def create(self, wanted: Wanted) -> None:
        """Ask for the cluster."""
        template = self._template()
        request: dict[str, Any] = {
            "name": wanted.name,
            "cluster_template_id": template["uuid"],
            "node_count": wanted.nodes,
            "master_count": 1,
            "create_timeout": _CREATE_MINUTES,
            # What is given here replaces the labels of the template: keep them.
            "labels": {**(template.get("labels") or {}), LABEL: VALUE},
        }
        if wanted.flavor:
            request["flavor_id"] = wanted.flavor
        if self._wishes.keypair:
            request["keypair"] = self._wishes.keypair
        self._ask(f"Magnum does not make cluster {wanted.name}", "POST", "/clusters", request)

    def look(self, name: str) -> Found:
        """Return the cluster as Magnum has it."""
        cluster = self._get(name)
        return Found(name, State.ABSENT) if cluster is None else _found(cluster)

    def delete(self, name: str) -> None:
        """Ask for its end."""
        cluster = self._get(name)
        if cluster is not None:
            what = f"Magnum does not delete cluster {name}"
            self._ask(what, "DELETE", f"/clusters/{cluster['uuid']}")

    def named(self, prefix: str) -> tuple[Found, ...]:
        """Return the clusters of the prefix."""
        listed = self._ask("Magnum does not list clusters", "GET", "/clusters")["clusters"]
        names = [one["name"] for one in listed if (one["name"] or "").startswith(prefix)]
        found = [self._get(name) for name in names]
        return tuple(_found(one) for one in found if one is not None)

    def entry(self, name: str) -> Entry:
        """Return how to reach the cluster, with a certificate that Magnum signs now."""
        cluster = self._get(name)
        if cluster is None or not cluster.get("api_address"):
            raise TransientError(f"cluster {name} has no address yet")
        key, request = _signing_request()
        what = f"Magnum does not sign a certificate for cluster {name}"
        authority = self._ask(what, "GET", f"/certificates/{cluster['uuid']}")
        signed = self._ask(
            what, "POST", "/certificates", {"cluster_uuid": cluster["uuid"], "csr": request}
        )
        user = {"client-certificate-data": _data(signed["pem"]), "client-key-data": _data(key)}
        return Entry(name, cluster["api_address"], _data(authority["pem"]), user)

    def _get(self, name: str) -> dict[str, Any] | None:
        what = f"Magnum does not show cluster {name}"
        listed = self._ask(what, "GET", "/clusters")["clusters"]
        mine = [one["uuid"] for one in listed if one["name"] == name]
        if len(mine) > 1:  # names need not be unique there
            raise HiggsdemoError(
                f"there are {len(mine)} clusters of the name {name}",
                why=", ".join(mine),
                hint="delete those that are not needed with the tools of your cloud",
            )
        found = self._ask(what, "GET", f"/clusters/{mine[0]}", missing=True) if mine else None
        return dict(found) if found else None

    def _template(self) -> dict[str, Any]:
        wanted = self._wishes.template
        found = self._templates()
        for one in found:
            if wanted in (one["uuid"], one["name"]):
                return one
        known = [one["name"] for one in found]
        raise UsageError(
            f"the cloud has no cluster template {wanted!r}",
            nearest=nearest(wanted, known),
            hint=f"there are: {', '.join(known) or 'none'}",
        )

    def _templates(self) -> list[dict[str, Any]]:
        what = "Magnum does not list its cluster templates"
        return list(self._ask(what, "GET", "/clustertemplates")["clustertemplates"])

    def _ask(
        self,
        what: str,
        method: str,
        path: str,
        document: dict[str, Any] | None = None,
        *,
        missing: bool = False,
    ) -> Any:
        """Ask Magnum for plain JSON; the SDK's own class of a cluster lacks why it failed.

        With `missing`, what is not there is None.
        """
        with self._one_call, _told(what, "the cloud"):
            magnum = self._connection.container_infrastructure_management
            more = {} if document is None else {"json": document}
            answer = magnum.request(path, method, raise_exc=False, **more)
            if answer.status_code == 404 and (missing or method == "DELETE"):
                return None
            if answer.status_code >= 400:
                raise _refusal(what, answer)
            return answer.json() if answer.content else None


def _found(cluster: dict[str, Any]) -> Found:
    return Found(
        cluster["name"],
        _STATES.get(cluster.get("status") or "", State.CREATING),
        cluster.get("status_reason") or "",
        cluster.get("flavor_id") or "",
        cluster.get("node_count") or 0,
        ours=(cluster.get("labels") or {}).get(LABEL) == VALUE,
    )


def _signing_request() -> tuple[str, str]:
    """Return a new private key and a request for an administrator's certificate, as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "admin"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"),
        ]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    signed = request.sign(key, hashes.SHA256())
    return private.decode(), signed.public_bytes(serialization.Encoding.PEM).decode()


def _data(pem: str) -> str:
    return base64.b64encode(pem.encode()).decode()


@contextmanager
def _told(what: str, where: str) -> Iterator[None]:
    """Turn what openstacksdk raises into what a user can act on."""
    from keystoneauth1 import exceptions as keystone
    from openstack import exceptions as openstack

    try:
        yield
    except keystone.Unauthorized as error:
        raise CredentialsError(what, why=_words(error), where=where, hint=_LOGIN) from error
    except (openstack.ConfigException, keystone.MissingRequiredOptions) as error:
        raise UsageError(what, why=_words(error), where=where, hint=_LOGIN) from error
    except (keystone.ConnectFailure, keystone.HttpServerError) as error:
        raise TransientError(what, why=_words(error), where=where) from error
    except (openstack.SDKException, keystone.ClientException) as error:
        raise HiggsdemoError(what, why=_words(error), where=where) from error


def _refusal(what: str, answer: Any) -> HiggsdemoError:
    """Return the error for a refusal of Magnum, in its own words."""
    status = answer.status_code
    try:
        first = answer.json()["errors"][0]
        why = first.get("detail") or first.get("title")
    except (ValueError, LookupError, TypeError, AttributeError):
        why = None
    why, where = why or answer.reason, f"{answer.url}, status {status}"
    if status == 401:
        return CredentialsError(what, why=why, where=where, hint=_LOGIN)
    if status in (409, 429) or status >= 500:
        return TransientError(what, why=why, where=where)
    hint = "ask those who run the cloud for the right or the quota" if status == 403 else None
    return HiggsdemoError(what, why=why, where=where, hint=hint)


def _words(error: Exception) -> str:
    return " ".join(str(getattr(error, "details", "") or error).split())
