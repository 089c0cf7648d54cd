"""Looking through the tasks of a run a page at a time, without reading all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from higgsdemo.ledger.database import Ledger

STATES = ("queued", "running", "done", "failed")
MOST_ROWS = 200  # a page
LONGEST_WORD = 200  # characters; SQLite has a limit too
ORDERS = ("number", "label", "sample", "files", "events", "size_bytes", "state", "tries")
_COLUMNS = (
    *("number", "id", "sample", "label", "files", "events", "size_bytes"),
    *("state", "cause", "tries"),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What tasks are wanted: words in the label or the beginning of the id, state, sample.

    Empty means any. `order` is one of `ORDERS`; `page` counts from 0.
    """

    text: str = ""
    state: str = ""
    sample: str = ""
    order: str = "number"
    descending: bool = False
    page: int = 0
    rows: int = 50


@dataclass(frozen=True)
class TaskPage:
    """A page of tasks, and how many there are in all."""

    total: int
    rows: list[dict[str, Any]]


def browse(ledger: Ledger, wanted: Wanted) -> TaskPage:
    """Return a page of the tasks that are wanted."""
    where, values = ["1"], list[object]()
    for word in wanted.text.split()[:10]:
        values.append(f"%{_literally(word[:LONGEST_WORD])}%")
        said = f"LIKE ?{len(values)} ESCAPE '!'"
        where.append(f"(label {said} OR id {said} OR cause {said})")
    for column, value in (("state", wanted.state), ("sample", wanted.sample)):
        if value:
            values.append(value)
            where.append(f"{column} = ?{len(values)}")
    condition = " AND ".join(where)
    order = wanted.order if wanted.order in ORDERS else "number"
    direction = "DESC" if wanted.descending else "ASC"
    rows = min(max(wanted.rows, 1), MOST_ROWS)
    # Only names from the lists above are part of the statement; what users say are values.
    total = ledger.ask(f"SELECT count(*) FROM tasks WHERE {condition}", *values)[0][0]
    found = ledger.ask(
        f"SELECT {', '.join(_COLUMNS)} FROM tasks WHERE {condition}"
        f" ORDER BY {order} {direction}, number LIMIT {rows}"
        f" OFFSET {rows * max(0, min(wanted.page, 10**9))}",
        *values,
    )
    return TaskPage(int(total), [dict(zip(_COLUMNS, row, strict=True)) for row in found])


def task_row(ledger: Ledger, task_id: str) -> Mapping[str, Any] | None:
    """Return the row of one task; None if the run has no such task."""
    found = ledger.ask(f"SELECT {', '.join(_COLUMNS)} FROM tasks WHERE id = ?1", task_id)
    return dict(zip(_COLUMNS, found[0], strict=True)) if found else None


def _literally(word: str) -> str:
    """Return a word for LIKE in which nothing stands for something else."""
    for letter in "!%_":
        word = word.replace(letter, f"!{letter}")
    return word
