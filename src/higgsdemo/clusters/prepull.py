"""An image on every node before the stage lights go on: pulled, seen to run, counted."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from higgsdemo.clusters import documents, labels
from higgsdemo.clusters.api import Cluster
from higgsdemo.clusters.refusals import Gone
from higgsdemo.errors import HiggsdemoError, TransientError, UsageError

_LOOK_S = (1.0, 15.0)  # how long to watch before asking why nodes are not ready: ever longer
_SHOWN = 50  # pods looked at for reasons, events too
_HOPELESS = re.compile(
    r"(ErrImage|ImagePull|RegistryUnavailable).*"
    r"(not found|manifest unknown|unauthorized|denied|forbidden|invalid reference)"
    r"|InvalidImageName|ErrImageNeverPull|image will run as root",
    re.IGNORECASE | re.DOTALL,
)
# Hopeless when it is still so a few seconds later: nodes of a new cluster are just coming.
_NOT_RUN = "the image does not run"
_NO_NODE = "no node takes these pods"
_SETTLED_S = 5.0
_UNLIKE = re.compile(r"\b(?:[0-9a-f]{8,}|[a-z0-9-]+-[a-z0-9]{5})\b")  # differs from pod to pod


@dataclass(frozen=True, slots=True)
class Pulled:
    """How far it is: nodes that have the image, nodes that should; why others have it not yet.

    `reasons` counts nodes by what is said of them, each reason once; 0 where it is said of all.
    """

    ready: int = 0
    nodes: int = 0
    reasons: tuple[tuple[str, int], ...] = ()

    @property
    def complete(self) -> bool:
        """Whether all nodes have it."""
        return self.nodes > 0 and self.ready >= self.nodes


def pull_everywhere(
    cluster: Cluster,
    namespace: str,
    image: documents.Image,
    scheduling: documents.Scheduling,
    *,
    timeout_s: float,
    tell: Callable[[Pulled], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> Pulled:
    """Pull the image on every node by a DaemonSet, wait for it, remove the DaemonSet.

    `tell` hears of each step. Raises UsageError for an image that cannot be pulled or does not
    run, TransientError after `timeout_s`; both with each reason once and the nodes it holds for.
    The DaemonSet is removed in any case; what was pulled stays on the nodes.
    """
    path = f"/apis/apps/v1/namespaces/{namespace}/daemonsets"
    try:
        made = cluster.apply(documents.prepull(namespace, image, scheduling))
        return _wait(cluster, path, made, image, timeout_s, tell, stop or threading.Event())
    finally:
        cluster.delete(f"{path}/{labels.PREPULL}", propagationPolicy="Background")


def _wait(
    cluster: Cluster,
    path: str,
    made: Mapping[str, Any],
    image: documents.Image,
    timeout_s: float,
    tell: Callable[[Pulled], None],
    stop: threading.Event,
) -> Pulled:
    generation = int(made["metadata"]["generation"])
    began = time.monotonic()
    deadline = began + timeout_s
    version = ""
    pulled = Pulled()
    patience_s, longest_s = _LOOK_S
    while True:
        look_s = max(1.0, min(patience_s, deadline - time.monotonic()))
        patience_s = min(2 * patience_s, longest_s)
        version, seen = _look(cluster, path, generation, version, look_s, pulled, tell)
        if seen.complete:
            return seen
        # What may pass in the first seconds is taken for final only later.
        settled = (_NOT_RUN, _NO_NODE) if time.monotonic() - began > _SETTLED_S else ("\0",)
        before = {reason for reason, _ in pulled.reasons}
        if seen.ready == seen.nodes == 0 and time.monotonic() < deadline:
            pulled = Pulled(reasons=_no_node(cluster, path, generation))
        else:
            pulled = Pulled(seen.ready, seen.nodes, _why_not(cluster, path))
        tell(pulled)
        hopeless = [
            reason
            for reason, _ in pulled.reasons
            if _HOPELESS.search(reason) or (reason.startswith(settled) and reason in before)
        ]
        if stop.is_set():
            raise TransientError("interrupted", where=f"cluster {cluster.name!r}")
        if hopeless or time.monotonic() >= deadline:
            raise _failed(cluster, image, pulled, timeout_s, hopeless=bool(hopeless))


def _look(
    cluster: Cluster,
    path: str,
    generation: int,
    version: str,
    look_s: float,
    last: Pulled,
    tell: Callable[[Pulled], None],
) -> tuple[str, Pulled]:
    """Watch the DaemonSet for a while; return where the watch stopped and what was seen last."""
    seen = Pulled(last.ready, last.nodes)
    until = time.monotonic() + look_s
    try:
        for event in cluster.watch(
            path,
            selector=f"app.kubernetes.io/name={labels.PREPULL}",
            version=version,
            timeout_s=look_s,
        ):
            document = event["object"]
            version = document["metadata"]["resourceVersion"]
            status = document.get("status") or {}
            if event["type"] == "BOOKMARK" or status.get("observedGeneration", 0) < generation:
                continue
            nodes = int(status.get("desiredNumberScheduled", 0))
            updated = int(status.get("updatedNumberScheduled", 0))
            now = Pulled(min(int(status.get("numberReady", 0)), updated), nodes)
            if now != seen:
                seen = now
                tell(Pulled(seen.ready, seen.nodes, last.reasons))
            if seen.complete or time.monotonic() >= until:
                break
    except Gone:
        return "", seen
    except TransientError:
        return version, seen  # the server ended the watch; the next look opens another
    return version, seen


def _why_not(cluster: Cluster, path: str) -> tuple[tuple[str, int], ...]:
    """Return why nodes do not have it yet; the DaemonSet's own warnings where no pod says it."""
    namespace = path.split("/")[5]
    said = pod_reasons(cluster, namespace, f"app.kubernetes.io/name={labels.PREPULL}")
    return said or tuple((words, 0) for words in _warnings(cluster, namespace))


def pod_reasons(cluster: Cluster, namespace: str, selector: str) -> tuple[tuple[str, int], ...]:
    """Return what is wrong with up to 50 pods, each reason once with its number of pods."""
    page = cluster.get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector, limit=_SHOWN)
    counted: Counter[str] = Counter()
    words: dict[str, str] = {}
    for pod in page.get("items") or ():
        for said in _reasons(pod):
            key = _UNLIKE.sub("*", said)
            words.setdefault(key, said)
            counted[key] += 1
    return tuple((words[key], count) for key, count in counted.most_common())


def _reasons(pod: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a pod, in the words of the kubelet or the scheduler."""
    status = pod.get("status") or {}
    for each in (*(status.get("initContainerStatuses") or ()),
                 *(status.get("containerStatuses") or ())):  # fmt: skip
        state = each.get("state") or {}
        ended = state.get("terminated") or (each.get("lastState") or {}).get("terminated") or {}
        waiting = state.get("waiting") or {}
        if ended.get("exitCode"):
            last = " ".join(str(ended.get("message") or ended.get("reason") or "").split())[-200:]
            yield f"{_NOT_RUN}: exit status {ended['exitCode']}: {last}"
            return
        if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
            text = " ".join(str(waiting.get("message") or "").split())
            yield f"{waiting['reason']}: {text}" if text else str(waiting["reason"])
            return
    for each in status.get("conditions") or ():
        if each.get("type") == "PodScheduled" and each.get("status") == "False":
            yield f"{each.get('reason')}: {each.get('message')}"


def _warnings(cluster: Cluster, namespace: str) -> list[str]:
    """Return the warnings about the DaemonSet: pods that the API server did not let it make."""
    try:
        page = cluster.get(
            f"/api/v1/namespaces/{namespace}/events",
            fieldSelector=f"type=Warning,involvedObject.name={labels.PREPULL}",
            limit=_SHOWN,
        )
    except HiggsdemoError:  # events are a courtesy
        return []
    said = (
        re.sub(r'"?higgsdemo-prepull-\w{5}"?', "of the pre-pull", str(event.get("message")))
        for event in page.get("items") or ()
    )
    return list(dict.fromkeys(words.rpartition("similar events): ")[2] for words in said))


def _no_node(cluster: Cluster, path: str, generation: int) -> tuple[tuple[str, int], ...]:
    document = cluster.get(f"{path}/{labels.PREPULL}")
    if int((document.get("status") or {}).get("observedGeneration", 0)) < generation:
        return (("the controllers of the cluster have not looked at it yet", 0),)
    return ((f"{_NO_NODE}: see --toleration and --node-selector", 0),)


def _failed(
    cluster: Cluster, image: documents.Image, pulled: Pulled, timeout_s: float, *, hopeless: bool
) -> HiggsdemoError:
    said = "; ".join(
        f"{reason} ({count} nodes)" if count else reason for reason, count in pulled.reasons
    )
    where = f"cluster {cluster.name!r}, {pulled.ready} of {pulled.nodes} nodes ready"
    if hopeless:
        cannot = "run" if _NOT_RUN in said or "as root" in said else "be pulled"
        return UsageError(
            f"the image {image.name} cannot {cannot}",
            why=said,
            where=where,
            hint="look at its name and tag, and whether the nodes may read that registry",
        )
    return TransientError(
        f"the image {image.name} is not on all nodes after {timeout_s:g} s",
        why=said or "no reason is given yet",
        where=where,
        hint="try again, with a longer --timeout",
    )
