"""Results: the digest covers the content and nothing else; damage is refused."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from higgsdemo.model import (
    Axis,
    Form,
    Histogram,
    Output,
    Result,
)
from tests.documents import put
from tests.model.sections import packed, pairs

QUICK = settings(max_examples=60, deadline=None)
AXES = (Axis(3, 0.0, 3.0, "m4l", "GeV"), Axis(2, -1.0, 1.0, "y", ""))

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
