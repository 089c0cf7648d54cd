"""What a pod's status says: why it failed, or why it does not start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from higgsdemo.errors import Cause
from higgsdemo.executors.kubernetes.documents import CONTAINER
from higgsdemo.worker.settings import EXIT_CODES

INDEX = "batch.kubernetes.io/job-completion-index"
_CAUSES = {code: cause for cause, code in EXIT_CODES.items() if code != 137}
_SHOWN = 600  # characters of a pod's last words


@dataclass(frozen=True, slots=True)
class Ending:
    """How a pod ended: the cause as far as its status tells, in words, and when (s)."""

    pod: str
    index: int
    cause: Cause
    message: str
    when: str = ""


def ending(pod: Mapping[str, Any]) -> Ending:
    """Return why a pod failed."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    marks = {**(metadata.get("annotations") or {}), **(metadata.get("labels") or {})}
    cause, message = _cause(status)
    where = (pod.get("spec") or {}).get("nodeName")
    place = f"pod {metadata['name']}" + (f" on {where}" if where else "")
    when = metadata.get("creationTimestamp") or ""
    return Ending(metadata["name"], int(marks.get(INDEX, -1)), cause, f"{message} ({place})", when)


def _cause(status: Mapping[str, Any]) -> tuple[Cause, str]:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            why = condition.get("message") or condition.get("reason") or "it was taken away"
            return Cause.PREEMPTED, f"taken away: {why}"
    reason = status.get("reason") or ""
    if reason == "DeadlineExceeded":
        return Cause.TRANSIENT, "it took longer than a pod may (DeadlineExceeded)"
    if reason in ("Evicted", "Preempting", "NodeLost", "NodeShutdown", "Terminated"):
        return Cause.PREEMPTED, f"{reason}: {status.get('message') or 'no reason is given'}"
    ended: Mapping[str, Any] = {}
    for container in status.get("containerStatuses") or ():
        if container.get("name") == CONTAINER:
            ended = (container.get("state") or {}).get("terminated") or {}
    code, said = ended.get("exitCode"), str(ended.get("message") or "").strip()
    if ended.get("reason") == "OOMKilled":
        return Cause.RESOURCES, "killed for memory (OOMKilled)"
    if code in _CAUSES:
        words = said[-_SHOWN:] or "the worker left no word"
        return _CAUSES[code], f"{words}, exit status {code}"
    if code is not None:
        words = f": {said[-_SHOWN:]}" if said else ""
        return Cause.TRANSIENT, f"the worker ended with exit status {code}{words}"
    return Cause.TRANSIENT, f"the pod failed: {status.get('message') or reason or 'no reason'}"


def creation_refused(message: str) -> str:
    """Return why a pod cannot be made, from an event of its Job: what differs is left out."""
    words = re.sub(r'pods "[^"]*" is forbidden', "pods are forbidden", message)
    return "no pod can be made: " + re.sub(r", used: .*?, limited: ", ", limited: ", words)


def waiting_reason(pod: Mapping[str, Any]) -> str:
    """Return why a pod does not start, in the words of the scheduler or the kubelet; or nothing."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"{condition.get('reason')}: {condition.get('message') or ''}".strip(": ")
    for container in status.get("containerStatuses") or ():
        waits = (container.get("state") or {}).get("waiting") or {}
        if waits.get("reason") and waits["reason"] not in ("ContainerCreating", "PodInitializing"):
            return f"{waits['reason']}: {waits.get('message') or ''}".strip(": ")
    return ""
