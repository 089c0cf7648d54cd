"""What a workflow is, and how one is found: by the entry point group `higgsdemo.workflows`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from higgsdemo.errors import UsageError, nearest

if TYPE_CHECKING:
    from higgsdemo.model import Output, Task
    from higgsdemo.storage import Source

GROUP = "higgsdemo.workflows"


@dataclass(frozen=True, slots=True)
class Option:
    """A setting of a workflow, given as ``--option NAME=VALUE``.

    `choices` are the only values allowed. Where it is empty, `parser` returns the value as it
    is to be kept, or raises ValueError with the reason; without either, any value goes.
    """

    default: str
    choices: tuple[str, ...] = ()
    parser: Callable[[str], str] | None = None
    help: str = ""


@runtime_checkable
class Workflow(Protocol):
    """What is done to the events of a task.

    `version` is part of every result: raise it when the numbers can change. One that hands
    files to another program, rather than reading columns, says `needs_files = True`: then files
    elsewhere are staged in, and each source has a `path`.
    """

    @property
    def name(self) -> str:
        """The word for it on the command line."""

    @property
    def version(self) -> str:
        """Which numbers it gives."""

    @property
    def title(self) -> str:
        """One line for people."""

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats of samples that it reads: nanoaod, aod."""

    @property
    def options(self) -> Mapping[str, Option]:
        """Its settings by name."""

    def process(self, task: Task, sources: Sequence[Source]) -> Output:
        """Return what the events of the task give; `sources` are `task.files`, opened."""


def names() -> tuple[str, ...]:
    """Return the names of all installed workflows, sorted."""
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


def load(name: str) -> Workflow:
    """Return the workflow of that name.

    Raises UsageError for an unknown name, a name that two packages claim, or an entry point
    that is not a workflow. An error while importing it is its author's and comes through.
    """
    found = set(entry_points(group=GROUP, name=name))
    if not found:
        known = names()
        raise UsageError(
            f"unknown workflow {name!r}",
            nearest=nearest(name, known),
            hint=f"installed: {', '.join(known) or 'none, reinstall higgsdemo'}",
        )
    if len({entry.value for entry in found}) > 1:
        raise UsageError(
            f"several packages provide a workflow {name!r}",
            where=", ".join(sorted(_origin(entry) for entry in found)),
            hint="uninstall all but one of them",
        )
    entry = found.pop()
    target = entry.load()
    workflow = target() if isinstance(target, type) else target
    if not isinstance(workflow, Workflow):
        raise UsageError(
            f"workflow {name!r} is not a workflow",
            where=_origin(entry),
            why="it lacks one of name, version, title, options, process",
        )
    return workflow


def check_options(workflow: Workflow, options: Mapping[str, str]) -> dict[str, str]:
    """Return all options of the workflow: the given ones, and defaults for the others.

    Raises UsageError for an unknown option or a value that it does not take.
    """
    for name in options:
        if name not in workflow.options:
            known = sorted(workflow.options)
            raise UsageError(
                f"workflow {workflow.name!r} has no option {name!r}",
                nearest=nearest(name, known),
                hint=f"its options: {', '.join(known) or 'none'}",
            )
    return {
        name: _checked(workflow.name, name, option, options.get(name, option.default))
        for name, option in workflow.options.items()
    }


def _checked(workflow: str, name: str, option: Option, value: str) -> str:
    what = f"option {name!r} of workflow {workflow!r} does not take {value!r}"
    if option.choices:
        if value not in option.choices:
            allowed = ", ".join(option.choices)
            raise UsageError(what, nearest=nearest(value, option.choices), hint=f"give {allowed}")
        return value
    if option.parser is None:
        return value
    try:
        return option.parser(value)
    except ValueError as error:
        raise UsageError(what, why=str(error), hint=option.help or None) from error


def needs_files(workflow: Workflow) -> bool:
    """Whether its sources must be files on this machine, see `Workflow`."""
    return bool(getattr(workflow, "needs_files", False))


def _origin(entry: EntryPoint) -> str:
    package = entry.dist.name if entry.dist is not None else "an unnamed package"
    return f"{package} ({entry.value})"
