"""Removing what a run, or `prepare`, put into a cluster, and proving that it is gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from higgsdemo.clusters import labels
from higgsdemo.clusters.api import Cluster, Document
from higgsdemo.clusters.discovery import Kind, kinds
from higgsdemo.clusters.refusals import ClusterApiError, DeniedError
from higgsdemo.errors import TransientError

# Owners end first, and wait for what they own: else their controllers would make it anew.
_OWNERS = ("jobs.batch", "deployments.apps", "daemonsets.apps")
_COPIES = ("events.events.k8s.io",)  # the same objects under another name
_AGAIN_S = 30.0  # what is still there then is asked to go once more
_NAMED = 10
# What Kubernetes itself puts into every namespace.
_OF_EVERY_NAMESPACE = {("configmaps", "kube-root-ca.crt"), ("serviceaccounts", "default")}


@dataclass(frozen=True, slots=True)
class Scope:
    """What is to be removed, in one namespace.

    `run`: of this run alone; None: of every run. `prepared`: also what `prepare` made.
    """

    namespace: str = labels.NAMESPACE
    run: str | None = None
    prepared: bool = False
    dry_run: bool = False
    timeout_s: float = 600.0

    @property
    def everything(self) -> bool:
        """Whether nothing of ours is to stay."""
        return self.prepared and self.run is None

    @property
    def selector(self) -> str:
        """The labels of what goes; nothing without them is touched."""
        if self.everything:
            return f"{labels.MANAGED_BY}={labels.MANAGER}"
        return labels.selector(self.run)


@dataclass(frozen=True)
class Cleaned:
    """What was removed, by kind, and what the proof looked at.

    `kinds` were listed at the end and hold nothing of it; `unseen` may not be listed by us.
    """

    cluster: str
    removed: Mapping[str, int]
    runs: tuple[str, ...]
    kinds: int
    unseen: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def cleanup(
    cluster: Cluster,
    scope: Scope,
    tell: Callable[[str], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> Cleaned:
    """Remove what is in the scope from a cluster, wait, and list every kind to see it is gone.

    Requests: two to learn the kinds, one per kind at the beginning and at the end, one per 500
    objects removed, and a few a minute while they end. Raises TransientError, naming what is
    left, when it is not gone after `timeout_s`.
    """
    labels.check_namespace(scope.namespace)
    every = [kind for kind in kinds(cluster) if kind.name not in _COPIES]
    unseen: set[str] = set()
    removed: dict[str, set[str]] = {}
    runs: set[str] = set()
    deadline = time.monotonic() + scope.timeout_s
    tell(f"looking through {len(every)} kinds")
    while present := _holding(cluster, every, scope, unseen):
        for kind in sorted(present, key=lambda kind: kind.name not in _OWNERS):
            found = _listed if scope.dry_run else _delete
            for each in found(cluster, kind, scope, tell):
                removed.setdefault(kind.name, set()).add(each["metadata"]["name"])
                runs.add((each["metadata"].get("labels") or {}).get(labels.RUN, ""))
        if scope.dry_run:
            break
        _wait(cluster, present, scope, deadline, tell, stop or threading.Event())
        tell(f"proving it: looking through {len(every)} kinds")
    notes: tuple[str, ...] = ()
    if scope.everything:
        gone, note = _end_namespace(cluster, every, scope, deadline, stop or threading.Event())
        notes = (note,) if note else ()
        if gone:
            removed["namespaces"] = {scope.namespace}
    return Cleaned(
        cluster=cluster.name,
        removed={name: len(names) for name, names in removed.items()},
        runs=tuple(sorted(runs - {""})),
        kinds=len(every) - len(unseen),
        unseen=tuple(sorted(unseen)),
        notes=notes,
    )


def _holding(cluster: Cluster, every: Iterable[Kind], scope: Scope, unseen: set[str]) -> list[Kind]:
    """Return the kinds of which something is there: one object each is asked for."""
    found = []
    for kind in every:
        if kind.name == "namespaces":
            continue  # it goes last, see `_end_namespace`
        try:
            if _first(cluster, kind, scope, scope.selector, 1):
                found.append(kind)
        except DeniedError:
            unseen.add(kind.name)
        except ClusterApiError as error:
            if error.status not in (404, 405):  # gone since, or it only claims to list
                raise
    return found


def _first(
    cluster: Cluster, kind: Kind, scope: Scope, selector: str, limit: int
) -> Sequence[Document]:
    query = {"labelSelector": selector} if selector else {}
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    return (
        cluster.get_as(accept, kind.path(scope.namespace), limit=limit, **query).get("items") or ()
    )


def _listed(
    cluster: Cluster, kind: Kind, scope: Scope, _tell: Callable[[str], None]
) -> Iterator[Document]:
    yield from cluster.metadata(kind.path(scope.namespace), selector=scope.selector)


def _delete(
    cluster: Cluster, kind: Kind, scope: Scope, tell: Callable[[str], None]
) -> Iterator[Document]:
    """Ask all objects of a kind to go; yield the metadata of each."""
    path = kind.path(scope.namespace)
    policy = "Foreground" if kind.name in _OWNERS else "Background"
    if "deletecollection" in kind.verbs:
        deleted = cluster.delete_all(path, selector=scope.selector, policy=policy)
        for count, each in enumerate(deleted):
            if count % 500 == 0:
                tell(f"removing {kind.name}" + (f": {count} so far" if count else ""))
            yield each
        return
    for each in _listed(cluster, kind, scope, tell):
        cluster.delete(f"{path}/{each['metadata']['name']}", propagationPolicy=policy)
        yield each


def _wait(
    cluster: Cluster,
    present: Sequence[Kind],
    scope: Scope,
    deadline: float,
    tell: Callable[[str], None],
    stop: threading.Event,
) -> None:
    """Wait until nothing of these kinds is left. Raises TransientError at the deadline."""
    pause = 0.1
    asked = time.monotonic()
    left = list(present)
    while left := _holding(cluster, left, scope, set()):
        if time.monotonic() >= deadline:
            raise _stuck(cluster, left, scope)
        if time.monotonic() - asked > _AGAIN_S:
            asked = time.monotonic()
            for kind in left:
                for _ in _delete(cluster, kind, scope, tell):
                    pass
        tell("waiting for the end of " + ", ".join(kind.name for kind in left))
        if stop.wait(pause):
            raise TransientError("interrupted", where=f"cluster {cluster.name!r}")
        pause = min(2 * pause, 3.0)


def _stuck(cluster: Cluster, left: Sequence[Kind], scope: Scope) -> TransientError:
    named: list[str] = []
    for kind in left:
        for each in _first(cluster, kind, scope, scope.selector, _NAMED):
            holders = each["metadata"].get("finalizers")
            named.append(
                f"{kind.name}/{each['metadata']['name']}"
                + (f" (held by {holders[0]})" if holders else "")
            )
    return TransientError(
        f"cluster {cluster.name!r} has not let go of everything after {scope.timeout_s:g} s",
        why=f"still there: {', '.join(named[:_NAMED])}" + (", ..." if len(named) > _NAMED else ""),
        where=f"namespace {scope.namespace!r}",
        hint="try again; if it stays, its controllers may not be running",
    )


def _end_namespace(
    cluster: Cluster, every: Iterable[Kind], scope: Scope, deadline: float, stop: threading.Event
) -> tuple[bool, str]:
    """Delete the namespace if `prepare` made it and nothing of others is in it.

    Return whether it goes, else why it stays.
    """
    path = f"/api/v1/namespaces/{scope.namespace}"
    space = cluster.find(path)
    if space is None:
        return False, ""
    if (space["metadata"].get("labels") or {}).get(labels.MANAGED_BY) != labels.MANAGER:
        return False, f"namespace {scope.namespace} stays: it was there before us"
    others: set[str] = set()
    unseen: set[str] = set()
    for kind in every:
        if not kind.namespaced or kind.plural in ("events", "endpointslices", "leases"):
            continue
        try:
            found = _first(cluster, kind, scope, "", 5)
        except DeniedError:
            unseen.add(kind.name)
            continue
        except ClusterApiError as error:
            if error.status not in (404, 405):  # gone since, or it only claims to list
                raise
            continue
        for each in found:
            about = each["metadata"]
            ours = (about.get("labels") or {}).get(labels.MANAGED_BY) == labels.MANAGER
            if not ours and (kind.plural, about["name"]) not in _OF_EVERY_NAMESPACE:
                others.add(kind.name)
    if unseen and not others:
        what = ", ".join(sorted(unseen))
        return False, f"namespace {scope.namespace} stays: what is in it may not be seen ({what})"
    if others:
        what = ", ".join(sorted(others))
        return False, f"namespace {scope.namespace} stays: others have objects in it ({what})"
    if scope.dry_run:
        return True, ""
    cluster.delete(path)
    while cluster.find(path) is not None:
        if time.monotonic() >= deadline or stop.wait(0.5):
            raise TransientError(
                f"namespace {scope.namespace!r} is still being deleted in cluster {cluster.name!r}"
            )
    return True, ""
