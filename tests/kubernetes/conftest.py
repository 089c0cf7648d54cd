"""The stage of whole runs: three real clusters for all tests of this folder."""

from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.kubernetes.client import write_kubeconfig
from tests.kubernetes.fixtures import RealCluster, WorkerImage
from tests.kubernetes.laboratory import Commands, stores
from tests.kubernetes.registry import Registry
from tests.kubernetes.stage import Stage, in_buckets
from tests.services.redis import RedisServer
from tests.services.s3 import S3Server


@pytest.fixture(scope="session")
def stage(
    real_clusters: Callable[[int], Sequence[RealCluster]],
    worker_image: WorkerImage,
    image_registry: Registry,
    s3: S3Server,
    redis: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """Three real clusters, data in S3, a Redis, and the worker's image in a registry."""
    clusters = real_clusters(3)
    folder = tmp_path_factory.mktemp("stage")
    config = write_kubeconfig(
        folder / "kubeconfig", [cluster.control_plane.context() for cluster in clusters]
    )
    with stores(s3, redis, clusters[0].gateway) as found:
        yield Stage(
            clusters,
            Commands(folder, {**found.environment, "KUBECONFIG": str(config)}),
            found,
            in_buckets(s3, folder / "data"),
            image_registry.push(worker_image.archive, "worker:1"),
            (f"s3://{s3.create_bucket()}/results", found.bus),
        )
