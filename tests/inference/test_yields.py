import json
from pathlib import Path

import numpy as np
import pytest

from higgsdemo.errors import UsageError
from higgsdemo.inference import normalise, yields
from higgsdemo.model import Axis
from tests.inference.builders import real_totals, run, sample, totals_of


def test_reference_yields_of_the_real_analysis(shared_data: Path) -> None:
    found = yields(normalise(real_totals(shared_data / "h4l-histograms")))
    assert found.whole == (70.0, 181.0)
    assert found.window == (121.0, 130.0)
    assert found.count(["data"], window=True).counts == 12
    assert round(found.count(["higgs"], window=True).events, 3) == 8.204
    assert round(found.count(found.backgrounds, window=True).events, 3) == 4.655
    assert [found.count(["data"], [one]).counts for one in found.channels] == [52, 16, 34]


def test_error_is_the_root_of_the_squared_weights(shared_data: Path) -> None:
    found = yields(normalise(real_totals(shared_data / "h4l-histograms")))
    # 7 events of one weight in 2011, 2 of another in 2012
    weights = [2330 * 2772 / 36408225] * 7 + [11580 * 3309.6 / 29426492] * 2
    drell_yan = found.count(["dy"])
    assert drell_yan.events == pytest.approx(sum(weights))
    assert drell_yan.error == pytest.approx(np.sqrt(np.square(weights).sum()))
    assert drell_yan.counts == 9
    assert found.count(["data"]).error == pytest.approx(np.sqrt(102))


def test_document_holds_the_sums_and_every_bin(shared_data: Path) -> None:
    found = yields(normalise(real_totals(shared_data / "h4l-histograms")))
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert len(document["edges"]) == 38
    entries = document["entries"]
    assert {(one["group"], one["channel"], one["year"]) for one in entries} == {
        (group, channel, year)
        for group in ("data", "higgs", "zz", "ttbar", "dy")
        for channel in ("4mu", "4e", "2mu2e")
        for year in (2011, 2012)
    }
    for one in entries:
        assert len(one["contents"]) == len(one["errors"]) == len(one["counts"]) == 37
        assert sum(one["contents"]) == pytest.approx(one["whole"]["events"])
        assert sum(one["contents"][17:20]) == pytest.approx(one["in_window"]["events"])
    totals = {(one["group"], one["channel"]): one for one in document["totals"]}
    assert round(totals["higgs", "all"]["whole"]["events"], 4) == 9.7305
    assert round(totals["background", "all"]["in_window"]["events"], 3) == 4.655
    assert totals["data", "4mu"]["whole"]["counts"] == 52
    assert document["completeness"]["complete"]
    assert document["simulated_demo_data"] is False


def test_window_takes_whole_bins_only() -> None:
    axis = Axis(4, 120.0, 128.0, "m4l", "GeV")
    totals = run(totals_of(sample("d", "data"), {"4mu": [1, 2, 4, 8]}, axis=axis))
    found = yields(normalise(totals), (121.0, 126.5))
    assert found.window == (122.0, 126.0)
    assert found.count(["data"], window=True).counts == 6


def test_without_a_whole_bin_there_is_no_window() -> None:
    totals = run(totals_of(sample("d", "data"), {"4mu": [1] * 37}))
    found = yields(normalise(totals), (121.5, 123.5))
    assert found.window is None
    assert found.to_json()["entries"][0]["in_window"] is None
    with pytest.raises(ValueError, match="window"):
        found.count(["data"], window=True)


def test_reversed_window_is_refused() -> None:
    totals = run(totals_of(sample("d", "data"), {"4mu": [1] * 37}))
    with pytest.raises(UsageError, match="130-121"):
        yields(normalise(totals), (130.0, 121.0))


def test_what_is_missing_is_in_the_document() -> None:
    totals = run(
        totals_of(sample("d", "data"), {"4mu": [1] * 37}),
        totals_of(sample("z", "zz"), {"4mu": [1] * 37}, generated=5),
    )
    found = yields(normalise(totals))
    document = found.to_json()
    assert document["not_in_simulation"][0]["sample"] == "z"
    assert document["not_in_simulation"][0]["reason"] == "no cross section is known"
    assert document["data_of_unknown_luminosity"][0]["sample"] == "d"
    assert [one.sample for one in found.remarks] == ["z", "d"]
