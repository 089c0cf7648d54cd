"""Provider `gke`: Google Kubernetes Engine, by Google's own client. No gcloud is needed.

As in the 2019 demo a cluster is regional, and `nodes` is the number in each zone of the region
(three as a rule: 10 entries of 22 nodes are 660 machines). With a zone as location it is the number
of all. A context written here gets its tokens from `higgsdemo.clusters.providers.gke_token`.
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from higgsdemo.clusters.kubeconfig import Entry
from higgsdemo.clusters.providers.protocol import LABEL, VALUE, Found, State, Wanted, Wishes
from higgsdemo.errors import CredentialsError, HiggsdemoError, TransientError, UsageError
from higgsdemo.storage.extras import optional

# Google's own tools read this variable: another address of the service.
ENDPOINT = "CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER"
_ANSWER_S = 60.0
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")
_ZONE = re.compile(r".+-[a-z]")
_DISK_GB = 90  # as in the 2019 demo: image and logs; data go to memory
_TOKENS = "higgsdemo.clusters.providers.gke_token"
_LOGIN = (
    "name a service account's file in GOOGLE_APPLICATION_CREDENTIALS,"
    " or: gcloud auth application-default login"
)
_STATES = {
    "PROVISIONING": State.CREATING,
    "RUNNING": State.READY,
    "RECONCILING": State.READY,
    "STOPPING": State.DELETING,
    "ERROR": State.FAILED,
    "DEGRADED": State.FAILED,
}


class Gke:
    """Clusters of a Google Cloud project in one region or zone."""

    name = "gke"
    poll_s = 10.0

    def __init__(self, client: Any, wishes: Wishes) -> None:
        self._client = client
        self._wishes = wishes
        self._parent = f"projects/{wishes.project}/locations/{wishes.location}"
        if os.environ.get(ENDPOINT, "").startswith("http:"):
            self.poll_s = 0.05  # a service on this machine

    @classmethod
    def open(cls, wishes: Wishes) -> Gke:
        """Sign in. Raises UsageError without a project, CredentialsError without credentials."""
        container = optional("google.cloud.container_v1", "gke", "provider gke")
        if not wishes.project:
            raise UsageError(
                "a project is needed for Google's clusters",
                hint="name it: --gcs-project-id PROJECT, or set GOOGLE_CLOUD_PROJECT",
            )
        return cls(_client(container), wishes)

    def check(self, wanted: Wanted) -> None:
        """Raise UsageError for what GKE can never make."""
        if not _NAME.fullmatch(wanted.name):
            raise UsageError(
                f"{wanted.name!r} cannot be the name of a cluster of GKE",
                why="small letters, digits and '-', at most 40, a letter first",
                hint="choose another --prefix",
            )
        if not wanted.flavor or wanted.nodes < 1:
            raise UsageError(
                f"the mapping does not say which machines cluster {wanted.name} has",
                hint='give its entry "flavor" and "nodes", e.g. "n1-highmem-16" and 22',
            )

    def describe(self, wanted: Wanted) -> str:
        """Say machines and where."""
        spot = "spot " if self._wishes.spot else ""
        zonal = _ZONE.fullmatch(self._wishes.location)
        where = self._wishes.location if zonal else f"each zone of {self._wishes.location}"
        return f"{wanted.nodes} {spot}{wanted.flavor} in {where}"

    def create(self, wanted: Wanted) -> None:
        """Ask for the cluster."""
        from google.api_core.exceptions import AlreadyExists

        with _told(f"GKE does not make cluster {wanted.name}", self._parent):
            try:
                self._client.create_cluster(
                    request={"parent": self._parent, "cluster": self._cluster(wanted)},
                    timeout=_ANSWER_S,
                )
            except AlreadyExists:
                return

    def look(self, name: str) -> Found:
        """Return the cluster as GKE has it."""
        cluster = self._get(name)
        return Found(name, State.ABSENT) if cluster is None else _found(cluster)

    def delete(self, name: str) -> None:
        """Ask for its end."""
        from google.api_core.exceptions import NotFound

        with _told(f"GKE does not delete cluster {name}", self._parent):
            try:
                self._client.delete_cluster(
                    request={"name": f"{self._parent}/clusters/{name}"}, timeout=_ANSWER_S
                )
            except NotFound:
                return

    def named(self, prefix: str) -> tuple[Found, ...]:
        """Return the clusters of the prefix in this location."""
        with _told("GKE does not list clusters", self._parent):
            answer = self._client.list_clusters(request={"parent": self._parent}, timeout=_ANSWER_S)
        return tuple(_found(one) for one in answer.clusters if one.name.startswith(prefix))

    def entry(self, name: str) -> Entry:
        """Return how to reach the cluster: its tokens are made by this Python when asked for."""
        cluster = self._get(name)
        if cluster is None or not cluster.endpoint:
            raise TransientError(f"cluster {name} has no address yet", where=self._parent)
        user = {
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": sys.executable,
                "args": ["-P", "-m", _TOKENS],
                "interactiveMode": "Never",
                "installHint": "pip install 'higgsdemo[gke]'",
                "provideClusterInfo": False,
            }
        }
        return Entry(
            name, f"https://{cluster.endpoint}", cluster.master_auth.cluster_ca_certificate, user
        )

    def _get(self, name: str) -> Any:
        from google.api_core.exceptions import NotFound

        with _told(f"GKE does not show cluster {name}", self._parent):
            try:
                return self._client.get_cluster(
                    request={"name": f"{self._parent}/clusters/{name}"}, timeout=_ANSWER_S
                )
            except NotFound:
                return None

    def _cluster(self, wanted: Wanted) -> dict[str, Any]:
        """Return the cluster as GKE's API takes it."""
        cluster: dict[str, Any] = {
            "name": wanted.name,
            "resource_labels": {LABEL: VALUE},
            "node_pools": [
                {
                    "name": "workers",
                    "initial_node_count": wanted.nodes,
                    "config": {
                        "machine_type": wanted.flavor,
                        "disk_size_gb": _DISK_GB,
                        "disk_type": "pd-ssd",
                        "spot": self._wishes.spot,
                        "metadata": {"disable-legacy-endpoints": "true"},
                        "labels": {LABEL: VALUE},
                        "resource_labels": {LABEL: VALUE},
                    },
                    # A demo lives for an hour: nodes are not mended or upgraded under it.
                    "management": {"auto_repair": False, "auto_upgrade": False},
                }
            ],
            "ip_allocation_policy": {"use_ip_aliases": True},
            # Enforces NetworkPolicy, which the plain data path does not.
            "network_config": {"datapath_provider": "ADVANCED_DATAPATH"},
            "logging_service": "none",
            "monitoring_service": "none",
            # Without a channel GKE lets node pools be without upgrades.
            "release_channel": {"channel": "UNSPECIFIED"},
        }
        if self._wishes.version:
            cluster["initial_cluster_version"] = self._wishes.version
        return cluster


def _client(container: Any) -> Any:
    from google.auth.credentials import AnonymousCredentials
    from google.auth.exceptions import DefaultCredentialsError

    endpoint = os.environ.get(ENDPOINT, "").rstrip("/")
    try:
        if not endpoint:
            return container.ClusterManagerClient()
        if endpoint.startswith("http:"):
            grpc = optional("grpc", "gke", "provider gke")
            address = _loopback(endpoint)
            transport = container.ClusterManagerClient.get_transport_class("grpc")(
                host=address,
                channel=grpc.insecure_channel(address),
                credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
            )
            return container.ClusterManagerClient(transport=transport)
        host = urlsplit(endpoint).netloc or endpoint
        return container.ClusterManagerClient(client_options={"api_endpoint": host})
    except DefaultCredentialsError as error:
        why = str(error).split(". ")[0]
        raise CredentialsError("not signed in to Google Cloud", why=why, hint=_LOGIN) from error


def _loopback(endpoint: str) -> str:
    """Return host:port. Raises UsageError where plain text would leave this machine."""
    parts = urlsplit(endpoint)
    try:
        inside = ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        inside = parts.hostname == "localhost"
    if not inside or parts.port is None:
        raise UsageError(
            "without encryption only a service on this machine is spoken to",
            where=f"{ENDPOINT}={endpoint}",
            hint="e.g. http://127.0.0.1:8080; or an address with https:",
        )
    return f"{parts.hostname}:{parts.port}"


def _found(cluster: Any) -> Found:
    why = cluster.status_message or "; ".join(
        condition.message for condition in cluster.conditions if condition.message
    )
    pools = list(cluster.node_pools)
    return Found(
        cluster.name,
        _STATES.get(cluster.status.name, State.CREATING),
        why,
        pools[0].config.machine_type if pools else "",
        pools[0].initial_node_count if pools else 0,
        ours=cluster.resource_labels.get(LABEL) == VALUE,
    )


@contextmanager
def _told(what: str, where: str) -> Iterator[None]:
    """Turn what Google's client raises into what a user can act on."""
    from google.api_core import exceptions as google
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (google.Unauthenticated, GoogleAuthError) as error:
        raise CredentialsError(
            "not signed in to Google Cloud", why=_words(error), where=where, hint=_LOGIN
        ) from error
    except google.PermissionDenied as error:
        raise CredentialsError(
            what,
            why=_words(error),
            where=where,
            hint="ask for the role Kubernetes Engine Admin in the project, or another project",
        ) from error
    except google.ResourceExhausted as error:
        raise HiggsdemoError(
            what,
            why=_words(error),
            where=where,
            hint="ask for more quota, or use fewer or smaller nodes",
        ) from error
    except (
        google.ServerError,
        google.Aborted,
        google.Cancelled,
        google.FailedPrecondition,  # another operation is under way: wait for it
        google.RetryError,
    ) as error:
        raise TransientError(what, why=_words(error), where=where) from error
    except google.GoogleAPICallError as error:
        raise UsageError(what, why=_words(error), where=where) from error


def _words(error: Exception) -> str:
    return " ".join(str(getattr(error, "message", "") or error).split())
