"""`worker`: the program inside jobs, as a command. What it does is in `higgsdemo.worker`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer


def worker(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TASK.json | --tasks FOLDER --index N",
            help="As of python -m higgsdemo.worker; its own help: higgsdemo worker -- --help.",
        ),
    ] = None,
) -> None:
    """Run tasks inside a job: one from a file, or those of an index of an array of jobs.

    The exit status says what became of them: 0 done, 65 bad input, 70 bug, 75 transient,
    77 credentials, 137 out of memory, 143 told to end.
    """
    from higgsdemo.worker.command import main

    sys.exit(main(words or []))
