"""What sums take of a result: the numbers of the document, and nothing that is none."""

import copy
import random
from typing import Any

import numpy as np
import pytest

from higgsdemo.ledger import Tallies
from higgsdemo.ledger import tally as module
from higgsdemo.ledger.tally import whole_numbers
from higgsdemo.model import Axis, Histogram
from tests.ledger.builders import AXIS, make_task, result_of

WIDE = Axis(3, 0.0, 1.0, "y", "GeV")


def document(number: int = 0, **more: Any) -> dict[str, Any]:
    """A result of two histograms and the cutflow of two channels."""
    chance = random.Random(number)
    histograms = {
        "4e/y": Histogram.of(WIDE, [chance.random() for _ in range(number)]),
        "4mu/x": Histogram.of(AXIS, [chance.uniform(-1, 6) for _ in range(5)]),
    }
    result = result_of(make_task(number), histograms=histograms, **more)
    made = copy.deepcopy(result.to_json())
    made["cutflow"] = {"4e": [["all", 9], ["some", 2]], "4mu": [["all", number]]}
    return made


def test_all_counts_are_there_in_their_order() -> None:
    made = document(3, sections_seen={7: [[1, 2]]})
    tally = Tallies().of(made)
    assert [*tally.shape.axes.items()] == [("4e/y", WIDE), ("4mu/x", AXIS)]
    for key, counts in tally.shape.parts(tally.counts).items():
        assert counts.tolist() == made["histograms"][key]["storage"]["values"]
    assert tally.shape.steps == (("4e", "all"), ("4e", "some"), ("4mu", "all"))
    assert tally.passed.tolist() == [9, 2, 3]
    assert (tally.task, tally.events) == (made["task"], made["events"])
    assert tally.sections_seen == {"7": [[1, 2]]}
    assert tally.counters == made["counters"]


def test_results_that_look_alike_have_one_shape() -> None:
    tallies = Tallies()
    first = tallies.of(document(1)).shape
    assert tallies.of(document(2)).shape is first
    for path, value in {
        ("histograms", "4e/y", "axes", 0, "upper"): 2.0,
        ("cutflow", "4mu", 0, 0): "another",
        ("cutflow", "4mu"): [],
        ("cutflow", "4e"): [["all", 9], ["some", 2], ["more", 1]],
    }.items():
        other = document(2)
        place: Any = other
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        assert tallies.of(other).shape is not first
        assert tallies.of(other).shape is tallies.of(other).shape


def test_names_that_move_between_histograms_and_cutflow_are_another_shape() -> None:
    """Of a shape all names are compared in a row: that the row is divided otherwise must tell."""
    tallies = Tallies()
    one = {**document(), "histograms": {}, "cutflow": {"a": [], "b": []}}
    histogram = Histogram.zeros(AXIS).to_uhi()
    other = {**document(), "histograms": {"a": histogram}, "cutflow": {"b": []}}
    assert [*tallies.of(one).shape.axes] == []
    assert [*tallies.of(other).shape.axes] == ["a"]


def test_nonsense_is_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 4)
    tallies = Tallies()
    for number in range(20):
        made = document()
        made["cutflow"] = {f"channel {number}": []}
        tallies.of(made)
    assert sum(map(len, tallies._shapes.values())) <= 4


@pytest.mark.parametrize("values", [[], [0, 255], [0, 256], [1, 2**40], [True, 3]])
def test_whole_numbers_small_or_large(values: list[int]) -> None:
    counts = whole_numbers([values[:1], values[1:]])
    assert counts.tolist() == values
    assert counts.dtype == (np.uint8 if max(values, default=0) < 256 else np.int64)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ([0.5], TypeError),
        ([1, 2.0], TypeError),
        (["1"], TypeError),
        ([None], TypeError),
        ([[1]], TypeError),
        ([300, 0.5], TypeError),
        ([300, 2**70], OverflowError),
        ([-1], ValueError),
        ([300, -1], ValueError),
        ([2**53], ValueError),
        ([2**62, 2**62, 2**62], ValueError),
    ],
)
def test_what_is_no_whole_number(values: list[int], error: type[Exception]) -> None:
    with pytest.raises(error):
        whole_numbers([[1], values])
