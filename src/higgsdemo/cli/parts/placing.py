"""The options of clusters: which ones, what pods are like (see `pods`), where results go.

@cluster_options
def submit(..., placing: Placing) -> None:
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from higgsdemo.cli.parts.options import gathered, key_values, redis_url
from higgsdemo.clusters.labels import NAMESPACE, check_namespace
from higgsdemo.clusters.scheduling import read_node_selector, read_toleration
from higgsdemo.errors import UsageError
from higgsdemo.storage import has_secret

_PANEL = "Kubernetes"
_SECRET_WORDS = ("SECRET_ACCESS", "SECRET_KEY", "ACCESS_KEY", "PASSWORD", "TOKEN", "CREDENTIAL")


def _option(*names: str, **said: Any) -> Any:
    return typer.Option(*names, rich_help_panel=_PANEL, **said)


@dataclass(frozen=True)
class Placing:
    """What the options of clusters say."""

    clusters: tuple[str, ...]
    kubeconfig: Path | None
    namespace: str
    image: str
    sinks: tuple[str, ...]
    storage_type: str
    cpu: str
    backoff_limit: int
    parallelism: int
    tasks_per_pod: int
    queue_name: str
    spot: bool
    node_selector: Mapping[str, str]
    tolerations: tuple[Mapping[str, str], ...]
    resources: Mapping[str, str]
    claims: Mapping[str, str]
    environment: Mapping[str, str]
    pull_secret: str
    pull_policy: str
    patience_s: float


def cluster_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of clusters; it has them as one `Placing`, called `placing`."""
    return gathered(command, "placing", _chosen)


def _chosen(
    *,
    clusters: Annotated[
        str, _option(metavar="C1,C2", help="Contexts of the kubeconfig; tasks are shared out.")
    ] = "",
    cluster: Annotated[str, _option("--cluster", metavar="C", help="One of them only.")] = "",
    kubeconfig: Annotated[
        Path | None,
        _option(metavar="FILE", help="Kubeconfig.", show_default="KUBECONFIG or ~/.kube/config"),
    ] = None,
    namespace: Annotated[str, _option(help="Namespace of everything.")] = NAMESPACE,
    image: Annotated[str, _option(envvar="HIGGSDEMO_IMAGE", help="Image of the workers.")] = "",
    sink: Annotated[
        list[str] | None,
        _option(
            "--sink",
            metavar="URL",
            help="Where results go: s3://BUCKET/PREFIX, gs://..., redis://HOST:PORT/DB; may be "
            "repeated, a store as record and Redis as bus.",
        ),
    ] = None,
    redis_host: Annotated[
        str, _option(metavar="HOST[:PORT]", help="Results over this Redis: a --sink.")
    ] = "",
    output_bucket: Annotated[
        str, _option(metavar="BUCKET", help="Results into this bucket: a --sink.")
    ] = "",
    storage_type: Annotated[str, _option(help="Of buckets: s3 or gcs.")] = "s3",
    gcs_project_id: Annotated[
        str, _option(metavar="PROJECT", help="Google project that pays for requests.")
    ] = "",
    cpu_limit: Annotated[str, _option(metavar="CPU", help="Cores of a pod, e.g. 500m.")] = "1",
    backoff_limit: Annotated[
        int, _option(min=0, help="How often a cluster tries a pod again before we decide.")
    ] = 2,
    parallelism: Annotated[
        int, _option(min=0, help="Pods at once in a cluster (0: as many as have room).")
    ] = 0,
    tasks_per_pod: Annotated[
        str, _option(metavar="N|auto", help="Tasks that a pod does, one after another.")
    ] = "auto",
    queue_name: Annotated[str, _option(metavar="QUEUE", help="Queue of Kueue.")] = "",
    spot: Annotated[
        bool, _option("--spot", help="Also on machines that may be taken away.")
    ] = False,
    node_selector: Annotated[
        list[str] | None, _option(metavar="KEY=VALUE", help="Only on such nodes; may be repeated.")
    ] = None,
    toleration: Annotated[
        list[str] | None,
        _option(metavar="KEY[=VALUE][:EFFECT]", help="Also on nodes with this taint."),
    ] = None,
    resource: Annotated[
        list[str] | None,
        _option(metavar="NAME=N", help="Of a pod besides, e.g. nvidia.com/gpu=1."),
    ] = None,
    claim: Annotated[
        list[str] | None,
        _option(metavar="NAME:/PATH", help="Mount this persistent volume claim there."),
    ] = None,
    env: Annotated[
        list[str] | None,
        _option(metavar="KEY=VALUE", help="A variable of the workers; no secrets."),
    ] = None,
    pull_secret: Annotated[
        str, _option(metavar="NAME", help="Secret of the namespace that the registry asks for.")
    ] = "",
    pull_policy: Annotated[str, _option(help="IfNotPresent, Always or Never.")] = "IfNotPresent",
    cluster_patience: Annotated[
        float,
        _option(
            min=1, metavar="SECONDS", help="A cluster silent for longer is given up: others go on."
        ),
    ] = 300,
) -> Placing:
    """Check what the options say."""
    if storage_type not in ("s3", "gcs"):
        raise UsageError(f"--storage-type is s3 or gcs, not {storage_type!r}")
    if pull_policy not in ("IfNotPresent", "Always", "Never"):
        raise UsageError(f"--pull-policy is IfNotPresent, Always or Never, not {pull_policy!r}")
    names = [name.strip() for name in clusters.split(",") if name.strip()]
    if cluster and names and cluster not in names:
        raise UsageError(f"--cluster {cluster} is none of --clusters {clusters}")
    sinks = list(sink or [])
    if output_bucket:
        scheme = "s3" if storage_type == "s3" else "gs"
        sinks.append(
            f"{scheme}://{output_bucket.removeprefix(f'{scheme}://').rstrip('/')}/higgsdemo"
        )
    if redis_host:
        sinks.append(redis_url(redis_host))
    environment = key_values(env or [], "--env")
    for name, value in environment.items():
        if any(word in name.upper() for word in _SECRET_WORDS) or has_secret(value):
            raise UsageError(
                f"--env {name} looks like a secret",
                hint="pods read secrets from a mounted Secret: higgsdemo prepare puts it there",
            )
    if gcs_project_id:
        environment["GOOGLE_CLOUD_PROJECT"] = gcs_project_id
    return Placing(
        clusters=tuple(dict.fromkeys([cluster] if cluster else names)),
        kubeconfig=kubeconfig,
        namespace=check_namespace(namespace),
        image=image,
        sinks=tuple(dict.fromkeys(sinks)),
        storage_type=storage_type,
        cpu=_quantity(cpu_limit),
        backoff_limit=backoff_limit,
        parallelism=parallelism,
        tasks_per_pod=_per_pod(tasks_per_pod),
        queue_name=queue_name,
        spot=spot,
        node_selector=read_node_selector(node_selector or ()) or {},
        tolerations=tuple(read_toleration(each) for each in toleration or ()),
        resources=key_values(resource or [], "--resource"),
        claims=dict(_claim(each) for each in claim or ()),
        environment=environment,
        pull_secret=pull_secret,
        pull_policy=pull_policy,
        patience_s=cluster_patience,
    )


def _quantity(text: str) -> str:
    from higgsdemo.clusters.capacity import quantity

    if quantity(text) <= 0:
        raise UsageError(f"a pod needs more CPU than {text}", hint="e.g. --cpu-limit 1")
    return text


def _per_pod(text: str) -> int:
    if text == "auto":
        return 0
    if text.isdecimal() and 0 < int(text) <= 1000:
        return int(text)
    raise UsageError(f"--tasks-per-pod is a number from 1 to 1000, or auto, not {text!r}")


def _claim(text: str) -> tuple[str, str]:
    name, colon, path = text.partition(":")
    if not colon or not name or not path.startswith("/"):
        raise UsageError(f"--claim {text!r} is not NAME:/PATH")
    return name, path.rstrip("/") or "/"
