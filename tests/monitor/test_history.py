"""The history of a run: bounded in length and in price."""

import pytest

from higgsdemo.inference import Fit, Normalised, normalise
from higgsdemo.model import Totals
from higgsdemo.monitor import History
from tests.inference.builders import sample, totals_of
from tests.monitor.builders import Clock


@pytest.fixture(scope="module")
def totals() -> Totals:
    """A peak over little background."""
    peak = [0] * 16 + [3, 5, 3] + [0] * 18
    flat = [1] * 37
    data = sample("data", "data")
    parts = (
        totals_of(data, {"4mu": [a + b for a, b in zip(peak, flat, strict=True)]},
                  luminosity_pb=1000.0, luminosity_planned_pb=1000.0),
        totals_of(sample("h", "higgs", cross_section_pb=0.011), {"4mu": [n * 100 for n in peak]},
                  generated=1100.0),
        totals_of(sample("zz", "zz", cross_section_pb=0.037), {"4mu": [100] * 37},
                  generated=3700.0),
    )  # fmt: skip
    return Totals("r", {one.sample.name: one for one in parts})


def test_the_newest_moment_comes_first_and_all_are_in_order(totals: Totals) -> None:
    history = History(clock=Clock())
    normalised = normalise(totals)
    for at in range(5):
        history.offer(float(at), at, 10 * at, normalised)
    assert history.work()
    assert [one.at for one in history.moments] == [4.0]
    assert history.latest is not None
    assert history.latest.error_up is not None
    while history.work():
        pass
    assert [one.at for one in history.moments] == [0, 1, 2, 3, 4]
    first = history.moments[0]
    assert first.observed == pytest.approx(history.latest.observed_significance)
    assert first.expected == pytest.approx(history.latest.expected_significance)
    assert first.observed is not None
    assert first.observed > 2


def test_fits_leave_time_for_the_rest(totals: Totals, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()

    def slow(_normalised: Normalised, *, errors: bool) -> Fit:
        clock.now += 3
        return Fit()

    monkeypatch.setattr("higgsdemo.monitor.history.fit", slow)
    history = History(clock=clock)
    for at in range(3):
        history.offer(float(at), at, at, normalise(totals))
    assert history.work()
    clock.now += 2
    assert not history.work()
    clock.now += 1
    assert history.work()


def test_a_long_run_keeps_a_bounded_history_from_its_begin_to_its_end(totals: Totals) -> None:
    history = History(every_s=1.0, clock=Clock())
    bare = normalise(Totals("r", {"data": totals.samples["data"]}))  # nothing to fit: fast
    offered = 0
    for at in range(3000):
        if history.wants(float(at)):
            history.offer(float(at), at, at, bare)
            offered += 1
            history.work()
    assert offered < 1200
    assert len(history.moments) <= 240
    ats = [one.at for one in history.moments]
    assert ats == sorted(ats)
    assert (ats[0] < 50, ats[-1] > 2950) == (True, True)
