"""The error tree: what failed, why, where, the nearest right names, and what to do next.

Everything that is a user's or an environment's mistake is a `HiggsdemoError` and reaches the
user as a few lines without a traceback. Any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import StrEnum
from typing import ClassVar


class Cause(StrEnum):
    """Why an attempt at a task failed; it decides what happens next."""

    TRANSIENT = "transient"  # retried, with jittered back-off
    BAD_INPUT = "bad-input"  # this file is at fault; never retried blindly
    RESOURCES = "resources"  # killed for memory; retried with more, up to a cap
    PREEMPTED = "preempted"  # taken away; not counted against the task
    LOST = "lost"  # the engine says done, no result came
    CREDENTIALS = "credentials"  # we are not let in, nor will be: stops the run at once
    BUG = "bug"  # our code or the workflow's: stops the run at once, traceback shown


class HiggsdemoError(Exception):
    """An error a user can act on.

    Parameters
    ----------
    what : what failed, one short sentence without a full stop
    why : the reason, in the words of whatever refused
    where : file, sample, task, host: whatever locates it
    nearest : the nearest right names
    hint : what to do next
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        what: str,
        *,
        why: str | None = None,
        where: str | None = None,
        nearest: Iterable[str] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.where = where
        self.nearest = tuple(nearest)
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.why, self.where, self.nearest, self.hint)

    @property
    def brief(self) -> str:
        """What failed, where and why, in one line."""
        return ": ".join(filter(None, (self.what, self.where, self.why)))

    def lines(self) -> list[str]:
        """Return the message as lines, the headline first."""
        said = [self.what]
        if self.where:
            said.append(f"where: {self.where}")
        if self.why:
            said.append(f"why: {self.why}")
        if self.nearest:
            said.append(f"did you mean: {', '.join(self.nearest)}")
        if self.hint:
            said.append(f"what to do: {self.hint}")
        return said

    def __str__(self) -> str:
        return "\n  ".join(self.lines())


def _rebuild(
    kind: type[HiggsdemoError],
    what: str,
    why: str | None,
    where: str | None,
    nearest: tuple[str, ...],
    hint: str | None,
) -> HiggsdemoError:
    return kind(what, why=why, where=where, nearest=nearest, hint=hint)


class UsageError(HiggsdemoError):
    """The words of the command are off: unknown name, wrong value, missing argument."""

    exit_code = 2


class RunError(HiggsdemoError):
    """Something about a run as a whole: it exists, is locked, is newer than this program."""


class TaskError(HiggsdemoError):
    """A declared failure of a task. Only these may be blamed on a file or a machine."""

    cause: ClassVar[Cause] = Cause.TRANSIENT


class InputError(TaskError):
    """The file itself is at fault: missing, truncated, not ROOT, wrong content."""

    cause = Cause.BAD_INPUT


class TransientError(TaskError):
    """The same thing may work when tried again: network, busy server, full disk."""

    cause = Cause.TRANSIENT


class CredentialsError(TaskError):
    """Keys, tokens or trust are missing, wrong or expired: no other file would fare better."""

    cause = Cause.CREDENTIALS


class ResourcesError(TaskError):
    """The task needs more memory than it was given."""

    cause = Cause.RESOURCES


def nearest(word: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Return up to `count` of the `known` names that look most like `word`."""
    names = {name.casefold(): name for name in known}
    hits = difflib.get_close_matches(word.casefold(), names, n=count, cutoff=0.5)
    return [names[hit] for hit in hits]
