"""What is new in a ledger since one looked last: the price of a look is that of the news.

The number of done tasks and their sums come with the new results; of all other tasks only those
that run or have failed are counted, through an index. Nothing is ever asked of every task.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from higgsdemo.errors import Cause
from higgsdemo.ledger.database import Ledger
from higgsdemo.ledger.handover import Taken
from higgsdemo.ledger.manifest import Manifest
from higgsdemo.ledger.packing import unpack
from higgsdemo.ledger.tally import tally_of


@dataclass(frozen=True, slots=True)
class Open:
    """Tasks of one sample that run or have failed for one cause (None: they run)."""

    sample: str
    cause: str | None
    tasks: int


def arrivals(ledger: Ledger, after: int = 0, until: int | None = None) -> Iterator[Taken]:
    """Yield the results after the one with this sequence number, `until` another, that included.

    Raises RunError if the ledger cannot be read.
    """
    rows = ledger.each(
        "SELECT sequence, received, form, document FROM results"
        " WHERE sequence > ? AND sequence <= ? ORDER BY sequence",
        after,
        2**62 if until is None else until,
    )
    with ledger.readable():
        for sequence, received, form, document in rows:
            yield Taken(sequence, received, tally_of(unpack(document), ledger.form(form)))


def tasks_after(ledger: Ledger, sequence: int) -> list[tuple[int, str]]:
    """Return (sequence number, task) of the results after the one with this number, in order."""
    return [
        (row[0], row[1])
        for row in ledger.ask(
            "SELECT sequence, task FROM results WHERE sequence > ? ORDER BY sequence", sequence
        )
    ]


def last_arrival(ledger: Ledger) -> int:
    """Return the sequence number of the newest result; 0 if there is none."""
    return int(ledger.ask("SELECT coalesce(max(sequence), 0) FROM results")[0][0])


def version(ledger: Ledger) -> int:
    """Return a number that changes when another process has changed the ledger."""
    return int(ledger.ask("PRAGMA data_version")[0][0])


def not_done(ledger: Ledger) -> list[Open]:
    """Count the running and the failed tasks per sample and cause; the queued are the rest."""
    rows = ledger.ask(
        "SELECT sample, cause, count(*) FROM tasks WHERE state IN ('running', 'failed')"
        " GROUP BY state, cause, sample"
    )
    return [Open(*row) for row in rows]


def places(ledger: Ledger) -> dict[str, int]:
    """Count the open attempts by the place where they run."""
    rows = ledger.ask(
        "SELECT place, count(*) FROM attempts WHERE ended IS NULL GROUP BY place ORDER BY place"
    )
    return {row[0]: row[1] for row in rows}


def first_start(ledger: Ledger) -> float | None:
    """Return when the first attempt began, s since 1970."""
    rows = ledger.ask("SELECT started FROM attempts ORDER BY number LIMIT 1")
    return float(rows[0][0]) if rows else None


@dataclass(frozen=True, slots=True)
class Refusals:
    """What came over the sinks of a run and is no part of it.

    `documents` were refused, `examples` are some of them, "name: why"; `emptied` is how often a
    sink was found without what it had held.
    """

    documents: int = 0
    examples: tuple[str, ...] = ()
    emptied: int = 0


def refusals(ledger: Ledger, most: int) -> Refusals:
    """Return what collectors of the run have refused, whoever they were."""
    emptied = ledger.ask("SELECT coalesce(sum(value), 0) FROM meta WHERE key LIKE 'emptied of %'")
    if not ledger.ask("SELECT 1 FROM sqlite_master WHERE name = 'arrivals'"):
        return Refusals()  # nobody has collected yet
    named = ledger.ask(
        "SELECT name, refused FROM arrivals WHERE refused IS NOT NULL ORDER BY at LIMIT ?", most
    )
    count = len(named)
    if count == most:
        count = ledger.ask("SELECT count(*) FROM arrivals WHERE refused IS NOT NULL")[0][0]
    examples = tuple(f"{name}: {why}" for name, why in named)
    return Refusals(count, examples, int(emptied[0][0]))


def last_end(ledger: Ledger) -> float | None:
    """Return when the newest of the attempts that ended was seen to, s since 1970."""
    rows = ledger.ask(
        "SELECT ended FROM attempts WHERE ended IS NOT NULL ORDER BY number DESC LIMIT 1"
    )
    return float(rows[0][0]) if rows else None


def alarms_after(ledger: Ledger, number: int, most: int) -> list[tuple[int, str]]:
    """Return (number, text) of the alarms after the one with this number, at most so many."""
    rows = ledger.ask(
        "SELECT number, task, message FROM alarms WHERE number > ? ORDER BY number LIMIT ?",
        number,
        most,
    )
    return [(row[0], f"task {row[1]}: {row[2]}" if row[1] else row[2]) for row in rows]


def left_out(manifest: Manifest, ledger: Ledger) -> list[tuple[str, str]]:
    """Return (sample, file) of the bad files, each once, however it was cut or bundled."""
    failed = {task_id for task_id, _, _ in ledger.failed(Cause.BAD_INPUT)}
    if not failed:
        return []
    files = (
        (task.sample, file.name)
        for task in manifest.tasks
        if task.id in failed
        for file in task.files
    )
    return list(dict.fromkeys(files))
