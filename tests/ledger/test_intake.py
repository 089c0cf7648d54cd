"""Pages into the ledger, wholly or not at all."""

import gzip
import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from higgsdemo.errors import Cause
from higgsdemo.ledger import Ledger, Merger
from higgsdemo.ledger.inspection import Inspector
from higgsdemo.ledger.intake import Collected, Intake
from higgsdemo.model.text import canonical
from higgsdemo.sinks import Arrival, Page
from tests.ledger.builders import (
    failure_of,
    make_task,
    make_tasks,
    manifest_of,
    new_ledger,
    result_of,
    states,
)
from tests.ledger.sinks import arrival

TASKS = make_tasks(6)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with new_ledger(tmp_path, TASKS) as made:
        yield made


def intake(ledger: Ledger, url: str = "list://here") -> Intake:
    inspector = Inspector(manifest_of(TASKS), ledger)
    return Intake(ledger, inspector, url, lambda failure: failure.cause is Cause.PREEMPTED)


def page(*arrivals: Arrival, cursor: str = "c") -> Page:
    return Page(arrivals, cursor)


def test_a_page_of_everything(ledger: Ledger) -> None:
    came = intake(ledger).take(
        page(
            arrival(result_of(TASKS[0])),
            arrival(result_of(TASKS[0])),
            arrival(result_of(TASKS[1])),
            arrival(result_of(TASKS[1], shift=1)),
            arrival(failure_of(TASKS[2], Cause.BAD_INPUT)),
            arrival(failure_of(TASKS[3], Cause.PREEMPTED)),
            arrival(result_of(TASKS[4]), "other"),
            arrival(result_of(make_task(99))),
            arrival(failure_of(make_task(98))),
            Arrival("junk", b"junk"),
            Arrival("gone", None, "it is huge"),
        )
    )
    assert (came.results, came.duplicates, came.alarms) == (2, 1, 1)
    assert came.failures == {"bad-input": 1, "preempted": 1}
    assert len(came.refused) == 5
    assert came.refused["gone"] == "it is huge"
    assert states(ledger) == dict(
        zip((t.id for t in TASKS), ["done", "done", "failed", *["queued"] * 3], strict=True)
    )
    assert len(ledger.alarms()) == 1
    assert ledger.counts().failed == {"bad-input": 1}
    assert list(ledger.results()) == [result_of(task) for task in TASKS[:2]]


DEEP = b"[" * 990 + b"]" * 990
DOCUMENT = result_of(TASKS[0]).pack()
ABOUT = {key: DOCUMENT.pop(key) for key in ("digest", "provenance", "counters")}
CONTENT = canonical(DOCUMENT)
FORM = result_of(TASKS[0]).output.form.text


def written(
    content: bytes, form: bytes = FORM, *, task: str = TASKS[0].id, provenance: bytes = b"{}"
) -> Arrival:
    """What somebody delivers who writes parcels by hand: names and digests fit."""
    digest = hashlib.sha256(content).hexdigest()
    about = canonical(ABOUT | {"digest": digest})
    about = about.replace(b'"provenance":{}', b'"provenance":' + provenance)
    lines = b'{"parcel":2,"run":"test","result":%b}\n%b\n' % (about, content)
    return Arrival(f"{task}.{digest[:16]}", gzip.compress(lines) + gzip.compress(form + b"\n"))


def written_failure(content: bytes, task: str) -> Arrival:
    digest = hashlib.sha256(content).hexdigest()
    lines = b'{"parcel":2,"run":"test","failure":{"digest":"%b"}}\n%b\n'
    return Arrival(
        f"{task}.failed-{digest[:16]}", gzip.compress(lines % (digest.encode(), content))
    )


def without(key: str) -> bytes:
    return canonical({name: value for name, value in DOCUMENT.items() if name != key})


@pytest.mark.parametrize(
    "hostile",
    [
        written(without("task"), task="None"),
        written(canonical(DOCUMENT | {"task": [1]}), task="[1]"),
        written(canonical(DOCUMENT | {"task": {}}), task="{}"),
        written_failure(b'{"cause":"bug","message":"m"}', "None"),
        written_failure(b'{"task":[1]}', "[1]"),
        written(CONTENT + b" "),
        written(CONTENT.replace(b'"events":1', b'"events":1,"events":1')),
        written(CONTENT.replace(b'"version":"1"', b'"version":' + DEEP)),
        written(CONTENT.replace(b'"files":1', b'"files":' + DEEP)),
        written(CONTENT, provenance=DEEP),
        written(CONTENT, FORM.replace(b'"uhi_schema":1', b'"uhi_schema":' + DEEP)),
        written(canonical(DOCUMENT | {"sections_seen": {"9" * 5000: [[1, 2]]}})),
        written(canonical(DOCUMENT | {"form": []})),
        written(canonical(DOCUMENT | {"sample": {}})),
        written(b"[" * 5000),
    ],
    ids=range(15),
)
def test_a_parcel_written_by_hand_stops_nothing(ledger: Ledger, hostile: Arrival) -> None:
    came = intake(ledger).take(page(hostile, arrival(result_of(TASKS[1]))))
    assert came.refused.keys() == {hostile.name}
    assert came.results == 1
    assert list(ledger.results()) == [result_of(TASKS[1])]
    intake(ledger)  # as after a restart
    assert Merger(manifest_of(TASKS)).update(ledger) == 1


def test_a_parcel_written_by_hand_as_it_should_be_is_taken(ledger: Ledger) -> None:
    """Of what is refused above, the rest is right."""
    assert intake(ledger).take(page(written(CONTENT))).results == 1


def test_a_failure_that_is_twice_on_a_page_is_counted_once(ledger: Ledger) -> None:
    """A worker whose first answer was lost delivers again: a stream may then have it twice."""
    failed = arrival(failure_of(TASKS[2], Cause.BAD_INPUT))
    other = arrival(result_of(TASKS[1], shift=1))
    came = intake(ledger).take(page(failed, failed, arrival(result_of(TASKS[1])), other, other))
    assert (came.failures, came.alarms) == ({"bad-input": 1}, 1)
    assert len(ledger.attempts(TASKS[2].id)) == 1
    assert ledger.ask("SELECT tries FROM tasks WHERE id = ?", TASKS[2].id) == [(1,)]
    assert len(ledger.alarms()) == 1


def test_nothing_is_counted_twice_also_after_a_restart(ledger: Ledger) -> None:
    everything = page(
        arrival(result_of(TASKS[1])),
        arrival(result_of(TASKS[1], shift=1)),
        arrival(failure_of(TASKS[2])),
        Arrival("junk", b"junk"),
    )
    intake(ledger).take(everything)
    before = [*ledger._db.iterdump()]
    again = intake(ledger)
    assert not again.take(everything).anything
    assert [*ledger._db.iterdump()] == before
    assert all(again.knows(one.name) for one in everything.arrivals)
    assert again.knows(everything.arrivals[0].name + "-2")
    assert not again.knows("junk-2")
    assert ledger.tries(TASKS[2].id) == 1


def test_a_failure_does_not_undo_a_result_nor_come_twice(ledger: Ledger) -> None:
    one = intake(ledger)
    one.take(page(arrival(result_of(TASKS[0])), arrival(failure_of(TASKS[0]))))
    assert states(ledger)[TASKS[0].id] == "done"
    one.take(page(arrival(failure_of(TASKS[1]))))
    assert states(ledger)[TASKS[1].id] == "failed"
    ledger.requeue_failed()
    one.take(page(arrival(failure_of(TASKS[1]))))
    assert states(ledger)[TASKS[1].id] == "queued"
    one.take(page(arrival(failure_of(TASKS[1], message="once more"))))
    assert states(ledger)[TASKS[1].id] == "failed"
    one.take(page(arrival(result_of(TASKS[1]))))
    assert states(ledger)[TASKS[1].id] == "done"


def test_the_cursor_is_written_with_what_it_stands_for(ledger: Ledger) -> None:
    one, other = intake(ledger), intake(ledger, "list://there")
    assert one.cursor == ""
    one.take(page(arrival(result_of(TASKS[0])), cursor="7"))
    assert (one.cursor, other.cursor) == ("7", "")
    assert intake(ledger).cursor == "7"
    one.take(Page((), "", emptied=True))
    assert one.cursor == ""
    one.take(page(arrival(result_of(TASKS[1])), cursor="8"))
    one.take(page(arrival(result_of(TASKS[2])), cursor=""))  # a store without an order
    assert one.cursor == "8"


def test_a_page_that_cannot_be_written_leaves_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = intake(ledger)
    first, second = arrival(result_of(TASKS[0])), arrival(failure_of(TASKS[1]))

    def disk_full(*_: object, **__: object) -> None:
        raise sqlite3.DataError("disk full, say")

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "note_failure", disk_full)
        with pytest.raises(sqlite3.DataError):
            one.take(page(first, second))
    assert set(states(ledger).values()) == {"queued"}
    assert one.cursor == ""
    assert not one.knows(first.name)
    assert one.take(page(first, second)).results == 1


def test_starting_over_looks_again_only_at_what_was_refused(ledger: Ledger) -> None:
    one = intake(ledger)
    foreign, alarm = arrival(result_of(TASKS[0]), "other"), arrival(result_of(TASKS[1], shift=1))
    all_of_it = page(foreign, arrival(result_of(TASKS[1])), alarm, arrival(failure_of(TASKS[2])))
    one.take(all_of_it)
    one.start_over()
    assert one.cursor == ""
    came = one.take(all_of_it)
    assert came == Collected(refused={foreign.name: "it is of run 'other'"})


def test_lost(ledger: Ledger) -> None:
    one = intake(ledger)
    one.take(page(arrival(result_of(TASKS[0]))))
    assert one.lose([TASKS[1].id, TASKS[2].id], "no result") == 2
    assert ledger.counts().failed == {"lost": 2}
    assert ledger.problems()[0].message == "no result"


def test_adding_up() -> None:
    total = Collected()
    assert not total.anything
    total.add(Collected(1, 2, 3, {"bug": 1}, {"x": "y"}, 1))
    total.add(Collected(1, 2, 3, {"bug": 1, "lost": 2}, {"z": "y"}, 1))
    assert total == Collected(2, 4, 6, {"bug": 2, "lost": 2}, {"x": "y", "z": "y"}, 2)
