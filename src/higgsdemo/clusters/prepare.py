"""Making clusters ready for a run: all at once, each step repeatable."""

from __future__ import annotations

import base64
import re
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from higgsdemo.clusters import checks, documents, labels
from higgsdemo.clusters.api import Cluster
from higgsdemo.clusters.capacity import Capacity, capacity
from higgsdemo.clusters.documents import Document, Image, Scheduling
from higgsdemo.clusters.prepull import Pulled, pod_reasons, pull_everywhere
from higgsdemo.clusters.refusals import DeniedError
from higgsdemo.errors import HiggsdemoError, TransientError, UsageError

Value = TypeVar("Value")
_REDIS_S = 180.0
_PASSWORD = re.compile(rb"[!#-&(-\[\]-~]+")


@dataclass(frozen=True)
class Preparation:
    """What is to be made. `credentials` are files for workers by name; their repr is hidden."""

    namespace: str = labels.NAMESPACE
    image: Image | None = None
    credentials: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    scheduling: Scheduling = field(default_factory=Scheduling)
    egress_ports: tuple[int, ...] = ()
    grant: tuple[str, ...] = ()
    redis_image: str = ""  # empty: no Redis
    timeout_s: float = 900.0
    dry_run: bool = False


@dataclass(frozen=True)
class Prepared:
    """What came of it in one cluster."""

    cluster: str
    version: str
    capacity: Capacity | None  # None: its nodes may not be listed
    applied: tuple[str, ...]  # "Namespace higgsdemo", ...
    pulled: Pulled | None = None
    notes: tuple[str, ...] = ()


def prepare(
    cluster: Cluster,
    wanted: Preparation,
    tell: Callable[[str], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> Prepared:
    """Make one cluster ready. Nothing is made where a check fails.

    Repeated, it changes nothing that is as it should be. With `dry_run` the API server checks
    each document and keeps none. Raises UsageError (version, quota, image), CredentialsError
    (which verb on what), TransientError.
    """
    inside = labels.check_namespace(wanted.namespace)
    tell("checking version, permissions and quotas")
    version = checks.check_version(cluster)
    space = _namespace(cluster, inside)
    notes = _check(cluster, wanted, space)
    try:
        size = capacity(cluster, wanted.scheduling.tolerations)
    except DeniedError:
        size = None
        notes.append("capacity: not known, its nodes may not be listed")
    made: list[str] = []

    def apply(document: Document) -> None:
        place = document["metadata"]
        if not (wanted.dry_run and space is None and place.get("namespace")):
            cluster.apply(document, dry_run=wanted.dry_run)
        made.append(f"{document['kind']} {place['name']}")

    tell("namespace, service account, network policy")
    if not _restricted(space):
        apply(documents.namespace(inside, new=space is None or _is_ours(space)))
    apply(documents.service_account(inside))
    apply(documents.network_policy(inside, wanted.egress_ports))
    if wanted.grant:
        for document in documents.submitter(inside, wanted.grant):
            apply(document)
    known = _keys_kept(cluster, inside) if space is not None else None
    values = _credentials(wanted, known)
    if values is None:
        notes.append("credentials: kept as they are in the cluster")
    else:
        apply(documents.credentials(inside, values))
    if wanted.redis_image:
        for document in documents.redis(inside, wanted.redis_image, wanted.scheduling):
            apply(document)
    pulled = None
    if wanted.image and wanted.dry_run:
        apply(documents.prepull(inside, wanted.image, wanted.scheduling))
    elif wanted.image:
        pulled = pull_everywhere(
            cluster,
            inside,
            wanted.image,
            wanted.scheduling,
            timeout_s=wanted.timeout_s,
            tell=lambda seen: tell(progress_line(seen)),
            stop=stop,
        )
    if wanted.redis_image and not wanted.dry_run:
        tell("waiting for Redis")
        _wait_for_redis(cluster, inside)
        notes.append(f"Redis: redis://{labels.REDIS}.{inside}.svc:6379/0 (inside the cluster)")
    return Prepared(cluster.name, version, size, tuple(made), pulled, tuple(notes))


def in_parallel(
    clusters: Sequence[Cluster], do: Callable[[Cluster, threading.Event], Value]
) -> tuple[list[Value], list[HiggsdemoError]]:
    """Do something to all clusters at once; return what came of it, and what failed where.

    Interrupted, it sets the event, on which the others end soon, and waits for them.
    """
    done: list[Value] = []
    failed: list[HiggsdemoError] = []
    stop = threading.Event()
    with ThreadPoolExecutor(max(1, len(clusters)), thread_name_prefix="cluster") as pool:
        try:
            for future in [pool.submit(do, cluster, stop) for cluster in clusters]:
                try:
                    done.append(future.result())
                except HiggsdemoError as error:
                    failed.append(error)
        except BaseException:
            stop.set()
            raise
    return done, failed


def progress_line(seen: Pulled) -> str:
    """Return how far a pull is, and why not further, as one line."""
    line = f"image: {seen.ready} of {seen.nodes} nodes ready"
    return line + "".join(
        f"; {count}x {reason}" if count else f"; {reason}" for reason, count in seen.reasons
    )


def _check(cluster: Cluster, wanted: Preparation, space: Document | None) -> list[str]:
    """Check permissions and quotas; return what should be known though it is no error."""
    inside = wanted.namespace
    needs = [*checks.PREPARE]
    if not _restricted(space):
        needs.append(checks.Need("namespaces", ("create", "patch"), everywhere=True))
    if wanted.redis_image:
        needs += checks.PREPARE_REDIS
    if wanted.grant:
        needs += (*checks.GRANT, *checks.SUBMIT, *checks.WATCH, *checks.CLEANUP)
    checks.check_access(cluster, inside, needs, "prepare it")
    if space is None:
        return []
    demand = checks.Demand({}, 0.01, 64 << 20)
    room = checks.check_quota(cluster, inside, demand)
    return [f"quota: {room.pods} pods at once ({room.limit})"] if room.pods is not None else []


def _namespace(cluster: Cluster, name: str) -> Document | None:
    """Return the namespace; None if there is none. Who may not see it is told later by name."""
    try:
        found = cluster.find(f"/api/v1/namespaces/{name}")
    except DeniedError:
        return None
    if found and (found.get("status") or {}).get("phase") == "Terminating":
        raise TransientError(
            f"namespace {name!r} is being deleted in cluster {cluster.name!r}",
            hint="try again when it is gone",
        )
    return found


def _restricted(space: Document | None) -> bool:
    known = (space or {"metadata": {}})["metadata"].get("labels") or {}
    return bool(known.get("pod-security.kubernetes.io/enforce") == "restricted")


def _is_ours(space: Document) -> bool:
    known = space["metadata"].get("labels") or {}
    return bool(known.get(labels.MANAGED_BY) == labels.MANAGER)


def _keys_kept(cluster: Cluster, inside: str) -> Mapping[str, str] | None:
    """Return the credentials that are in the cluster, encoded; None if there are none."""
    found = cluster.find(f"/api/v1/namespaces/{inside}/secrets/{labels.CREDENTIALS}")
    return None if found is None else (found.get("data") or {})


def _credentials(wanted: Preparation, known: Mapping[str, str] | None) -> dict[str, bytes] | None:
    """Return what the secret is to hold; None to leave it as it is.

    What was given before and is not given now stays: a second `prepare`, in a shell without
    keys, must not take them from a running analysis. So does the password of a Redis.
    """
    kept = {key: base64.b64decode(value) for key, value in (known or {}).items()}
    values = {**kept, **wanted.credentials}
    if wanted.redis_image:
        values.setdefault("redis-password", secrets.token_urlsafe(24).encode())
        values.pop("redis-username", None)  # ours knows no users
        if not _PASSWORD.fullmatch(values["redis-password"]):
            raise UsageError(
                "REDIS_PASSWORD cannot be the password of a Redis made here",
                hint="use letters, digits and signs, but no blanks, quotes or backslashes",
            )
    return None if known is not None and values == kept else values


def _wait_for_redis(cluster: Cluster, inside: str) -> None:
    """Wait until Redis takes connections. Raises TransientError, with the reason."""
    path = f"/apis/apps/v1/namespaces/{inside}/deployments"
    chosen = f"app.kubernetes.io/name={labels.REDIS}"
    for event in cluster.watch(path, selector=chosen, timeout_s=_REDIS_S):
        status: Any = event["object"].get("status") or {}
        seen = status.get("observedGeneration", 0)
        if event["type"] != "BOOKMARK" and status.get("readyReplicas") and seen:
            return
    said = pod_reasons(cluster, inside, chosen)
    raise TransientError(
        f"Redis is not ready after {_REDIS_S:g} s in cluster {cluster.name!r}",
        why="; ".join(reason for reason, _ in said) or "no reason is given yet",
        hint="name an image that the nodes can pull: --redis-image",
    )
