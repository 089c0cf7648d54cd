"""A service that speaks the gRPC protocol of GKE's ClusterManager and keeps clusters in memory.

It shows that our requests are well-formed, that clusters are waited for and refusals understood. It
cannot show that Google accepts what a request asks for, nor quota, networks or real tokens.
"""

import base64
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.cloud import container_v1 as gke

from tests.services.process import LOOPBACK

CA = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nnot one\n-----END CERTIFICATE-----\n").decode()
STATUS = gke.Cluster.Status


class GkeService:
    """Clusters by full name; each look at one moves it `looks` steps towards its end."""

    def __init__(self, looks: int = 2) -> None:
        self.looks = looks
        self.clusters: dict[str, Any] = {}
        self.created: list[Any] = []  # every request to create, in order
        self.deleted: list[str] = []
        self.calls: list[str] = []
        self.refuse: dict[
            str, tuple[grpc.StatusCode, str, int]
        ] = {}  # method -> code, words, times
        self.fail: dict[str, str] = {}  # short name -> why it will never be ready
        self._left: dict[str, int] = {}
        self._lock = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(8))
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                self._guarded(name, method),
                request_deserializer=request.deserialize,
                response_serializer=answer.serialize,
            )
            for name, method, request, answer in (
                ("CreateCluster", self._create, gke.CreateClusterRequest, gke.Operation),
                ("GetCluster", self._get, gke.GetClusterRequest, gke.Cluster),
                ("DeleteCluster", self._delete, gke.DeleteClusterRequest, gke.Operation),
                ("ListClusters", self._list, gke.ListClustersRequest, gke.ListClustersResponse),
            )
        }
        generic = grpc.method_handlers_generic_handler(
            "google.container.v1.ClusterManager", handlers
        )
        self._server.add_generic_rpc_handlers((generic,))
        self.port = self._server.add_insecure_port(f"{LOOPBACK}:0")
        self.endpoint = f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop(grace=None).wait()

    def put(
        self, parent: str, name: str, status: Any = STATUS.RUNNING, *, ours: bool = True
    ) -> None:
        """Have a cluster there already."""
        labels = {"managed-by": "higgsdemo"} if ours else {}
        self.clusters[f"{parent}/clusters/{name}"] = gke.Cluster(
            name=name, status=status, resource_labels=labels, endpoint="10.1.2.3"
        )

    def names(self) -> list[str]:
        with self._lock:
            return sorted(cluster.name for cluster in self.clusters.values())

    def _guarded(self, name: str, method: Any) -> Any:
        def call(request: Any, context: Any) -> Any:
            with self._lock:
                self.calls.append(name)
                if name in self.refuse:
                    code, words, times = self.refuse[name]
                    if times:
                        self.refuse[name] = (code, words, times - 1)
                        context.abort(code, words)
                return method(request, context)

        return call

    def _create(self, request: Any, context: Any) -> Any:
        full = f"{request.parent}/clusters/{request.cluster.name}"
        if full in self.clusters:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, f"Already exists: {full}")
        self.created.append(request)
        cluster = request.cluster
        cluster.status = STATUS.PROVISIONING
        self.clusters[full] = cluster
        self._left[full] = self.looks
        return gke.Operation(name=f"operation-{len(self.created)}")

    def _get(self, request: Any, context: Any) -> Any:
        full = request.name
        if full not in self.clusters:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Not found: {full}")
        cluster = self.clusters[full]
        self._move(full, cluster)
        if full not in self.clusters:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Not found: {full}")
        return cluster

    def _move(self, full: str, cluster: Any) -> None:
        if cluster.status not in (STATUS.PROVISIONING, STATUS.STOPPING):
            return
        self._left[full] = self._left.get(full, self.looks) - 1
        if self._left[full] > 0:
            return
        if cluster.status == STATUS.STOPPING:
            del self.clusters[full]
        elif cluster.name in self.fail:
            cluster.status = STATUS.ERROR
            cluster.status_message = self.fail[cluster.name]
        else:
            cluster.status = STATUS.RUNNING
            cluster.endpoint = "10.1.2.3"
            cluster.master_auth = gke.MasterAuth(cluster_ca_certificate=CA)

    def _delete(self, request: Any, context: Any) -> Any:
        full = request.name
        if full not in self.clusters:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Not found: {full}")
        cluster = self.clusters[full]
        if cluster.status == STATUS.PROVISIONING:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "Cluster is being created.")
        self.deleted.append(cluster.name)
        cluster.status = STATUS.STOPPING
        self._left[full] = self.looks
        return gke.Operation(name="operation-delete")

    def _list(self, request: Any, context: Any) -> Any:
        begin = f"{request.parent}/clusters/"
        return gke.ListClustersResponse(
            clusters=[one for full, one in self.clusters.items() if full.startswith(begin)]
        )


@contextmanager
def gke_service(looks: int = 2) -> Iterator[GkeService]:
    """Run the service on a free port."""
    service = GkeService(looks)
    service.start()
    try:
        yield service
    finally:
        service.stop()
