"""Names of what a run makes in a cluster: within Kubernetes' limits, and the same each time.

The host name of a pod of an Indexed Job is `<job>-<index>` and must be a DNS label of at most 63
characters, so a job's name has at most 56, for indexes up to 99,999.
"""

from __future__ import annotations

import hashlib
import re

MOST_INDEXES = 100_000  # of a Job with a back-off limit per index (Kubernetes' own limit)
_LONGEST = 16  # of the readable parts of a name


def slug(text: str, longest: int = _LONGEST) -> str:
    """Return a text as part of a DNS label: small letters, digits, single dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:longest].rstrip("-")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:6]


def job_name(run_id: str, sample: str, number: int) -> str:
    """Name job `number` of a run: readable where it can be, different where it must be."""
    parts = ("h", slug(run_id), slug(sample), _digest(run_id, sample), str(number))
    return "-".join(filter(None, parts))


def run_name(run_id: str) -> str:
    """Name the object that stands for the run, and owns all others of it in a cluster."""
    return "-".join(filter(None, ("h", slug(run_id, 40), _digest(run_id))))


def tasks_name(job: str, number: int) -> str:
    """Name a part of a job's manifest."""
    return f"{job}-tasks-{number}"


def label(text: str) -> str:
    """Return a text as the value of a label: at most 63 of what may be in one."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("_.-")
    if plain == text and len(text) <= 63:
        return text
    return f"{plain[:56].rstrip('_.-')}-{_digest(text)}".lstrip("-")
