"""Options that several commands share, and how many of them become one argument.

Those of storage are in `storing`, those of clusters in `placing`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from higgsdemo.errors import UsageError

RunsFolder = Annotated[
    Path,
    typer.Option("--runs", envvar="HIGGSDEMO_RUNS", help="Folder where runs are kept."),
]
RUNS = Path("runs")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def complete_run(incomplete: str) -> list[str]:
    """Complete the name of a run in the default folder."""
    from higgsdemo.ledger import run_names

    return [name for name in run_names(RUNS) if name.startswith(incomplete)]


RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="Name of the run.", autocompletion=complete_run)
]


def gathered(
    command: Callable[..., None], name: str, read: Callable[..., object]
) -> Callable[..., None]:
    """Give a command the options that `read` takes; it has what `read` makes of them as `name`."""
    own = inspect.signature(command, eval_str=True)
    added = inspect.signature(read, eval_str=True).parameters

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        made = read(**{option: given.pop(option) for option in added})
        command(**given, **{name: made})

    kept = [one for other, one in own.parameters.items() if other != name]
    shown = own.replace(parameters=[*kept, *added.values()])
    with_options.__signature__ = shown  # type: ignore[attr-defined] # what typer looks at
    with_options.__annotations__ = {one.name: one.annotation for one in shown.parameters.values()}
    return with_options


def key_values(pairs: list[str], option: str) -> dict[str, str]:
    """Read repeated `KEY=VALUE` options."""
    read: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(
                f"{option} {pair!r} is not KEY=VALUE", hint=f"e.g. {option} selection=published"
            )
        read[key.strip()] = value.strip()
    return read


def redis_url(host: str) -> str:
    """Return the URL of what `--redis-host` says: `HOST`, `HOST:PORT`, or a whole URL."""
    return host if "://" in host else f"redis://{host}"


def memory_bytes(text: str, option: str = "--memory") -> int:
    """Read an amount of bytes such as `2GB` or `512MiB`; `0` is no limit."""
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError as error:
        raise UsageError(
            f"{text!r} is not a size", hint=f"e.g. {option} 2GB, {option} 512MiB"
        ) from error
