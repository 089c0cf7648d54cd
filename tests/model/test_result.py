"""Results: the digest covers the content and nothing else; damage is refused."""

import copy
import dataclasses
import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from higgsdemo.errors import Cause
from higgsdemo.model import (
    Axis,
    Failure,
    Form,
    Histogram,
    Output,
    Result,
    Sections,
    count_sections,
    join_spans,
    merge_sections,
    sections_of,
)
from higgsdemo.model.result import MOST_MESSAGE, MOST_TRACEBACK
from higgsdemo.sinks import unpack
from higgsdemo.sinks.parcel import pack

QUICK = settings(max_examples=60, deadline=None)
AXES = (Axis(3, 0.0, 3.0, "m4l", "GeV"), Axis(2, -1.0, 1.0, "y", ""))

UINT32 = st.integers(0, 2**32 - 1)
NEAR = st.integers(0, 6) | st.integers(2**32 - 4, 2**32 - 1)  # neighbours, also across runs
pairs = st.lists(st.tuples(st.integers(0, 3) | UINT32, NEAR | UINT32), max_size=30)

words = st.text(max_size=8)
numbers = st.integers(0, 10**12)
histograms = st.sampled_from(AXES).flatmap(
    lambda axis: st.lists(numbers, min_size=axis.bins + 2, max_size=axis.bins + 2).map(
        lambda counts: Histogram(axis, np.array(counts, dtype=np.int64))
    )
)
cutflows = st.lists(st.tuples(words, numbers), max_size=3, unique_by=lambda step: step[0]).map(
    tuple
)
sections = st.none() | pairs.map(lambda given: packed(given))
outputs = st.builds(
    Output,
    events=numbers,
    histograms=st.dictionaries(words, histograms, max_size=3),
    cutflow=st.dictionaries(words, cutflows, max_size=3),
    sections_seen=sections,
    sections_used=sections,
    bytes_read=numbers,
)
results = st.builds(
    Result,
    task_id=words,
    sample=words,
    workflow=words,
    version=words,
    files=st.integers(1, 9),
    output=outputs,
    provenance=st.dictionaries(words, words | numbers, max_size=2),
    counters=st.dictionaries(
        words.filter(lambda word: word != "bytes_read"), st.floats(allow_nan=False), max_size=2
    ),
)


def packed(given: list[tuple[int, int]]) -> Sections:
    runs, numbers = zip(*given, strict=True) if given else ((), ())
    return sections_of(np.array(runs, dtype=np.uint32), np.array(numbers, dtype=np.uint32))


def example() -> Result:
    return Result(
        task_id="0123456789abcdef",
        sample="Run2012B_DoubleMuParked",
        workflow="h4l",
        version="1",
        files=1,
        output=Output(
            events=7,
            histograms={
                "4mu/m4l": Histogram.of(AXES[0], [0.5, 1.5, 9.0]),
                "4e/y": Histogram.of(AXES[1], [0.0]),
            },
            cutflow={"4mu": (("all", 7), ("four muons", 3)), "4e": (("all", 7),)},
            sections_seen={194_050: [[1, 4], [8, 8]], 194_051: [[2, 3]]},
            sections_used={194_050: [[1, 4]]},
            bytes_read=1000,
        ),
        provenance={"host": "here"},
        counters={"wall_s": 1.5},
    )


# -- the digest -----------------------------------------------------------------------------------


def test_digest_never_changes() -> None:
    # Results of old runs carry it: a change of the form needs a new RESULT_SCHEMA.
    known = "20c4fbe1099e8f2ba1d22e87fe248018e1f9fe2234a65b3ed12bc65eabde0232"
    assert example().digest == known


def test_digest_does_not_depend_on_the_order_of_mappings() -> None:
    one, output = example(), example().output
    other = dataclasses.replace(
        one,
        output=dataclasses.replace(
            output,
            histograms=dict(reversed(output.histograms.items())),
            cutflow=dict(reversed(output.cutflow.items())),
            sections_seen=dict(reversed(output.sections_seen.items())),
        ),
    )
    assert list(other.output.histograms) != list(output.histograms)
    assert other.digest == one.digest


def test_digest_does_not_depend_on_where_when_and_how_fast() -> None:
    other = dataclasses.replace(
        example(),
        output=dataclasses.replace(example().output, bytes_read=5),
        provenance={"host": "there", "started": 1.0},
        counters={"wall_s": 99.0, "cpu_s": 98.0},
    )
    assert other.digest == example().digest


@pytest.mark.parametrize(
    "change",
    [
        {"task_id": "0123456789abcdee"},
        {"sample": "Run2012C_DoubleMuParked"},
        {"workflow": "other"},
        {"version": "2"},
        {"files": 2},
        {"output": {"events": 8}},
        {"output": {"histograms": {}}},
        {"output": {"cutflow": {}}},
        {"output": {"cutflow": {"4mu": (("four muons", 3), ("all", 7)), "4e": (("all", 7),)}}},
        {"output": {"sections_seen": None}},
        {"output": {"sections_seen": {}}},
        {"output": {"sections_used": {194_050: [[1, 5]]}}},
    ],
    ids=str,
)
def test_any_change_of_content_changes_the_digest(change: dict[str, Any]) -> None:
    if "output" in change:
        change = {"output": dataclasses.replace(example().output, **change["output"])}
    assert dataclasses.replace(example(), **change).digest != example().digest


def test_negative_counts_are_told_where_they_are_made() -> None:
    negative = Histogram(AXES[0], np.array([0, 0, -1, 0, 0], dtype=np.int64))
    for change in ({"histograms": {"4mu/m4l": negative}}, {"cutflow": {"4mu": (("all", -1),)}}):
        with pytest.raises(ValueError, match="negative"):
            dataclasses.replace(example().output, **change)


def test_one_event_in_another_bin_changes_the_digest() -> None:
    moved = example().output.histograms | {"4mu/m4l": Histogram.of(AXES[0], [0.5, 0.6, 9.0])}
    other = dataclasses.replace(
        example(), output=dataclasses.replace(example().output, histograms=moved)
    )
    assert other.digest != example().digest


@QUICK
@given(results, results)
def test_digests_are_equal_exactly_when_the_contents_are(one: Result, other: Result) -> None:
    assert (one.digest == other.digest) == (one.content == other.content)


# -- the JSON form --------------------------------------------------------------------------------


@QUICK
@given(results)
def test_json_round_trip(result: Result) -> None:
    again = Result.from_json(json.loads(json.dumps(result.to_json())))
    assert again == result
    assert again.digest == result.digest
    assert again.to_json() == result.to_json()


@QUICK
@given(results)
def test_packed_round_trip(result: Result) -> None:
    form = Form.from_text(result.output.form.text)
    assert form.digest == result.output.form.digest
    again = Result.unpack(json.loads(json.dumps(result.pack())), form)
    assert again == result
    assert again.to_json() == result.to_json()
    assert again.pack() == result.pack()


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON document."""
    inner = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    found = [] if not path else [path]
    for key, value in inner:
        found += places(value, (*path, key))
    return found


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(document)
    where = changed
    for key in path[:-1]:
        where = where[key]
    if value is ...:
        del where[path[-1]]
    else:
        where[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    "wrong",
    [..., None, -1, 0.5, 2**70, float("inf"), "x", [], {}, [["x"]], {"1": 2}],
    ids=str,
)
def test_damage_anywhere_is_refused_with_value_error(wrong: Any) -> None:
    document = example().to_json()
    accepted = []
    for path in places(document):
        damaged = put(document, path, wrong)
        try:
            read = Result.from_json(damaged)
        except ValueError:
            continue
        if read.content != example().content:
            accepted.append(path)
    assert accepted == []


@pytest.mark.parametrize(
    "wrong",
    [..., None, -1, 0.5, 2**70, float("inf"), "x", [], {}, [["x"]], {"1": 2}],
    ids=str,
)
def test_damage_of_what_is_packed_is_refused_with_value_error(wrong: Any) -> None:
    form = example().output.form
    accepted = []
    for path in places(example().pack()):
        try:
            read = Result.unpack(put(example().pack(), path, wrong), form)
        except ValueError:
            continue
        if read.content != example().content:
            accepted.append(path)
    assert accepted == []


def test_numbers_do_not_fit_another_form() -> None:
    other = dataclasses.replace(
        example().output, cutflow={"4mu": (("all", 7), ("other", 3)), "4e": (("all", 7),)}
    )
    with pytest.raises(ValueError, match="differ"):
        Result.unpack(example().pack(), other.form)


@pytest.mark.parametrize("document", [None, [], "result", 3, {}, {"schema": 2}, {"schema": 3}])
def test_what_is_not_a_result_is_refused_with_value_error(document: Any) -> None:
    with pytest.raises(ValueError, match="result"):
        Result.from_json(document)


def test_result_without_digest_is_refused_with_value_error() -> None:
    document = example().to_json()
    del document["digest"]  # once a KeyError
    with pytest.raises(ValueError, match="digest"):
        Result.from_json(document)


def test_newer_schema_is_named() -> None:
    with pytest.raises(ValueError, match="result schema 3, not 2"):
        Result.from_json(example().to_json() | {"schema": 3})


# -- failures -------------------------------------------------------------------------------------


def test_a_million_log_lines_are_no_message_and_their_end_is_kept() -> None:
    lines = "\n".join(f"line {number}" for number in range(1_000_000))
    failure = Failure("0" * 16, Cause.BUG, lines, lines)
    for text, most in ((failure.message, MOST_MESSAGE), (failure.traceback, MOST_TRACEBACK)):
        assert text is not None
        assert len(text) <= most
        assert text.startswith("line 0\nline 1\n")
        assert text.endswith("\nline 999999")
        assert "left out" in text
    again = Failure.from_json(json.loads(json.dumps(failure.to_json())))
    assert again == failure  # and it is not cut anew
    name, payload = pack(failure, "run")
    assert len(payload) < 300_000
    assert unpack(name, payload).document == failure.to_json()
    short = Failure("0" * 16, Cause.BUG, "x" * MOST_MESSAGE)
    assert short.message == "x" * MOST_MESSAGE


@pytest.mark.parametrize("cause", Cause)
def test_failure_round_trip(cause: Cause) -> None:
    failure = Failure("t", cause, "it broke", "Traceback ...", {"host": "here"})
    again = Failure.from_json(json.loads(json.dumps(failure.to_json())))
    assert again == failure
    assert again.cause is cause


@pytest.mark.parametrize(
    "document",
    [
        {},
        None,
        [],
        {"task": "t"},
        Failure("t", Cause.BUG, "m").to_json() | {"cause": "weather"},
        Failure("t", Cause.BUG, "m").to_json() | {"provenance": 3},
    ],
)
def test_what_is_not_a_failure_is_refused_with_value_error(document: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the messages differ
        Failure.from_json(document)


# -- luminosity sections, against sets of pairs ---------------------------------------------------


def unpacked(sections: Sections) -> set[tuple[int, int]]:
    """Return the pairs, of packed sections that are not too many."""
    return {
        (run, number)
        for run, spans in sections.items()
        for low, high in spans
        for number in range(low, high + 1)
    }


def is_canonical(sections: Sections) -> bool:
    return list(sections) == sorted(sections) and all(
        spans
        and all(low <= high for low, high in spans)
        and all(one[1] + 1 < other[0] for one, other in itertools.pairwise(spans))
        for spans in sections.values()
    )


@settings(max_examples=150, deadline=None)
@given(pairs)
def test_sections_of_is_the_set_of_pairs(given: list[tuple[int, int]]) -> None:
    sections = packed(given)
    assert unpacked(sections) == set(given)
    assert count_sections(sections) == len(set(given))
    assert is_canonical(sections)


@QUICK
@given(pairs, pairs, pairs)
def test_merge_sections_is_the_union(
    one: list[tuple[int, int]], two: list[tuple[int, int]], three: list[tuple[int, int]]
) -> None:
    merged = merge_sections(packed(one), packed(two))
    assert merged == packed(one + two) == merge_sections(packed(two), packed(one))
    assert merge_sections(merged, packed(three)) == packed(one + two + three)
    assert merge_sections(merged, merged) == merged


@QUICK
@given(pairs, st.lists(pairs, max_size=5))
def test_ranges_are_joined_a_few_at_a_time_as_all_at_once(
    given: list[tuple[int, int]], more: list[list[tuple[int, int]]]
) -> None:
    spans = packed(given).get(1, [])
    expected = unpacked({1: spans})
    for some in more:
        added = packed(some).get(1, [])
        before = [list(one) for one in spans]
        joined = join_spans(spans, added)
        assert spans == before
        expected |= unpacked({1: added})
        spans = joined
        assert is_canonical({1: spans} if spans else {})
    if spans and sum(high - low for low, high in spans) < 10_000:
        assert unpacked({1: spans}) == expected


def test_many_ranges_from_last_to_first_are_joined_soon() -> None:
    backwards = [[number, number] for number in range(400_000, 0, -2)]
    assert len(join_spans([], backwards)) == 200_000  # once a matter of minutes


def test_last_section_of_a_run_is_no_neighbour_of_the_next_run() -> None:
    # packed once as {1: [[4294967295, 0]]}
    assert packed([(1, 2**32 - 1), (2, 0)]) == {1: [[2**32 - 1, 2**32 - 1]], 2: [[0, 0]]}


def test_run_numbers_beyond_int32() -> None:
    assert packed([(2**32 - 1, 5)]) == {2**32 - 1: [[5, 5]]}


@pytest.mark.parametrize("kind", [np.int32, np.uint32, np.int64, np.uint64])
def test_sections_in_any_integer_type(kind: type) -> None:
    runs, numbers = np.array([2, 1, 1, 2], dtype=kind), np.array([7, 3, 2, 7], dtype=kind)
    assert sections_of(runs, numbers) == {1: [[2, 3]], 2: [[7, 7]]}


def test_unknown_sections_give_way() -> None:
    known = {1: [[1, 2]]}
    assert merge_sections(None, None) is None
    assert merge_sections(known, None) == merge_sections(None, known) == known
    assert merge_sections({}, None) == {}
    assert count_sections(None) == count_sections({}) == 0


def test_merging_changes_neither() -> None:
    one, other = {1: [[1, 2]]}, {1: [[3, 4]], 2: [[1, 1]]}
    merged = merge_sections(one, other)
    merged[1][0][1] = 99
    merged[2][0][1] = 99
    assert one == {1: [[1, 2]]}
    assert other == {1: [[3, 4]], 2: [[1, 1]]}


def test_run_without_sections_is_no_run() -> None:
    # an empty list of ranges, as certified-sections files may have, was an IndexError
    assert merge_sections({1: []}, {2: [[1, 1]]}) == {2: [[1, 1]]}
