"""Names and labels of everything this program puts into a cluster."""

from __future__ import annotations

import re

from higgsdemo.errors import UsageError

NAMESPACE = "higgsdemo"
MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "higgsdemo"
RUN = "higgsdemo/run"
SAMPLE = "higgsdemo/sample"
PART = "higgsdemo/part"  # what `prepare` made, which belongs to no run

SERVICE_ACCOUNT = "higgsdemo-worker"
CREDENTIALS = "higgsdemo-credentials"
SUBMITTER = "higgsdemo-submitter"
NETWORK = "higgsdemo-worker"
PREPULL = "higgsdemo-prepull"
REDIS = "higgsdemo-redis"
SECRETS_DIR = "/etc/higgsdemo/secrets"

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def ours(run: str | None = None) -> dict[str, str]:
    """Return the labels of what belongs to a run; without one, of what `prepare` makes."""
    return {MANAGED_BY: MANAGER, **({RUN: run} if run else {PART: "prepare"})}


def selector(run: str | None = None) -> str:
    """Return the selector of what belongs to a run, or to any run."""
    return f"{MANAGED_BY}={MANAGER},{RUN}{f'={check_label(run)}' if run else ''}"


def check_namespace(name: str) -> str:
    """Return a namespace's name. Raises UsageError for one that Kubernetes would not take."""
    if not _NAMESPACE.fullmatch(name):
        raise UsageError(
            f"not the name of a namespace: {name!r}",
            hint="up to 63 small letters, digits and '-', no '-' at either end",
        )
    return name


def check_label(run: str) -> str:
    """Return a run's name. Raises UsageError for one that is no label of Kubernetes."""
    if not _LABEL.fullmatch(run):
        raise UsageError(
            f"a run in a cluster cannot be called {run!r}",
            why="its name is a label there: up to 63 letters, digits, '-', '_' and '.'",
        )
    return run
