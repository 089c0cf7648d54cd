"""The merge: the same totals whatever the order, and never more work than what is new."""

import dataclasses
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from higgsdemo.ledger import Merger
from higgsdemo.model import Axis, Histogram, Result, Task, TaskFile, Totals

from .builders import (
    AXIS,
    DATA,
    SAMPLES,
    ZZ,
    make_task,
    make_tasks,
    manifest_of,
    new_ledger,
    result_of,
)

QUICK = settings(max_examples=40, deadline=None)


def merged(tasks: tuple[Task, ...], results: list[Result]) -> Totals:
    merger = Merger(manifest_of(tasks))
    for result in results:
        merger.add(result)
    return merger.totals()


def bits(totals: Totals) -> str:
    """Everything in the totals, floats to the last bit."""
    return repr(
        {
            name: (
                sorted(
                    (key, one.axis, one.counts.tobytes()) for key, one in each.histograms.items()
                ),
                sorted(each.cutflow.items()),
                [getattr(each, field.name) for field in dataclasses.fields(each)[3:]],
            )
            for name, each in totals.samples.items()
        }
    )


shares = st.floats(1e-6, 1e6)


@st.composite
def runs(draw: st.DrawFn) -> tuple[tuple[Task, ...], list[Result]]:
    """Tasks of a run, and the results of some of them."""
    tasks, results = [], []
    for number in range(draw(st.integers(1, 8))):
        sample = draw(st.sampled_from(SAMPLES))
        task = make_task(
            number,
            sample,
            luminosity_pb=draw(shares) if sample is DATA else None,
            generated_events=draw(st.none() | shares) if sample is ZZ else None,
        )
        tasks.append(task)
        if draw(st.booleans()):
            spans = draw(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), max_size=3))
            sections = {draw(st.integers(1, 2)): [[low, low + more] for low, more in spans]}
            results.append(
                result_of(
                    task,
                    shift=draw(st.integers(0, 4)),
                    sections_seen=draw(st.none() | st.just(sections)),
                )
            )
    return tuple(tasks), results


@QUICK
@given(runs(), st.randoms(use_true_random=False))
def test_order_of_the_results_changes_no_bit(
    run: tuple[tuple[Task, ...], list[Result]], chance: random.Random
) -> None:
    tasks, results = run
    shuffled = chance.sample(results, len(results))
    assert bits(merged(tasks, results)) == bits(merged(tasks, shuffled))


def test_luminosity_is_summed_exactly_whatever_the_order() -> None:
    # added one by one, these give 0.6000000000000001 or 0.6
    tasks = tuple(make_task(number, DATA, luminosity_pb=0.1 * (number + 1)) for number in range(3))
    results = [result_of(task) for task in tasks]
    sums = {
        merged(tasks, [results[number] for number in order]).samples[DATA.name].luminosity_pb
        for order in [(0, 1, 2), (2, 1, 0), (1, 2, 0)]
    }
    assert len(sums) == 1


@settings(max_examples=15, deadline=None)
@given(runs(), st.data())
def test_incremental_update_is_the_merge_from_scratch(
    tmp_path_factory: pytest.TempPathFactory,
    run: tuple[tuple[Task, ...], list[Result]],
    data: st.DataObject,
) -> None:
    tasks, results = run
    live = Merger(manifest_of(tasks))
    with new_ledger(tmp_path_factory.mktemp("run"), tasks) as ledger:
        told = 0
        for result in results:
            ledger.deliver(result)
            ledger.deliver(result)
            if data.draw(st.booleans()):
                told += live.update(ledger)
                live.totals()  # looking changes nothing
        told += live.update(ledger)
        assert live.update(ledger) == 0
        assert told == len(results)
        scratch = Merger(manifest_of(tasks))
        assert scratch.update(ledger) == len(results)
    assert bits(live.totals()) == bits(scratch.totals()) == bits(merged(tasks, results))


def test_totals_handed_out_do_not_change_later() -> None:
    # section ranges of an earlier Totals grew with the next results
    tasks = make_tasks(4)
    merger = Merger(manifest_of(tasks))
    merger.add(result_of(tasks[0], sections_seen={1: [[1, 2]]}))
    early = merger.totals()
    before = bits(early)
    merger.add(result_of(tasks[2], sections_seen={1: [[7, 9]], 2: [[1, 1]]}))
    assert bits(early) == before
    assert merger.totals().samples[DATA.name].sections_seen == {1: [[1, 2], [7, 9]], 2: [[1, 1]]}


def test_changing_handed_out_totals_changes_nothing_inside() -> None:
    tasks = make_tasks(2)
    merger = Merger(manifest_of(tasks))
    merger.add(result_of(tasks[0], sections_seen={1: [[1, 2]]}))
    before = bits(merger.totals())
    out = merger.totals().samples[DATA.name]
    out.histograms["4mu/x"].counts[:] = 99
    out.sections_seen[1][0][1] = 99
    out.sections_seen[5] = []
    assert bits(merger.totals()) == before


def test_shared_totals_do_not_change_later_either() -> None:
    tasks = make_tasks(6)
    merger = Merger(manifest_of(tasks))
    merger.add(result_of(tasks[0], sections_seen={5: [[1, 2]], 9: [[4, 4]]}))
    early = merger.totals(shared=True).samples[DATA.name]
    merger.add(result_of(tasks[2], sections_seen={5: [[3, 9]], 1: [[1, 1]], 7: []}))
    later = merger.totals(shared=True).samples[DATA.name]
    assert early.sections_seen == {5: [[1, 2]], 9: [[4, 4]]}
    assert later.sections_seen == {1: [[1, 1]], 5: [[1, 9]], 9: [[4, 4]]}
    assert [*later.sections_seen] == [1, 5, 9]
    assert merger.totals().samples[DATA.name].sections_seen == later.sections_seen


def test_sums() -> None:
    tasks = make_tasks(4)
    totals = merged(tasks, [result_of(task) for task in tasks])
    data, zz = totals.samples[DATA.name], totals.samples[ZZ.name]
    assert (data.events, zz.events) == (1 + 3, 2 + 4)
    assert data.cutflow == {"4mu": (("all events", 4), ("four muons", 0 + 1))}
    assert zz.histograms["4mu/x"].total == 6
    assert np.array_equal(zz.histograms["4mu/x"].values, [2, 2, 1, 1, 0])
    assert totals.complete
    assert totals.run_id == "test"


def test_nothing_in_yet() -> None:
    tasks = make_tasks(4)
    for sample in merged(tasks, []).samples.values():
        assert (sample.tasks, sample.files, sample.events) == (0, 0, 0)
        assert (sample.tasks_planned, sample.files_planned) == (2, 2)
        assert sample.histograms == {}
        assert sample.generated_events == 0
        assert sample.sections_seen is None
        assert not sample.complete


def test_planned_events_are_unknown_if_those_of_any_task_are() -> None:
    known = make_tasks(4)
    assert merged(known, []).samples[ZZ.name].events_planned == 2 + 4
    some = (*known[:3], dataclasses.replace(known[3], events=None))
    assert merged(some, []).samples[ZZ.name].events_planned is None
    assert merged(some, []).samples[DATA.name].events_planned == 1 + 3


# -- files --------------------------------------------------------------------------------------


def test_ranges_of_a_file_are_one_file_when_all_are_in() -> None:
    whole = make_task(9)
    tasks = tuple(
        dataclasses.replace(whole, start=start, stop=start + 10, events=10) for start in (0, 10, 20)
    )
    files = []
    for done in range(4):
        zz = merged(tasks, [result_of(task) for task in tasks[:done]]).samples[ZZ.name]
        files.append(zz.files)
        assert zz.files_planned == 1
        assert zz.tasks == done
    assert files == [0, 0, 0, 1]


def test_several_files_of_a_task_are_several_files() -> None:
    files = tuple(TaskFile(name, f"/{name}") for name in "abc")
    task = Task(ZZ.name, files, events=3)
    zz = merged((task,), [result_of(task)]).samples[ZZ.name]
    assert (zz.files, zz.files_planned, zz.tasks) == (3, 3, 1)


def test_files_of_the_same_name_in_two_samples_are_two() -> None:
    file = (TaskFile("a.root", "/a.root"),)
    tasks = (Task(ZZ.name, file, events=1), Task(DATA.name, file, events=2))
    totals = merged(tasks, [result_of(tasks[0])])
    assert totals.samples[ZZ.name].files == 1
    assert totals.samples[DATA.name].files == 0


def test_skipped_files_are_listed_with_their_sample() -> None:
    totals = Merger(manifest_of(make_tasks(2))).totals([(ZZ.name, "a"), (ZZ.name, "b")])
    assert totals.samples[ZZ.name].skipped == ("a", "b")
    assert totals.samples[DATA.name].skipped == ()
    assert totals.skipped == ("a", "b")


# -- luminosity and generated events ------------------------------------------------------------


def test_luminosity_is_that_of_the_tasks_that_are_in() -> None:
    tasks = tuple(make_task(number, DATA, luminosity_pb=10.0**number) for number in range(3))
    data = merged(tasks, [result_of(tasks[0]), result_of(tasks[2])]).samples[DATA.name]
    assert data.luminosity_pb == 101
    assert data.luminosity_planned_pb == 111
    assert merged(tasks, []).samples[DATA.name].luminosity_pb == 0


def test_unknown_luminosity_of_one_task_makes_the_sum_unknown() -> None:
    tasks = (make_task(0, DATA, luminosity_pb=1.0), make_task(1, DATA))
    first, both = (
        merged(tasks, [result_of(task) for task in tasks[:done]]).samples[DATA.name]
        for done in (1, 2)
    )
    assert first.luminosity_pb == 1
    assert first.luminosity_planned_pb is None
    assert both.luminosity_pb is None
    assert merged(tasks, []).samples[DATA.name].luminosity_pb is None


def test_simulation_has_no_luminosity() -> None:
    tasks = make_tasks(2)
    zz = merged(tasks, [result_of(task) for task in tasks]).samples[ZZ.name]
    assert zz.luminosity_pb is None
    assert zz.luminosity_planned_pb is None


def test_generated_events_are_the_share_or_the_events_read() -> None:
    tasks = (make_task(0, generated_events=1000.25), make_task(4))
    zz = merged(tasks, [result_of(task) for task in tasks]).samples[ZZ.name]
    assert zz.generated_events == 1000.25 + 5
    assert zz.events == 1 + 5


# -- what cannot be merged ----------------------------------------------------------------------


def test_another_axis_is_refused() -> None:
    # same number of bins: was added up bin by bin
    tasks = (make_task(0), make_task(1))
    other = {"4mu/x": Histogram.zeros(Axis(AXIS.bins, 0.0, 50.0, "x", ""))}
    with pytest.raises(ValueError, match="another axis"):
        merged(tasks, [result_of(tasks[0]), result_of(tasks[1], histograms=other)])


def test_results_with_different_histograms_are_all_kept() -> None:
    tasks = (make_task(0), make_task(1))
    other = {"4e/x": Histogram.of(AXIS, [1.0])}
    zz = merged(tasks, [result_of(tasks[0]), result_of(tasks[1], histograms=other)])
    histograms = zz.samples[ZZ.name].histograms
    assert {key: one.total for key, one in histograms.items()} == {"4mu/x": 1, "4e/x": 1}


def test_result_of_another_run_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        merged((make_task(0),), [result_of(make_task(1))])


def test_a_mask_that_leaves_out_sections_leaves_the_luminosity_unknown() -> None:
    task = make_task(0, DATA, luminosity_pb=10.0)
    for used, luminosity in (([[1, 9]], 10.0), ([[1, 8]], None)):
        made = result_of(task, sections_seen={194_000: [[1, 9]]}, sections_used={194_000: used})
        assert merged((task,), [made]).samples[DATA.name].luminosity_pb == luminosity


def test_a_workflow_without_histograms_is_merged_too() -> None:
    tasks = make_tasks(2)
    results = [
        dataclasses.replace(one, output=dataclasses.replace(one.output, histograms={}))
        for one in map(result_of, tasks)
    ]
    totals = merged(tasks, results)
    assert sum(each.files for each in totals.samples.values()) == 2
    assert all(each.histograms == {} for each in totals.samples.values())
