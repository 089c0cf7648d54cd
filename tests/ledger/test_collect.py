"""Collecting: each result once, in any order, however often, whatever is killed when."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from higgsdemo.errors import Cause, CredentialsError, TransientError
from higgsdemo.ledger import Collector, Ledger, Merger, closing_check, collect
from higgsdemo.model.text import parse_json
from higgsdemo.sinks import Arrival, Page, open_sink, parcel
from tests.ledger.builders import (
    check_accounting,
    failure_of,
    make_tasks,
    manifest_of,
    new_ledger,
    result_of,
    states,
)
from tests.ledger.sinks import RUN, ListSink, arrival

COUNT = 12
TASKS = make_tasks(COUNT)
MANIFEST = manifest_of(TASKS)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with new_ledger(tmp_path, TASKS) as made:
        yield made


def merged(ledger: Ledger) -> object:
    merger = Merger(MANIFEST)
    merger.update(ledger)
    return merger.totals().samples


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> object:
    with new_ledger(tmp_path_factory.mktemp("calm"), TASKS) as ledger:
        for task in TASKS:
            ledger.deliver(result_of(task))
        return merged(ledger)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_order_any_duplicates_any_restarts_give_the_same_bits(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory, undisturbed: object
) -> None:
    chance = data.draw(st.randoms(use_true_random=False))
    arrivals = [arrival(result_of(task)) for task in TASKS]
    arrivals += [chance.choice(arrivals) for _ in range(data.draw(st.integers(0, 15)))]
    arrivals += [
        arrival(failure_of(chance.choice(TASKS), message=f"attempt {number}"))
        for number in range(data.draw(st.integers(0, 5)))
    ]
    arrivals += [Arrival(f"junk{number}", b"\0junk") for number in range(2)]
    chance.shuffle(arrivals)
    sink = ListSink(arrivals, page=data.draw(st.integers(1, 8)))
    with new_ledger(tmp_path_factory.mktemp("l"), TASKS) as ledger:
        collector = Collector(ledger, MANIFEST, sink)
        for _ in range(data.draw(st.integers(0, 4))):
            pages = sink.pages(RUN, collector._intake.cursor, collector._intake.knows)
            for _ in range(data.draw(st.integers(0, 4))):
                page = next(pages, None)
                if page is not None:
                    collector._intake.take(page)
                check_accounting(ledger.counts(), COUNT)
            sink.emptied = data.draw(st.booleans())
            collector = Collector(ledger, MANIFEST, sink)  # killed, and started again
        collector.look()
        collector.look()
        assert closing_check(ledger, MANIFEST) == []
        assert ledger.counts().done == COUNT
        assert merged(ledger) == undisturbed
        failures = [a for t in TASKS for a in ledger.attempts(t.id) if a["message"]]
        assert len(failures) == len({one.name for one in arrivals if "failed" in one.name})


def test_from_a_folder(ledger: Ledger, tmp_path: Path, undisturbed: object) -> None:
    order = random.Random(1).sample(TASKS, COUNT)
    (tmp_path / "sink").mkdir()
    with open_sink((tmp_path / "sink").as_uri()) as sink:
        for task in order[:5]:
            sink.deliver(result_of(task), RUN)
        assert collect(ledger, MANIFEST, sink).results == 5
        for task in order:
            sink.deliver(result_of(task), RUN)
        assert collect(ledger, MANIFEST, sink).results == COUNT - 5
        assert not collect(ledger, MANIFEST, sink).anything
    assert closing_check(ledger, MANIFEST) == []
    assert merged(ledger) == undisturbed


def test_only_what_is_in_the_ledger_is_trimmed(ledger: Ledger) -> None:
    sink = ListSink([arrival(result_of(task)) for task in TASKS], page=5)
    collect(ledger, MANIFEST, sink)
    assert sink.trimmed == 0
    collector = Collector(ledger, MANIFEST, sink, trim=True, start_over=True)
    seen = []
    for page in sink.pages(RUN):
        collector._intake.take(page)
        seen.append(sink.trimmed)
    assert seen == [0, 0, 0]
    Collector(ledger, MANIFEST, sink, trim=True, start_over=True).look()
    assert sink.trimmed == COUNT


def test_another_digest_is_an_alarm_and_the_run_does_not_close(ledger: Ledger) -> None:
    first, second = result_of(TASKS[5]), result_of(TASKS[5], shift=1)
    sink = ListSink([arrival(first), arrival(second)])
    came = collect(ledger, MANIFEST, sink)
    assert (came.results, came.alarms) == (1, 1)
    assert [document["digest"] for document in ledger.documents()] == [first.digest]
    assert any("another digest" in line for line in closing_check(ledger, MANIFEST))


def other_sink(
    arrivals: list[Arrival], *, url: str = "list://there", is_record: bool = False
) -> ListSink:
    sink = ListSink(arrivals)
    sink.url, sink.is_record = url, is_record
    return sink


def test_what_came_over_one_sink_is_known_of_the_other(ledger: Ledger) -> None:
    arrivals = [arrival(result_of(task)) for task in TASKS[:6]]
    arrivals.append(arrival(failure_of(TASKS[7])))
    one, other = ListSink(arrivals[:5]), other_sink(arrivals[3:])
    collector = Collector(ledger, MANIFEST, one, other)
    came = collector.look()
    assert (came.results, came.duplicates, came.failures) == (6, 0, {"transient": 1})
    one.deliver(result_of(TASKS[8]), RUN)
    other.emptied = True
    assert (collector.look().results, collector.total.emptied) == (1, 1)
    again = Collector(ledger, MANIFEST, one, other)
    assert not again.look().anything
    Collector(ledger, MANIFEST, one, other, start_over=True).look()
    assert len([a for a in ledger.attempts(TASKS[7].id) if a["message"]]) == 1


class Gone(ListSink):
    def pages(self, *_: object) -> Iterator[Page]:
        raise TransientError("gone", why="it does not answer", where=self.url)
        yield


def test_a_bus_that_is_gone_is_no_failure_beside_a_record(ledger: Ledger) -> None:
    arrivals = [arrival(result_of(task)) for task in TASKS[:4]]
    record = other_sink(arrivals, is_record=True)
    collector = Collector(ledger, MANIFEST, Gone(), record)
    assert collector.look().results == 4
    assert list(collector.silent) == [Gone.url]
    gone_record = Gone()
    gone_record.is_record = True
    collector = Collector(
        ledger,
        MANIFEST,
        gone_record,
        other_sink([arrival(result_of(TASKS[5]))], url="list://third"),
    )
    with pytest.raises(TransientError):
        collector.look()
    assert collector.total.results == 1  # the other was read all the same


class Refusing(ListSink):
    def pages(self, *_: object) -> Iterator[Page]:
        raise CredentialsError("no", why="wrong password", where=self.url)
        yield


def test_what_refuses_us_is_raised_once_the_others_are_read(ledger: Ledger) -> None:
    record = other_sink([arrival(result_of(TASKS[5]))], is_record=True)
    collector = Collector(ledger, MANIFEST, Refusing(), record)
    with pytest.raises(CredentialsError, match="no"):
        collector.look()
    assert collector.total.results == 1
    assert collector.silent == {}


def test_a_tail_reads_a_slow_sink_less_often_and_the_last_look_reads_all(ledger: Ledger) -> None:
    fast, slow = ListSink(), other_sink([])
    slow.poll_s = 3600.0
    collector = Collector(ledger, MANIFEST, fast, slow)
    collector.look(everywhere=False)
    slow.deliver(result_of(TASKS[0]), RUN)
    fast.deliver(result_of(TASKS[1]), RUN)
    assert collector.look(everywhere=False).results == 1
    assert collector.look().results == 1
    assert collector.poll_s == 0.0


def test_the_policy_decides_what_is_queued_again(ledger: Ledger) -> None:
    sink = ListSink([arrival(failure_of(TASKS[0], Cause.PREEMPTED)), arrival(failure_of(TASKS[1]))])
    collect(ledger, MANIFEST, sink)
    assert [states(ledger)[task.id] for task in TASKS[:2]] == ["queued", "failed"]
    assert [ledger.tries(task.id) for task in TASKS[:2]] == [0, 1]
    sink = ListSink([arrival(failure_of(TASKS[2]))])
    Collector(ledger, MANIFEST, sink, again=lambda _: True, start_over=True).look()
    assert states(ledger)[TASKS[2].id] == "queued"


def test_what_ended_without_a_result_is_lost_and_comes_back(ledger: Ledger) -> None:
    sink = ListSink([arrival(result_of(task)) for task in TASKS[:4]])
    collector = Collector(ledger, MANIFEST, sink)
    sink.emptied = True
    collector.look()
    assert collector.lose([TASKS[0].id, TASKS[4].id, TASKS[5].id]) == 2
    assert ledger.counts().failed == {"lost": 2}
    assert "came back without" in ledger.problems()[0].message
    assert collector.lose() == COUNT - 6
    assert ledger.counts().ended
    ledger.requeue_failed()
    for task in TASKS:
        sink.deliver(result_of(task), RUN)
    collector.look()
    assert ledger.counts().done == COUNT
    assert closing_check(ledger, MANIFEST) == []


def test_a_result_costs_the_same_work_however_many_came_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the time that it takes, the benchmark of live results tells."""
    tasks = make_tasks(600)
    parsed: list[int] = []
    monkeypatch.setattr(parcel, "parse_json", lambda text: parsed.append(1) or parse_json(text))
    sink = ListSink(page=200)
    with new_ledger(tmp_path, tasks) as ledger:
        collector = Collector(ledger, manifest_of(tasks), sink)
        statements: list[str] = []
        ledger._db.set_trace_callback(statements.append)
        work = []
        for start in range(0, len(tasks), 200):
            parsed.clear()
            statements.clear()
            for task in tasks[start : start + 200]:
                sink.deliver(result_of(task), RUN)
            assert collector.look().results == 200
            work.append((len(parsed), len(statements)))
    assert {parses for parses, _ in work} == {2 * 200}  # the header and the content, once
    assert len({asked for _, asked in work}) == 1
    assert work[0][1] <= 8 * 200
