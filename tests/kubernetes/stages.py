"""How a simulated node plays a pod: it runs for a while, then ends as its completion index says.

KWOK's own language (Stage): which pods, when, and what their status becomes. Deterministic but for
the jitter, so that a test can say exactly what must be accounted for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]
# Exit codes; all but the last one are of our worker.
BAD_INPUT, BUG, TRANSIENT, TERMINATED = 65, 70, 75, 143
INDEX = '.metadata.labels["batch.kubernetes.io/job-completion-index"]'
IGNORED = '.metadata.annotations["batch.kubernetes.io/job-index-ignored-failure-count"]'
CONTAINERS = """
{{ $now := Now }}
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: %s
  restartCount: 0
  state: %s
{{ end }}
"""
RUNNING = CONTAINERS % ("true", "{running: {startedAt: {{ $now | Quote }}}}") + (
    """
conditions:
- {type: Initialized, status: "True", lastTransitionTime: {{ $now | Quote }}}
- {type: Ready, status: "True", lastTransitionTime: {{ $now | Quote }}}
- {type: ContainersReady, status: "True", lastTransitionTime: {{ $now | Quote }}}
phase: Running
startTime: {{ $now | Quote }}
"""
)
DISRUPTED = """
conditions:
- {type: DisruptionTarget, status: "True", reason: PreemptionByScheduler, lastTransitionTime: {{ $now | Quote }}}
"""  # noqa: E501
NODE_READY = """
{{ $now := Now }}
conditions:
- {type: Ready, status: "True", reason: KubeletReady, message: simulated, lastHeartbeatTime: {{ $now | Quote }}, lastTransitionTime: {{ $now | Quote }}}
phase: Running
"""  # noqa: E501


@dataclass(frozen=True)
class Stages:
    """How pods of Jobs end, by completion index; all others with 0."""

    run_ms: tuple[int, int] = (1000, 6000)  # how long a pod runs, at least and at most
    bad_input: Sequence[int] = ()  # exit 65
    bug: Sequence[int] = ()  # exit 70
    transient: Sequence[int] = ()  # exit 75 on every try
    preempted: Sequence[int] = ()  # evicted on the first try, done on the second
    never_end: Sequence[int] = ()  # run until deleted
    extra: Sequence[Document] = field(default_factory=tuple)

    def documents(self) -> list[Document]:
        """Return them as KWOK reads them."""
        lower, upper = self.run_ms
        delay = {"durationMilliseconds": lower, "jitterDurationMilliseconds": upper}
        special = [*self.bad_input, *self.bug, *self.transient, *self.never_end]
        found = [
            _stage("pod-ready", "Pod", {"statusTemplate": RUNNING}, [
                _rule(".status.phase", "In", "Pending"),
                _rule(".spec.nodeName", "Exists"),
                _rule(".metadata.deletionTimestamp", "DoesNotExist"),
            ]),
            _stage("pod-complete", "Pod", _ended("Succeeded", 0), [
                *_of_jobs(), *([_rule(INDEX, "NotIn", *special)] if special else []),
            ], delay=delay, weight=1),
            _stage("pod-delete", "Pod", {"finalizers": {"empty": True}, "delete": True}, [
                _rule(".metadata.deletionTimestamp", "Exists"),
            ]),
            _stage("node-ready", "Node", {"statusTemplate": NODE_READY}, [
                _rule('.status.conditions.[] | select( .type == "Ready" ) | .status',
                      "NotIn", "True"),
            ]),
        ]  # fmt: skip
        for name, code, indexes in (
            ("pod-bad-input", BAD_INPUT, self.bad_input),
            ("pod-bug", BUG, self.bug),
            ("pod-transient", TRANSIENT, self.transient),
        ):
            if indexes:
                rules = [*_of_jobs(), _rule(INDEX, "In", *indexes)]
                found.append(_stage(name, "Pod", _ended("Failed", code), rules, delay=delay))
        if self.preempted:
            rules = [
                *_of_jobs(), _rule(INDEX, "In", *self.preempted),
                _rule(IGNORED, "NotIn", 1, 2, 3),
            ]  # fmt: skip
            found.append(
                _stage(
                    "pod-preempted", "Pod", _ended("Failed", TERMINATED, DISRUPTED), rules,
                    delay={"durationMilliseconds": lower},
                    weight=1_000_000,  # against pod-complete, which matches too
                )
            )  # fmt: skip
        return [*found, *self.extra]


def _of_jobs() -> list[Document]:
    return [
        _rule(".status.phase", "In", "Running"),  # first: most pods have ended and are done with
        _rule(".metadata.deletionTimestamp", "DoesNotExist"),
        _rule(".metadata.ownerReferences.[].kind", "In", "Job"),
    ]


def _rule(key: str, operator: str, *values: object) -> Document:
    rule: Document = {"key": key, "operator": operator}
    return {**rule, "values": list(map(str, values))} if values else rule


def _ended(phase: str, code: int, conditions: str = "") -> Document:
    reason = "Error" if code else "Completed"
    times = "startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }}"
    state = f"{{terminated: {{exitCode: {code}, reason: {reason}, {times}}}}}"
    return {"statusTemplate": CONTAINERS % ("false", state) + conditions + f"phase: {phase}\n"}


def _stage(
    name: str,
    kind: str,
    becomes: Document,
    rules: Sequence[Document],
    delay: Document | None = None,
    weight: int | None = None,
) -> Document:
    spec: Document = {
        "resourceRef": {"apiGroup": "v1", "kind": kind},
        "selector": {"matchExpressions": list(rules)},
        "next": becomes,
    }
    if delay is not None:
        spec["delay"] = delay
    if weight is not None:
        spec["weight"] = weight
    metadata = {"name": name}
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": metadata, "spec": spec
    }  # fmt: skip
