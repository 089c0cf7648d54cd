"""What every sink promises, shown of each kind."""

import threading

import pytest

from higgsdemo.errors import UsageError
from higgsdemo.model import Failure, Result
from higgsdemo.sinks import Arrival, Sink, unpack
from tests.ledger.builders import failure_of, make_task, result_of
from tests.sinks.conftest import Place


def found(sink: Sink, run: str, after: str = "") -> list[Arrival]:
    return [arrival for page in sink.pages(run, after) for arrival in page.arrivals]


def digests(sink: Sink, run: str) -> list[str]:
    parcels = [unpack(arrival.name, arrival.payload or b"") for arrival in found(sink, run)]
    return sorted(parcel.document["digest"] for parcel in parcels if parcel.is_result)


def test_what_goes_in_comes_out(place: Place) -> None:
    result, failure = result_of(make_task(1)), failure_of(make_task(2))
    with place.open() as sink:
        assert found(sink, place.run) == []
        sink.deliver(result, place.run)
        sink.deliver(failure, place.run)
        parcels = {
            parcel.is_result: parcel
            for arrival in found(sink, place.run)
            if (parcel := unpack(arrival.name, arrival.payload or b""))
        }
    assert parcels[True].run_id == place.run
    assert Result.unpack(parcels[True].document, parcels[True].form) == result
    assert Failure.from_json(parcels[False].document) == failure


def test_a_second_delivery_of_the_same_is_no_error_and_changes_nothing(place: Place) -> None:
    result = result_of(make_task(1))
    with place.open() as sink, place.open() as other:
        sink.deliver(result, place.run)
        before = found(sink, place.run)
        sink.deliver(result, place.run)
        other.deliver(result, place.run)
        assert found(other, place.run) == before
        assert len(before) == 1


def test_another_result_of_the_same_task_is_kept_beside_it(place: Place) -> None:
    one, other = result_of(make_task(5)), result_of(make_task(5), shift=1)
    with place.open() as sink:
        sink.deliver(one, place.run)
        sink.deliver(other, place.run)
        assert digests(sink, place.run) == sorted([one.digest, other.digest])


def test_only_one_of_many_at_once_is_kept(place: Place) -> None:
    result = result_of(make_task(3))
    with place.open() as sink:
        threads = [
            threading.Thread(target=sink.deliver, args=(result, place.run)) for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        kept = found(sink, place.run)
        assert len({arrival.name for arrival in kept}) == 1
        assert len(kept) == 1 or place.kind.startswith("redis")  # see `sinks.stream._ADD`


def test_runs_do_not_mix(place: Place) -> None:
    longer = place.run + "0"
    with place.open() as sink:
        sink.deliver(result_of(make_task(1)), place.run)
        sink.deliver(result_of(make_task(2)), longer)
        assert len(found(sink, place.run)) == 1
        assert len(found(sink, longer)) == 1
        for name in ("../x", "a/b", "", ".", "{x}", "a" * 64):
            with pytest.raises(UsageError, match="name of a run"):
                sink.deliver(result_of(make_task(1)), name)
            with pytest.raises(UsageError, match="name of a run"):
                found(sink, name)


def test_only_what_is_new_is_fetched(place: Place) -> None:
    results = [result_of(make_task(number)) for number in range(5)]
    with place.open() as sink:
        for result in results[:3]:
            sink.deliver(result, place.run)
        first = list(sink.pages(place.run))
        cursor = first[-1].cursor
        names = {arrival.name for page in first for arrival in page.arrivals}
        assert len(names) == 3
        for result in results[3:]:
            sink.deliver(result, place.run)
        later = list(sink.pages(place.run, cursor, names.__contains__))
        new = {arrival.name for page in later for arrival in page.arrivals}
        assert len(new) == 2
        assert not new & names
        assert not any(page.emptied for page in [*first, *later])


def test_more_than_a_page(place: Place) -> None:
    count = 430
    results = [result_of(make_task(number)) for number in range(count)]
    with place.open() as sink:
        for result in results:
            sink.deliver(result, place.run)
        pages = list(sink.pages(place.run))
        assert len(pages) >= 3
        assert len({a.name for page in pages for a in page.arrivals}) == count
        half = {a.name for a in pages[0].arrivals}
        rest = [
            arrival.name
            for page in sink.pages(place.run, pages[0].cursor, half.__contains__)
            for arrival in page.arrivals
        ]
        assert len(rest) == len(set(rest)) == count - len(half)


def test_a_sink_says_whether_a_task_has_a_result(place: Place) -> None:
    with place.open() as sink:
        assert not sink.has_result(place.run, make_task(1).id)
        for number in range(4):
            sink.deliver(result_of(make_task(number)), place.run)
        sink.deliver(failure_of(make_task(7)), place.run)
        had = {number for number in range(9) if sink.has_result(place.run, make_task(number).id)}
        assert had == {0, 1, 2, 3}
        assert not sink.has_result("another-run", make_task(1).id)


def test_the_plan_of_a_run_is_put_beside_its_results_once(place: Place) -> None:
    with place.open() as sink, place.open() as other:
        assert sink.plan(place.run) is None
        assert place.run not in sink.runs()
        assert sink.publish(place.run, b"the plan") == b"the plan"
        assert other.publish(place.run, b"another") == b"the plan"
        assert sink.plan(place.run) == b"the plan"
        assert place.run in other.runs()
        assert sink.runs() == sorted(sink.runs())
        assert found(sink, place.run) == []  # it is no result
        sink.deliver(result_of(make_task(1)), place.run)
        assert len(found(sink, place.run)) == 1
