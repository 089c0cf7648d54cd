"""What sinks of named objects (folders, buckets) have in common."""

from __future__ import annotations

from higgsdemo.errors import RunError
from higgsdemo.sinks.parcel import ParcelError, unpack
from higgsdemo.sinks.protocol import Arrival

PAGE = 200  # documents taken into memory, and into the ledger, at once
COPIES = 5  # names tried where the first is held by a damaged object


def copy_of(name: str, number: int) -> str:
    """Return the name of copy `number`; 0 is the name itself."""
    return f"{name}-{number + 1}" if number else name


def same_content(name: str, payload: bytes | None) -> bool:
    """Whether an object is whole and what its name says: then ours need not be stored too.

    A damaged one must not stand in the way for ever: ours is then stored beside it.
    """
    if payload is None:
        return False
    try:
        unpack(name, payload)
    except ParcelError:
        return False
    return True


def strange(key: str) -> Arrival:
    """Return the arrival of an object that nobody who delivers would have named so."""
    return Arrival(key, None, "it has no name of a result")


def damaged(name: str, url: str) -> RunError:
    """Return the error of a sink in which all names of a document are held by damaged objects."""
    return RunError(
        f"the sink holds {COPIES} damaged objects in place of {name}",
        where=url,
        hint="look at the store, and remove them",
    )
