"""What `prepare` puts into a cluster, as documents. Nothing is sent from here."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from higgsdemo.clusters import labels
from higgsdemo.clusters.checks import CLEANUP, LOOK, SUBMIT, WATCH

Document = dict[str, Any]
_PORTS = (80, 443, 1094, 1095)  # HTTP, HTTPS, XRootD and its HTTPS
_USER = 65532  # as the pods of tasks: nobody in particular
_REDIS_PORT = 6379
_REDIS_USER = 999  # of the official image
# The metadata services of clouds, which give a node's own credentials away: the address that all
# have, and those of Amazon's and Google's documentation for IPv6.
_METADATA_SERVICE = "169.254.169.254/32"
_METADATA_SERVICES_6 = ("fd00:ec2::254/128", "fd20:ce::254/128")
RESTRICTED: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True, slots=True)
class Scheduling:
    """Where pods may run: tolerations and node labels, as in a pod's spec."""

    tolerations: tuple[Mapping[str, Any], ...] = ()
    node_selector: Mapping[str, str] | None = None

    def spec(self) -> Document:
        """Return the part of a pod's spec that says so."""
        said: Document = {}
        if self.tolerations:
            said["tolerations"] = [dict(each) for each in self.tolerations]
        if self.node_selector:
            said["nodeSelector"] = dict(self.node_selector)
        return said


@dataclass(frozen=True, slots=True)
class Image:
    """An image to pull on every node; `check` runs in it once, `hold` until all nodes have it."""

    name: str
    pull_policy: str = "IfNotPresent"
    pull_secret: str = ""
    check: tuple[str, ...] = ("python3", "-c", "import higgsdemo.worker")
    hold: tuple[str, ...] = ("python3", "-c", "import signal; signal.pause()")


def namespace(name: str, *, new: bool) -> Document:
    """Return a namespace that enforces `restricted` pod security; `new`: it is ours."""
    level = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {**level, **(labels.ours() if new else {})}},
    }


def service_account(inside: str) -> Document:
    """Return the account of workers. It has no role: a worker never talks to the API."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(labels.SERVICE_ACCOUNT, inside),
        "automountServiceAccountToken": False,
    }


def credentials(inside: str, values: Mapping[str, bytes]) -> Document:
    """Return the secret whose keys are files for workers (see `storage.Access.secret`)."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(labels.CREDENTIALS, inside),
        "type": "Opaque",
        "data": {key: base64.b64encode(value).decode() for key, value in sorted(values.items())},
    }


def network_policy(inside: str, ports: Iterable[int] = ()) -> Document:
    """Return the policy of our pods: nobody may connect to them; they may reach storage.

    That is names (DNS), the ports of HTTP and XRootD, and `ports` besides, but not the metadata
    service of a cloud.
    """
    outside = {"ipBlock": {"cidr": "0.0.0.0/0", "except": [_METADATA_SERVICE]}}
    outside_6 = {"ipBlock": {"cidr": "::/0", "except": list(_METADATA_SERVICES_6)}}
    everyone = [outside, outside_6, {"namespaceSelector": {}}]
    reached = sorted({*_PORTS, _REDIS_PORT, *ports})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(labels.NETWORK, inside),
        "spec": {
            "podSelector": {
                "matchLabels": {labels.MANAGED_BY: labels.MANAGER},
                "matchExpressions": [
                    {"key": labels.PART, "operator": "NotIn", "values": ["redis"]}
                ],
            },
            # No rule for ingress: none is let in. An empty list, which the server drops, would
            # make each repetition a change.
            "policyTypes": ["Ingress", "Egress"],
            "egress": [
                {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]},
                {"to": everyone, "ports": [{"port": port, "protocol": "TCP"} for port in reached]},
            ],
        },
    }


def submitter(inside: str, users: Sequence[str]) -> tuple[Document, Document]:
    """Return a role with what submit, watch and cleanup need, no more, and who has it."""
    verbs: dict[tuple[str, str], list[str]] = {}
    for need in (*SUBMIT, *LOOK, *WATCH, *CLEANUP):
        known = verbs.setdefault((need.group, need.resource), [])
        known += [verb for verb in need.verbs if verb not in known]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": _metadata(labels.SUBMITTER, inside),
        "rules": [
            {"apiGroups": [group], "resources": [resource], "verbs": sorted(allowed)}
            for (group, resource), allowed in sorted(verbs.items())
        ],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": _metadata(labels.SUBMITTER, inside),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role",
                    "name": labels.SUBMITTER},
        "subjects": [
            {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
            for user in users
        ],
    }  # fmt: skip
    return role, binding


def prepull(inside: str, image: Image, scheduling: Scheduling) -> Document:
    """Return a DaemonSet whose pods are ready where the image has been pulled and runs."""
    label = {**labels.ours(), "app.kubernetes.io/name": labels.PREPULL}

    def container(name: str, command: Sequence[str]) -> Document:
        return {
            "name": name,
            "image": image.name,
            "imagePullPolicy": image.pull_policy,
            "command": list(command),
            "securityContext": dict(RESTRICTED),
            "resources": {
                "requests": {"cpu": "10m", "memory": "64Mi"},
                "limits": {"cpu": "500m", "memory": "256Mi"},
            },
            "terminationMessagePolicy": "FallbackToLogsOnError",
        }

    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {**_metadata(labels.PREPULL, inside), "labels": label},
        "spec": {
            "selector": {"matchLabels": {"app.kubernetes.io/name": labels.PREPULL}},
            # All at once, when the image changes.
            "updateStrategy": {"type": "RollingUpdate",
                               "rollingUpdate": {"maxUnavailable": "100%"}},
            "template": {
                "metadata": {"labels": label},
                "spec": {
                    **_pod_basics(image.pull_secret),
                    **scheduling.spec(),
                    "securityContext": {"runAsUser": _USER, "runAsGroup": _USER},
                    "initContainers": [container("check", image.check)],
                    "containers": [container("hold", image.hold)],
                },
            },
        },
    }  # fmt: skip


def redis(inside: str, image: str, scheduling: Scheduling) -> tuple[Document, Document, Document]:
    """Return a Redis for results on their way, its service, and who may connect to it.

    The password comes from the secret as a file, over standard input: it is in no argument list.
    """
    label = {MANAGED: labels.MANAGER, labels.PART: "redis", "app.kubernetes.io/name": labels.REDIS}
    chosen = {"app.kubernetes.io/name": labels.REDIS}
    settings = "appendonly yes\\nappendfsync everysec\\nmaxmemory-policy noeviction\\ndir /data\\n"
    script = (
        f'{{ printf "{settings}"; printf "requirepass %s\\n" "$(cat {labels.SECRETS_DIR}'
        '/redis-password)"; } | exec redis-server -'
    )
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": labels.REDIS, "namespace": inside, "labels": label},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": chosen},
            "template": {
                "metadata": {"labels": label},
                "spec": {
                    **_pod_basics(""),
                    **scheduling.spec(),
                    "securityContext": {"fsGroup": _REDIS_USER},
                    "containers": [
                        {
                            "name": "redis",
                            "image": image,
                            "command": ["sh", "-c", script],
                            "securityContext": {**RESTRICTED, "runAsUser": _REDIS_USER,
                                                "runAsGroup": _REDIS_USER},
                            "ports": [{"containerPort": _REDIS_PORT, "name": "redis"}],
                            "readinessProbe": {"tcpSocket": {"port": _REDIS_PORT},
                                               "periodSeconds": 2},
                            "resources": {"requests": {"cpu": "100m", "memory": "512Mi"},
                                          "limits": {"memory": "2Gi"}},
                            "volumeMounts": [
                                {"name": "data", "mountPath": "/data"},
                                {"name": "secret", "mountPath": labels.SECRETS_DIR,
                                 "readOnly": True},
                            ],
                        }
                    ],
                    "volumes": [
                        {"name": "data", "emptyDir": {}},
                        {"name": "secret", "secret": {
                            "secretName": labels.CREDENTIALS,
                            "items": [{"key": "redis-password", "path": "redis-password"}]}},
                    ],
                },
            },
        },
    }  # fmt: skip
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": labels.REDIS, "namespace": inside, "labels": label},
        "spec": {"selector": chosen, "ports": [{"name": "redis", "port": _REDIS_PORT}]},
    }
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": labels.REDIS, "namespace": inside, "labels": label},
        "spec": {
            "podSelector": {"matchLabels": chosen},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {
                    "from": [{"podSelector": {"matchLabels": {MANAGED: labels.MANAGER}}}],
                    "ports": [{"port": _REDIS_PORT, "protocol": "TCP"}],
                }
            ],
        },
    }
    return deployment, service, policy


MANAGED = labels.MANAGED_BY


def _pod_basics(pull_secret: str) -> Document:
    """Return what all our pods have: no token, no service variables, a quick end."""
    return {
        "serviceAccountName": labels.SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,  # the first process of a container ignores SIGTERM
        **({"imagePullSecrets": [{"name": pull_secret}]} if pull_secret else {}),
    }


def _metadata(name: str, inside: str) -> Document:
    return {"name": name, "namespace": inside, "labels": labels.ours()}
