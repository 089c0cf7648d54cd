"""The bin rule and the UHI form, against boost-histogram and hist themselves."""

import copy
import json
import math
from typing import Any

import boost_histogram as bh
import hist
import numpy as np
import pytest
import uhi.io.json
from hypothesis import given, settings
from hypothesis import strategies as st

from higgsdemo.model import Axis, Histogram

M4L = Axis(37, 70.0, 181.0, "m4l", "GeV")
QUICK = settings(max_examples=100, deadline=None)

anything = st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True)


@st.composite
def axes(draw: st.DrawFn) -> Axis:
    lower = draw(st.sampled_from([0.0, -0.0, 70.0, -2.5, 1e-300, 0.1]) | st.floats(-1e6, 1e6))
    width = draw(st.sampled_from([111.0, 5e-324, 1e-310, 0.3, 1e300]) | st.floats(1e-3, 1e6))
    upper = lower + width
    if upper == lower:
        upper = math.nextafter(lower, math.inf)
    return Axis(draw(st.integers(1, 200)), lower, upper)


def near_edges(axis: Axis) -> list[float]:
    """The edges, and the numbers next to them on both sides."""
    edges = axis.edges.tolist()
    return [
        *edges,
        *(math.nextafter(edge, -math.inf) for edge in edges),
        *(math.nextafter(edge, math.inf) for edge in edges),
    ]


def counts(axis: Axis = M4L) -> st.SearchStrategy[Histogram]:
    numbers = st.lists(st.integers(0, 2**60), min_size=axis.bins + 2, max_size=axis.bins + 2)
    return numbers.map(lambda given: Histogram(axis, np.array(given, dtype=np.int64)))


SMALL = Axis(3, 0.0, 3.0, "x", "")


@QUICK
@given(axes(), st.lists(anything, max_size=30))
def test_bin_rule_is_that_of_boost_histogram(axis: Axis, values: list[float]) -> None:
    values = [
        *values,
        *near_edges(axis),
        0.0,
        -0.0,
        5e-324,
        -5e-324,
        1.7e308,
        -1.7e308,
        math.inf,
        -math.inf,
        math.nan,
    ]
    theirs = bh.axis.Regular(axis.bins, axis.lower, axis.upper)
    np.testing.assert_array_equal(axis.index(values), theirs.index(values) + 1)


@QUICK
@given(axes(), st.lists(anything))
def test_filling_is_that_of_boost_histogram(axis: Axis, values: list[float]) -> None:
    theirs = bh.Histogram(
        bh.axis.Regular(axis.bins, axis.lower, axis.upper), storage=bh.storage.Int64()
    )
    theirs.fill(values)
    ours = Histogram.of(axis, values)
    np.testing.assert_array_equal(ours.counts, theirs.view(flow=True))
    assert ours.total == len(values)


def test_float32_values_are_binned_by_their_exact_value() -> None:
    values = np.array([73.0, 180.99999, 181.0, np.nan], dtype=np.float32)
    assert M4L.index(values).tolist() == M4L.index(values.tolist()).tolist() == [2, 37, 38, 38]


def test_huge_values_over_a_narrow_axis_raise_no_warning() -> None:
    # (x - lower) / width overflowed with a RuntimeWarning
    assert Axis(2, 0.0, 0.5).index([1.7e308, -1.7e308]).tolist() == [3, 0]


def test_index_of_a_single_number() -> None:
    assert M4L.index(125.0) == M4L.index([125.0])[0]


def test_no_values() -> None:
    assert Histogram.of(M4L, []) == Histogram.zeros(M4L)


def test_edges_and_width() -> None:
    assert M4L.width == 3.0
    assert M4L.edges.tolist() == [70.0 + 3 * i for i in range(38)]


@pytest.mark.parametrize(
    ("bins", "lower", "upper"),
    [
        (0, 0.0, 1.0),
        (-2, 0.0, 1.0),
        (3, 1.0, 1.0),
        (3, 2.0, 1.0),
        (3, math.nan, 1.0),
        (3, 0.0, math.inf),
        (3, -1.7e308, 1.7e308),
    ],
)
def test_axis_without_bins_or_width_is_refused(bins: int, lower: float, upper: float) -> None:
    with pytest.raises(ValueError, match="no axis"):
        Axis(bins, lower, upper)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros(37, dtype=np.int64),
        np.zeros((39, 1), dtype=np.int64),
        np.zeros(39, dtype=np.int32),
        np.zeros(39, dtype=np.float64),
    ],
)
def test_counts_of_wrong_shape_or_type_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="39 int64"):
        Histogram(M4L, wrong)


@QUICK
@given(counts(SMALL), counts(SMALL), counts(SMALL))
def test_addition_is_commutative_and_associative(
    one: Histogram, two: Histogram, three: Histogram
) -> None:
    assert one + two == two + one
    assert (one + two) + three == one + (two + three)
    assert one + Histogram.zeros(SMALL) == one
    assert hash(one + two) == hash(two + one)
    assert (one + two).total == one.total + two.total


@QUICK
@given(st.lists(anything), st.lists(anything))
def test_histogram_of_all_is_the_sum_of_the_parts(one: list[float], two: list[float]) -> None:
    assert Histogram.of(M4L, one + two) == Histogram.of(M4L, one) + Histogram.of(M4L, two)


@pytest.mark.parametrize(
    "other",
    [
        Axis(37, 70.0, 181.0, "m4l", "MeV"),
        Axis(37, 70.0, 181.5, "m4l", "GeV"),
        Axis(36, 70.0, 181.0, "m4l", "GeV"),
        Axis(37, 70.0, 181.0, "mZ1", "GeV"),
    ],
)
def test_histograms_over_different_axes_do_not_add(other: Axis) -> None:
    assert Histogram.zeros(M4L) != Histogram.zeros(other)
    with pytest.raises(ValueError, match="axes differ"):
        Histogram.zeros(M4L) + Histogram.zeros(other)


def test_equality_looks_at_the_counts_and_only_at_histograms() -> None:
    assert Histogram.of(M4L, [125.0]) != Histogram.of(M4L, [91.0])
    assert Histogram.zeros(M4L) != 0


def test_addition_leaves_its_terms_alone() -> None:
    one, two = Histogram.of(M4L, [125.0]), Histogram.of(M4L, [91.0])
    total = one + two
    total.counts[0] = 7
    assert one == Histogram.of(M4L, [125.0])
    assert two == Histogram.of(M4L, [91.0])


def test_between_takes_whole_bins() -> None:
    histogram = Histogram(M4L, np.arange(39, dtype=np.int64))
    # bins 18, 19 and 20 of the flow array are [121, 124), [124, 127), [127, 130)
    assert histogram.between(121, 130) == 18 + 19 + 20
    assert histogram.between(120.9, 130.1) == 18 + 19 + 20
    assert histogram.between(121.1, 130) == 19 + 20
    assert histogram.between(121, 129.9) == 18 + 19
    assert histogram.between(70, 181) == histogram.values.sum()
    assert histogram.between(-math.inf, math.inf) == histogram.values.sum()
    assert histogram.between(125, 125) == histogram.between(130, 121) == 0


@QUICK
@given(axes(), st.data())
def test_between_two_edges_is_exact_on_any_axis(axis: Axis, data: st.DataObject) -> None:
    histogram = Histogram(axis, np.arange(1, axis.bins + 3, dtype=np.int64))
    first = data.draw(st.integers(0, axis.bins))
    last = data.draw(st.integers(first, axis.bins))
    edges = axis.edges
    if len(set(edges.tolist())) == edges.size:  # not narrower than floats can tell
        assert histogram.between(edges[first], edges[last]) == histogram.values[first:last].sum()


# -- UHI ----------------------------------------------------------------------------------------


@QUICK
@given(counts())
def test_uhi_round_trip_through_json(histogram: Histogram) -> None:
    assert Histogram.from_uhi(json.loads(json.dumps(histogram.to_uhi()))) == histogram


@QUICK
@given(counts())
def test_hist_and_boost_histogram_read_the_document(histogram: Histogram) -> None:
    document = json.loads(json.dumps(histogram.to_uhi()), object_hook=uhi.io.json.object_hook)
    for kind in (bh.Histogram, hist.Hist):
        theirs = kind(document)
        np.testing.assert_array_equal(theirs.view(flow=True), histogram.counts)
        np.testing.assert_allclose(theirs.axes[0].edges, M4L.edges, rtol=1e-15)
    assert hist.Hist(document).axes[0].label == "m4l"


def test_what_hist_writes_is_read() -> None:
    theirs = hist.Hist(hist.axis.Regular(37, 70, 181, name="m", label="m4l"), storage="int64")
    theirs.fill([60.0, 125.0, 125.5, 200.0])
    document = json.loads(json.dumps(theirs, default=uhi.io.json.default))
    ours = Histogram.from_uhi(document)
    assert ours == Histogram.of(Axis(37, 70.0, 181.0, "m4l"), [60.0, 125.0, 125.5, 200.0])


def test_document_fits_the_schema_of_uhi() -> None:
    pytest.importorskip("fastjsonschema", reason="uhi's validator needs fastjsonschema")
    import uhi.schema

    document = Histogram.of(M4L, [125.0]).to_uhi()
    uhi.schema.validate({"4mu/m4l": document})
    uhi.schema.validate_histogram(document)


def document() -> dict[str, Any]:
    return Histogram.of(SMALL, [1.0]).to_uhi()


DAMAGE: dict[str, Any] = {
    "another schema": {"uhi_schema": 2},
    "no schema": {"uhi_schema": None},
    "no axes": {"axes": []},
    "two axes": {"axes": document()["axes"] * 2},
    "axes are a number": {"axes": 3},
    "axis is a word": {"axes": ["regular"]},
    "variable axis": {"axes": [document()["axes"][0] | {"type": "variable"}]},
    "no overflow": {"axes": [document()["axes"][0] | {"overflow": False}]},
    "circular": {"axes": [document()["axes"][0] | {"circular": True}]},
    "bins a word": {"axes": [document()["axes"][0] | {"bins": "three"}]},
    "bins a fraction": {"axes": [document()["axes"][0] | {"bins": 3.5}]},
    "bins infinite": {"axes": [document()["axes"][0] | {"bins": math.inf}]},
    "bins missing": {"axes": [{k: v for k, v in document()["axes"][0].items() if k != "bins"}]},
    "bins do not fit": {"axes": [document()["axes"][0] | {"bins": 4}]},
    "no width": {"axes": [document()["axes"][0] | {"upper": 0.0}]},
    "metadata a list": {"axes": [document()["axes"][0] | {"metadata": []}]},
    "storage missing": {"storage": None},
    "weights": {"storage": {"type": "double", "values": [0, 0, 1, 0, 0]}},
    "fractions": {"storage": {"type": "int", "values": [0, 0, 1.5, 0, 0]}},
    "whole numbers as floats": {"storage": {"type": "int", "values": [0.0, 0, 1, 0, 0]}},
    "too few": {"storage": {"type": "int", "values": [0, 0, 1, 0]}},
    "none at all": {"storage": {"type": "int", "values": []}},
    "nested": {"storage": {"type": "int", "values": [[0, 0, 1, 0, 0]]}},
    "ragged": {"storage": {"type": "int", "values": [[0], 0, 1, 0, 0]}},
    "words": {"storage": {"type": "int", "values": ["0", "0", "1", "0", "0"]}},
    "too large for int64": {"storage": {"type": "int", "values": [0, 0, 2**63, 0, 0]}},
    "far too large": {"storage": {"type": "int", "values": [0, 0, 2**100, 0, 0]}},
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_documents_are_refused_with_value_error(damage: dict[str, Any]) -> None:
    Histogram.from_uhi(document())
    with pytest.raises(ValueError):  # noqa: PT011 - the messages differ
        Histogram.from_uhi(copy.deepcopy(document()) | damage)
