"""What results have in common is told once, and exactly."""

import copy
import json
from typing import Any

import hist
import numpy as np
import pytest
import uhi.io.json
import uhi.schema
from hypothesis import given, settings
from hypothesis import strategies as st

from higgsdemo.model import Axis, Form
from higgsdemo.model.form import MOST_COUNTS
from tests.documents import put

FORM = Form(
    {"4mu/m4l": Axis(3, 70.0, 79.0, "m4l", "GeV"), "4e/y": Axis(2, 0.0, 1.0)},
    {"4mu": ("all", "four"), "4e": ("all",), "none": ()},
)
words = st.text(max_size=6)
axes = st.builds(Axis, st.integers(1, 9), st.just(0.5), st.floats(1, 9), words, words)
forms = st.builds(
    Form,
    st.dictionaries(words, axes, max_size=3),
    st.dictionaries(words, st.lists(words, max_size=3, unique=True).map(tuple), max_size=3),
)


def test_rows_are_in_the_order_of_names() -> None:
    assert FORM.places == {"4e/y": slice(0, 4), "4mu/m4l": slice(4, 9)}
    assert FORM.bins == 9
    assert FORM.flow == (("4e", "all"), ("4mu", "all"), ("4mu", "four"))


@settings(max_examples=60, deadline=None)
@given(forms)
def test_a_form_comes_back_as_it_was(form: Form) -> None:
    again = Form.from_text(form.text)
    assert (again.digest, again.places, again.flow) == (form.digest, form.places, form.flow)
    assert dict(again.axes) == dict(form.axes)
    assert dict(again.steps) == dict(form.steps)


def test_the_order_of_mappings_does_not_matter() -> None:
    other = Form(dict(reversed(FORM.axes.items())), dict(reversed(FORM.steps.items())))
    assert other == FORM != Form(FORM.axes, {})
    assert {FORM: 1}[other] == 1
    assert [*other.places] == [*FORM.places]


def test_any_number_is_written_in_one_way() -> None:
    """Once a form that said 0 for 0.0 was refused by who got it."""
    ours = Form({"a": Axis(np.int64(2), 0, np.float32(1))}, {})  # type: ignore[arg-type]
    assert ours == Form({"a": Axis(2, 0.0, 1.0)}, {}) == Form.from_text(ours.text)


def test_its_histograms_are_empty_ones_that_others_read() -> None:
    document = json.loads(FORM.text)["histograms"]
    uhi.schema.validate(document)
    read = hist.Hist(uhi.io.json.object_hook(copy.deepcopy(document["4mu/m4l"])))
    assert read.axes[0].edges.tolist() == [70, 73, 76, 79]
    assert read.sum(flow=True) == 0


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("histograms",), None),
        (("histograms",), ...),
        (("histograms", "4e/y"), {}),
        (("histograms", "4e/y"), None),
        (("histograms", "4e/y", "axes"), []),
        (("histograms", "4e/y", "uhi_schema"), 2),
        (("histograms", "4e/y", "axes", 0, "bins"), 2.0),
        (("histograms", "4e/y", "axes", 0, "bins"), -2),
        (("histograms", "4e/y", "axes", 0, "upper"), None),
        (("histograms", "4e/y", "axes", 0, "type"), "variable"),
        (("cutflow",), ["4mu"]),
        (("cutflow",), ...),
        (("cutflow", "4mu"), 3),
        (("cutflow", "4mu"), ["all", 3]),
        (("cutflow", "4mu"), [["all"]]),
        (("cutflow", "4mu"), ["all", "all"]),
    ],
    ids=str,
)
def test_what_is_no_form(path: tuple[Any, ...], value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the messages differ
        Form.from_json(put(FORM.to_json(), path, value))


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"[]", b"{}", b"[" * 100_000, FORM.text + b" ", b"\xff"),
        FORM.text.replace(b'["all"]', b'"a"'),  # a word is a row of letters
        FORM.text.replace(b'"lower":70.0', b'"lower":70'),
        FORM.text.replace(b'"uhi_schema":1', b'"uhi_schema":true'),
        FORM.text.replace(b'"uhi_schema":1', b'"uhi_schema":' + b"[" * 900 + b"]" * 900),
    ],
    ids=range(10),
)
def test_what_is_no_text_of_a_form(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the messages differ
        Form.from_text(text)


def test_a_few_words_do_not_ask_for_all_memory() -> None:
    """The counts of a packed result are sparse: a document of 1 kB could name 10^12 bins."""
    document = FORM.to_json()
    document["histograms"]["4e/y"]["axes"][0]["bins"] = 10**12
    with pytest.raises(ValueError, match=r"1,000,000,000,010 bins and steps in all, more than"):
        Form.from_json(document)
    with pytest.raises(ValueError, match="bins and steps"):
        Form({}, {"4mu": tuple(map(str, range(MOST_COUNTS + 1)))})
