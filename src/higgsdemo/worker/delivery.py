"""Putting outcomes where the collector takes them."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Sequence

from higgsdemo.errors import HiggsdemoError
from higgsdemo.model import Failure, Result


def deliver(outcome: Result | Failure, urls: Sequence[str], run_id: str) -> HiggsdemoError | None:
    """Put an outcome into the sinks; return why that did not work."""
    from higgsdemo import sinks

    if isinstance(outcome, Failure):  # this attempt, not one before it on the same host
        provenance = {**outcome.provenance, "ended": time.time()}
        outcome = dataclasses.replace(outcome, provenance=provenance)
    try:
        for url, error in sinks.deliver(outcome, run_id, urls):
            sys.stderr.write(f"not delivered to {url}, but to the others: {error}\n")
    except HiggsdemoError as error:
        return error
    return None


def delivered(task_id: str, urls: Sequence[str], run_id: str) -> bool:
    """Whether a result of the task is where it counts: in a record or, without one, in a bus.

    Errors are those of the sinks.
    """
    from higgsdemo import sinks

    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(sink) for sink in sinks.open_sinks(urls)]
        records = [sink for sink in opened if sink.is_record]
        return all(sink.has_result(run_id, task_id) for sink in records or opened[:1])


def say_failure(failure: Failure) -> None:
    """Tell a failure on standard error: that is what people see in the job's log."""
    sys.stderr.write(f"{failure.cause}: {failure.message}\n{failure.traceback or ''}")
