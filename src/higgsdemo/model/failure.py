"""Failures: what a failed attempt at a task leaves, and its JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from higgsdemo.errors import Cause

MOST_MESSAGE, MOST_TRACEBACK = 20_000, 200_000
"""Characters of a failure that are kept: a million log lines are no message."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt: the cause, the message for people, and the traceback of a bug.

    Of words without end, begin and end are kept, and it is said how much was left out.
    """

    task_id: str
    cause: Cause
    message: str
    traceback: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, most in (("message", MOST_MESSAGE), ("traceback", MOST_TRACEBACK)):
            text = getattr(self, name)
            if isinstance(text, str) and len(text) > most:
                object.__setattr__(self, name, _shortened(text, most))

    def to_json(self) -> dict[str, Any]:
        """Return the failure as a JSON-ready document."""
        return {
            "task": self.task_id,
            "cause": str(self.cause),
            "message": self.message,
            "traceback": self.traceback,
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Failure:
        """Read a failure written by `to_json`; ValueError if it is not one."""
        try:
            return cls(
                document["task"],
                Cause(document["cause"]),
                document["message"],
                document["traceback"],
                dict(document["provenance"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a failure: {error!r}") from error


def _shortened(text: str, most: int) -> str:
    """Return the begin and, of a traceback the more telling part, the end of a long text."""
    begin, end = text[: most // 4], text[-(most - most // 4 - 100) :]
    left_out = len(text) - len(begin) - len(end)
    lines = text.count("\n", len(begin), len(text) - len(end))
    return f"{begin}\n... {left_out:,} characters, {lines:,} line ends left out ...\n{end}"
