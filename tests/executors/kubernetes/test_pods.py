"""Causes from the status of pods."""

from typing import Any

import pytest

from higgsdemo.errors import Cause
from higgsdemo.executors.kubernetes.pods import creation_refused, ending, waiting_reason


def pod(exit_code: int | None = None, **status: Any) -> dict[str, Any]:
    terminated = {"exitCode": exit_code, **status.pop("ended", {})}
    containers = [{"name": "worker", "state": {"terminated": terminated}}] if exit_code else []
    return {
        "metadata": {
            "name": "job-3-x",
            "labels": {"batch.kubernetes.io/job-completion-index": "3"},
            "creationTimestamp": "2026-11-28T10:00:00Z",
        },
        "spec": {"nodeName": "n1"},
        "status": {"phase": "Failed", "containerStatuses": containers, **status},
    }


GONE = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]


@pytest.mark.parametrize(
    ("failed", "cause", "said"),
    [
        (pod(65), Cause.BAD_INPUT, "exit status 65"),
        (pod(70, ended={"message": "bug: KeyError"}), Cause.BUG, "KeyError"),
        (pod(75), Cause.TRANSIENT, "exit status 75"),
        (pod(77), Cause.CREDENTIALS, "exit status 77"),
        (pod(137, ended={"reason": "OOMKilled"}), Cause.RESOURCES, "memory"),
        (pod(137, ended={"reason": "Error"}), Cause.TRANSIENT, "exit status 137"),
        (pod(137, conditions=GONE), Cause.PREEMPTED, "EvictionByEvictionAPI"),
        (pod(143), Cause.TRANSIENT, "exit status 143"),
        (pod(reason="DeadlineExceeded"), Cause.TRANSIENT, "DeadlineExceeded"),
        (pod(reason="Evicted", message="low on memory"), Cause.PREEMPTED, "low on memory"),
        (pod(), Cause.TRANSIENT, "no reason"),
    ],
)
def test_causes(failed: dict[str, Any], cause: Cause, said: str) -> None:
    found = ending(failed)
    assert (found.index, found.cause) == (3, cause)
    assert said in found.message
    assert "pod job-3-x on n1" in found.message


def test_why_a_pod_cannot_be_made_is_the_same_words_each_time() -> None:
    said = (
        'Error creating: pods "demo-zz-1-{}" is forbidden: exceeded quota: small, '
        "requested: limits.memory=400M, used: limits.memory={}M, limited: limits.memory=1G"
    )
    assert creation_refused(said.format("0-x", 800)) == creation_refused(said.format("3-y", 900))
    assert "exceeded quota: small, requested: limits.memory=400M, limited: limits.memory=1G" in (
        creation_refused(said.format("0-x", 800))
    )


def test_why_a_pod_waits() -> None:
    status: dict[str, Any] = {
        "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no"}
        ]
    }
    assert waiting_reason({"status": status}) == "Unschedulable: no"
    pulls = {"reason": "ImagePullBackOff", "message": "no such tag"}
    status = {"containerStatuses": [{"name": "worker", "state": {"waiting": pulls}}]}
    assert waiting_reason({"status": status}) == "ImagePullBackOff: no such tag"
    pulls["reason"] = "ContainerCreating"
    assert waiting_reason({"status": status}) == ""
    assert waiting_reason({}) == ""
