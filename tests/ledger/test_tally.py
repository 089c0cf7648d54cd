"""What sums take of a result: the numbers of the document, and nothing that is none."""

import json
from typing import Any

import numpy as np
import pytest

from higgsdemo.ledger import tally_of
from higgsdemo.model import Axis, Form, Histogram
from tests.ledger.builders import AXIS, make_task, result_of

WIDE = Axis(3, 0.0, 1.0, "y", "GeV")
HISTOGRAMS = {
    "4mu/x": Histogram.of(AXIS, [-1.0, 2.5, 2.5, 99.0]),
    "4e/y": Histogram.of(WIDE, [0.5]),
    "4e/z": Histogram.zeros(WIDE),
}
RESULT = result_of(make_task(2), histograms=HISTOGRAMS, sections_seen={7: [[1, 2]]})
FORM = RESULT.output.form


def test_all_counts_are_there_in_their_places() -> None:
    document = json.loads(json.dumps(RESULT.pack()))
    tally = tally_of(document, FORM)
    counts = np.zeros(FORM.bins, np.int64)
    counts[tally.places] = tally.counts
    assert tally.counts.all()
    for key, part in FORM.places.items():
        assert counts[part].tolist() == HISTOGRAMS[key].counts.tolist()
    assert [(*step, count) for step, count in zip(FORM.flow, tally.passed, strict=True)] == [
        (channel, step, count)
        for channel, flow in RESULT.output.cutflow.items()
        for step, count in flow
    ]
    assert (tally.task, tally.events, tally.form) == (RESULT.task_id, RESULT.output.events, FORM)
    assert tally.sections_seen == {"7": [[1, 2]]}
    assert tally.counters == document["counters"]


def test_a_result_may_have_nothing() -> None:
    empty = result_of(make_task(2), histograms={})
    tally = tally_of(empty.pack(), Form({}, empty.output.form.steps))
    assert tally.places.shape == tally.counts.shape == (0,)


LAST = FORM.bins - 1


@pytest.mark.parametrize(
    ("places", "counts", "error"),
    [
        ([0], [0], ValueError),
        ([0], [-1], ValueError),
        ([0], [1, 1], ValueError),
        ([], [1], ValueError),
        ([0, 0], [1, 1], ValueError),
        ([1, 0], [1, 1], ValueError),
        ([-1, 0], [1, 1], ValueError),
        ([0, LAST + 1], [1, 1], ValueError),
        ([0], [2**53], ValueError),
        ([0, 1], [2**52, 2**52], ValueError),
        ([0], [2**70], ValueError),
        ([0], [0.5], TypeError),
        ([0], [True], TypeError),
        ([False], [1], TypeError),
        ("", {}, TypeError),
        ([0], [1.5], TypeError),
        ([0.5], [1], TypeError),
        ([0, 1.0], [1, 1], TypeError),
        ([0], ["1"], TypeError),
        (["0"], [1], TypeError),
        ([None], [1], TypeError),
        ([[0]], [1], TypeError),
        ([0], [None], TypeError),
        ({}, {"0": 1}, TypeError),
        (7, 7, TypeError),
    ],
)
def test_what_are_no_counts(places: Any, counts: Any, error: type[Exception]) -> None:
    tally_of(RESULT.pack() | {"places": [0, LAST], "counts": [2**40, 1]}, FORM)
    with pytest.raises(error):
        tally_of(RESULT.pack() | {"places": places, "counts": counts}, FORM)


@pytest.mark.parametrize(
    ("passed", "error"),
    [([], ValueError), ([1], ValueError), ([0, -1], ValueError), ([2**52] * 2, ValueError),
     ([1, 1.0], TypeError), ([1, "1"], TypeError), ([1, None], TypeError), ([1, True], TypeError),
     (3, TypeError)],
)  # fmt: skip
def test_what_is_no_cutflow(passed: Any, error: type[Exception]) -> None:
    tally_of(RESULT.pack() | {"passed": [0, 2**52]}, FORM)
    with pytest.raises(error):
        tally_of(RESULT.pack() | {"passed": passed}, FORM)
