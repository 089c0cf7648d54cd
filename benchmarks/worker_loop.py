"""Our worker: `higgsdemo.worker.run_task`, the function every executor calls.

`worker_loop.py SELECTION READER TINY [FILE]`; SELECTION is `published` or `default`, READER is
`auto` (what users have) or `uproot` (what reads the layouts that the fast reader does not know).
"""

from __future__ import annotations

import functools
import sys
from typing import Any

from measuring import BINS, LOWER, UPPER, Counts, channel, measure

from higgsdemo.model import Histogram, Output, Task, TaskFile
from higgsdemo.worker import run_task


def insist_on(reader: str) -> None:
    """Make the workflow read with this reader; there is no option for it."""
    from higgsdemo.workflows.h4l import workflow

    open_events: Any = workflow.open_events
    workflow.open_events = functools.partial(open_events, reader=reader)


def task(path: str, selection: str) -> Task:
    """The task an executor would get for one file, every channel asked for."""
    options = {} if selection == "default" else {"selection": selection}
    return Task("benchmark", (TaskFile(path, path),), options=options)


def published_mass(output: Output, name: str) -> Histogram:
    """The channel's m4l histogram with the published binning."""
    for key, histogram in output.histograms.items():
        axis = histogram.axis
        if key.startswith(f"{name}/") and (axis.bins, axis.lower, axis.upper) == (
            BINS,
            LOWER,
            UPPER,
        ):
            return histogram
    raise LookupError(f"no histogram of {BINS} bins in [{LOWER}, {UPPER}) for {name}")


def analyser(selection: str) -> Any:
    def analyse(path: str) -> Counts:
        output = run_task(task(path, selection)).output
        counted = {
            name: channel(steps[-1][1], published_mass(output, name).counts.tolist())
            for name, steps in output.cutflow.items()
        }
        return {"events": output.events, "channels": counted}

    return analyse


if __name__ == "__main__":
    if sys.argv[2] != "auto":
        insist_on(sys.argv[2])
    measure(analyser(sys.argv[1]), sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else None)
