"""Where the command line writes: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape

from higgsdemo.display.words import plain
from higgsdemo.errors import HiggsdemoError

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

_UNLIMITED = 10_000  # columns


def print_table(renderable: RenderableType, to: Console = out) -> None:
    """Print a table at its full width: a name cut short cannot be copied into a command."""
    needed = Console(width=_UNLIMITED).measure(renderable).maximum
    wide = Console(file=to.file, highlight=False, width=max(to.width, needed))
    wide.print(renderable)


def say_error(error: HiggsdemoError) -> None:
    """Print an error: the headline, then where, why, nearest names, what to do."""
    headline, *rest = (plain(line, lines=True) for line in error.lines())
    err.print(f"[bold red]error:[/] {escape(headline)}")
    for line in rest:
        label, _, text = line.partition(": ")
        err.print(f"  [bold]{label}:[/] {escape(text)}")


def print_json(document: Any) -> None:
    """Print a document for programs."""
    # Not by rich, which would take the text apart: a plan of ten thousands of tasks is long.
    out.file.write(json.dumps(document, indent=1) + "\n")
