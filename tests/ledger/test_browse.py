from pathlib import Path

import pytest

from higgsdemo.errors import Cause
from higgsdemo.ledger import Ledger
from higgsdemo.ledger.browse import MOST_ROWS, Wanted, browse, task_row
from higgsdemo.model import Task, TaskFile
from tests.ledger.builders import DATA, failure_of, make_tasks, new_ledger, result_of

TASKS = (*make_tasks(300), Task(DATA.name, (TaskFile("50%_off!/a'b.root", "/x"),), is_data=True))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = new_ledger(tmp_path, TASKS)
    for task in TASKS[:10]:
        made.deliver(result_of(task))
    made.fail(failure_of(TASKS[20], Cause.BAD_INPUT), again=False)
    return made


def labels(ledger: Ledger, **wanted: object) -> list[str]:
    return [row["label"] for row in browse(ledger, Wanted(**wanted)).rows]  # type: ignore[arg-type]


def test_pages(ledger: Ledger) -> None:
    first = browse(ledger, Wanted(rows=100))
    assert first.total == 301
    pages = [labels(ledger, rows=100, page=page) for page in range(5)]
    assert [len(page) for page in pages] == [100, 100, 100, 1, 0]
    assert [label for page in pages for label in page] == [task.label for task in TASKS]
    assert labels(ledger, page=10**30) == []


def test_a_page_has_an_end(ledger: Ledger) -> None:
    assert len(labels(ledger, rows=10**9)) == MOST_ROWS
    assert len(labels(ledger, rows=-5)) == 1


def test_state_and_sample(ledger: Ledger) -> None:
    assert browse(ledger, Wanted(state="done")).total == 10
    assert browse(ledger, Wanted(state="failed")).rows[0]["cause"] == "bad-input"
    assert browse(ledger, Wanted(sample=DATA.name, state="done")).total == 5


def test_words_are_all_looked_for(ledger: Ledger) -> None:
    assert labels(ledger, text="17.root zz") == [
        TASKS[17].label,
        TASKS[117].label,
        TASKS[217].label,
    ]
    assert labels(ledger, text=TASKS[5].id[:12]) == [TASKS[5].label]
    assert labels(ledger, text="bad-input") == [TASKS[20].label]


@pytest.mark.parametrize("text", ["50%_off!", "%_", "a'b", "off!/a'"])
def test_what_means_something_to_sql_is_text(ledger: Ledger, text: str) -> None:
    assert labels(ledger, text=text) == [TASKS[-1].label]


@pytest.mark.parametrize("text", ["'; DROP TABLE tasks; --", '" OR 1=1', "x" * 100_000])
def test_hostile_words_find_nothing(ledger: Ledger, text: str) -> None:
    assert labels(ledger, text=text) == []
    assert browse(ledger, Wanted()).total == 301


def test_order(ledger: Ledger) -> None:
    events = [row["events"] for row in browse(ledger, Wanted(order="events", descending=True)).rows]
    assert events[:3] == [300, 299, 298]
    assert labels(ledger, order="number; DROP TABLE tasks")[0] == TASKS[0].label


def test_one_task(ledger: Ledger) -> None:
    row = task_row(ledger, TASKS[3].id)
    assert row is not None
    assert (row["label"], row["state"]) == (TASKS[3].label, "done")
    assert task_row(ledger, "0" * 16) is None
