"""Where the API server keeps an object: paths from apiVersion, kind, namespace and name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Kinds this program handles: plural, and whether they live in a namespace. Others are discovered.
KNOWN: Mapping[tuple[str, str], tuple[str, bool]] = {
    ("v1", "ConfigMap"): ("configmaps", True),
    ("v1", "Namespace"): ("namespaces", False),
    ("v1", "Node"): ("nodes", False),
    ("v1", "Pod"): ("pods", True),
    ("v1", "ResourceQuota"): ("resourcequotas", True),
    ("v1", "Secret"): ("secrets", True),
    ("v1", "Service"): ("services", True),
    ("v1", "ServiceAccount"): ("serviceaccounts", True),
    ("apps/v1", "DaemonSet"): ("daemonsets", True),
    ("apps/v1", "Deployment"): ("deployments", True),
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview"): ("selfsubjectaccessreviews", False),
    ("authorization.k8s.io/v1", "SelfSubjectRulesReview"): ("selfsubjectrulesreviews", False),
    ("batch/v1", "Job"): ("jobs", True),
    ("networking.k8s.io/v1", "NetworkPolicy"): ("networkpolicies", True),
    ("rbac.authorization.k8s.io/v1", "Role"): ("roles", True),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): ("rolebindings", True),
}


def root(api_version: str) -> str:
    """Return the path of an API: ``/api/v1`` or ``/apis/GROUP/VERSION``."""
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def collection(api_version: str, plural: str, namespace: str = "") -> str:
    """Return the path of all objects of a kind, in one namespace or in all."""
    inside = f"/namespaces/{namespace}" if namespace else ""
    return f"{root(api_version)}{inside}/{plural}"


def of_document(document: Mapping[str, Any], plural: str, *, namespaced: bool) -> str:
    """Return the path of the collection a document belongs to."""
    namespace = str(document["metadata"].get("namespace") or "default") if namespaced else ""
    return collection(str(document["apiVersion"]), plural, namespace)
