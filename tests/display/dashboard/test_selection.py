from pathlib import Path

import numpy as np
import pytest

from higgsdemo.display.dashboard.selection import FLOOR, Selection, draw, merged_edges
from higgsdemo.inference import Normalised, garwood, normalise
from higgsdemo.ledger import Merger
from tests.display.dashboard.builders import M4L, deliver, make_run


@pytest.fixture
def normalised(tmp_path: Path) -> Normalised:
    run = make_run(tmp_path)
    deliver(run)
    merger = Merger(run.manifest())
    with run.ledger() as ledger:
        merger.update(ledger)
    return normalise(merger.totals())


@pytest.mark.parametrize("channel", [None, "4mu", "4e", "2mu2e"])
def test_the_stack_is_the_normalised_spectrum(normalised: Normalised, channel: str | None) -> None:
    chosen = Selection(channel=channel)
    sources = draw(normalised, chosen).sources
    zz = normalised.spectrum(["zz"], chosen.channels).contents
    both = normalised.spectrum(["zz", "higgs"], chosen.channels)
    assert sources["stack-zz"]["top"] == pytest.approx(np.maximum(zz, FLOOR))
    assert sources["stack-higgs"]["top"] == pytest.approx(np.maximum(both.contents, FLOOR))
    assert sources["hover"]["total"] == pytest.approx(both.contents)
    assert sources["hover"]["error"] == pytest.approx(np.sqrt(both.variance))
    counts = normalised.spectrum(["data"], chosen.channels).counts
    seen = counts > 0
    assert sources["data"]["y"] == counts[seen].tolist()
    assert sources["data"]["high"] == pytest.approx(garwood(counts)[1][seen])


@pytest.mark.parametrize("merged", [1, 2, 3, 10, 36, 37, 60])
def test_merging_bins_loses_nothing(normalised: Normalised, merged: int) -> None:
    drawn = draw(normalised, Selection(merged=merged))
    hover = drawn.sources["hover"]
    whole = normalised.spectrum(["zz", "higgs"])
    assert sum(hover["total"]) == pytest.approx(whole.contents.sum())
    assert np.square(hover["error"]).sum() == pytest.approx(whole.variance.sum())
    assert sum(hover["data"]) == normalised.spectrum(["data"]).counts.sum()
    assert hover["left"][1:] == hover["right"][:-1]
    assert (hover["left"][0], hover["right"][-1]) == (70.0, 181.0)


def test_edges_of_merged_bins() -> None:
    assert merged_edges(M4L.edges, 18).tolist() == [70, 124, 178, 181]
    assert merged_edges(M4L.edges, 1) == pytest.approx(M4L.edges)


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ({}, Selection()),
        ({"channel": "4mu", "year": "2012", "merged": "2"}, Selection("m4l", "4mu", 2012, 2)),
        ({"channel": None, "year": None}, Selection()),
        ({"year": "20120"}, Selection()),
        ({"year": "-1", "merged": "-3"}, Selection()),
        ({"merged": "0"}, Selection()),
        ({"merged": "9" * 5000}, Selection()),
        ({"merged": 999}, Selection(merged=60)),
        ({"merged": ["x"], "year": {"a": 1}}, Selection()),
        ({"variable": "x" * 1000}, Selection(variable="x" * 100)),
    ],
)
def test_what_makes_no_sense_is_as_if_not_said(words: dict[str, object], chosen: Selection) -> None:
    assert Selection.read(words) == chosen


def test_an_unknown_channel_is_all(normalised: Normalised) -> None:
    chosen = Selection("none", "<b>", 1999).known(normalised)
    assert chosen == Selection("m4l")


def test_the_legend_has_the_yields(normalised: Normalised) -> None:
    legend = {row["group"]: row for row in draw(normalised, Selection(channel="4e")).legend}
    inside = (M4L.edges[:-1] >= 121) & (M4L.edges[1:] <= 130)
    counts = normalised.spectrum(["data"], ["4e"]).counts
    assert legend["data"]["whole"]["counts"] == counts.sum()
    assert legend["data"]["window"]["counts"] == counts[inside].sum()
    higgs = normalised.spectrum(["higgs"], ["4e"]).contents
    assert legend["higgs"]["window"]["events"] == pytest.approx(higgs[inside].sum())
    assert [*legend] == ["data", "higgs", "zz", "expected"]
