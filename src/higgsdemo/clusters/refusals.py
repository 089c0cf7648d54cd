"""What an API server says when it does not do what was asked, in our words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from higgsdemo.errors import CredentialsError, HiggsdemoError

RETRIED = frozenset({429, 500, 502, 503, 504})  # may pass: busy, restarting, etcd without leader

# The authoriser's own words, e.g. `jobs.batch "x" is forbidden: User "eve" cannot create resource
# "jobs" in API group "batch" in the namespace "higgsdemo"`. Other 403s come from admission.
_DENIED = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) (?:resource|path) "(?P<resource>[^"]*)"'
    r'(?: in API group "(?P<group>[^"]*)")?'
    r'(?: in the namespace "(?P<namespace>[^"]*)"| at the cluster scope)?'
)


class ClusterApiError(HiggsdemoError):
    """The API server refused a request; `status` is HTTP's, `reason` Kubernetes' own word."""

    def __init__(self, what: str, *, status: int = 0, reason: str = "", **said: Any) -> None:
        super().__init__(what, **said)
        self.status = status
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        return (*super().__reduce__(), {"status": self.status, "reason": self.reason})


class DeniedError(CredentialsError):
    """We are known, but may not do that: which verb on what is in the message."""


class Gone(ClusterApiError):  # noqa: N818 (Kubernetes' own word)
    """The version to watch or list from is too old: list anew. `resume` continues a list."""

    resume: str = ""


def refusal(
    method: str, where: str, status: int, body: bytes, *, cluster: str
) -> ClusterApiError | CredentialsError:
    """Return the error for an answer that is not a success.

    401 and what the authoriser denies are CredentialsError: no other object would fare better.
    """
    said = _status_of(body)
    message = str(said.get("message") or body[:300].decode(errors="replace").strip() or "no reason")
    reason = str(said.get("reason") or "")
    place = f"cluster {cluster!r}, {where}"
    if status == 401:
        return CredentialsError(
            f"cluster {cluster!r} does not let you in",
            why="the API server does not accept the credentials (401): missing, wrong or expired",
            where=place,
            hint=f"sign in again, then try: kubectl --context {cluster} auth whoami",
        )
    if status == 403 and (denied := _DENIED.search(message)):
        return DeniedError(
            f"no permission to {_which(denied)} in cluster {cluster!r}",
            why=message,
            where=place,
            hint=f"ask the cluster's admin to let {denied['user']!r} do that",
        )
    kind = Gone if status == 410 else ClusterApiError
    error = kind(
        f"the API server refused to {_verb(method)}",
        why=f"{message} (HTTP {status}{f', {reason}' if reason else ''})",
        where=place,
        status=status,
        reason=reason,
    )
    if isinstance(error, Gone):
        error.resume = str((said.get("metadata") or {}).get("continue") or "")
    return error


def _status_of(body: bytes) -> Mapping[str, Any]:
    """Return the Status object of an answer; empty where a proxy sent a page of its own."""
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _which(denied: re.Match[str]) -> str:
    group = f".{denied['group']}" if denied["group"] else ""
    namespace = denied["namespace"]
    return f"{denied['verb']} {denied['resource']}{group}" + (
        f" in namespace {namespace!r}" if namespace else ""
    )


def _verb(method: str) -> str:
    return {"GET": "show", "POST": "create", "PATCH": "change", "DELETE": "delete"}.get(
        method, method
    )
