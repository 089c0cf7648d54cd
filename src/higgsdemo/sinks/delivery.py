"""Delivering to several sinks of one run: an object store as the record, Redis as the bus."""

from __future__ import annotations

from collections.abc import Sequence

from higgsdemo.errors import HiggsdemoError
from higgsdemo.model import Failure, Result
from higgsdemo.sinks.door import open_sinks
from higgsdemo.sinks.protocol import Sink


def deliver(
    outcome: Result | Failure, run_id: str, urls: Sequence[str]
) -> list[tuple[str, HiggsdemoError]]:
    """Put an outcome into each of the sinks at `urls`, see `Sink.deliver`.

    Every record must have it, or, where there is none, one bus. Each sink is tried, whatever
    happened to the others. Returns (url, error) of those that do not have it although nothing is
    lost by that. Raises the first error that counts, and what `open_sinks` raises.
    """
    failed: list[tuple[Sink, HiggsdemoError]] = []
    opened = open_sinks(urls)
    for sink in opened:
        try:
            with sink:
                sink.deliver(outcome, run_id)
        except HiggsdemoError as error:
            failed.append((sink, error))
    has_record = any(sink.is_record for sink in opened)
    for sink, failure in failed:
        if sink.is_record or (not has_record and len(failed) == len(opened)):
            raise failure
    return [(sink.url, failure) for sink, failure in failed]
