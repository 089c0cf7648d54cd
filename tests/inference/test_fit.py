import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from higgsdemo.inference import Fit, Normalised, fit, normalise
from higgsdemo.model import Axis, SampleTotals, Totals
from tests.inference.builders import M4L, filled, real_totals, run, sample, totals_of

Array = npt.NDArray[np.float64]
PRECISE = 10**7  # simulated events per event: the simulation's own error is negligible


def experiment(
    signal: list[float],
    background: list[float],
    data: list[int],
    *,
    per_event: float = PRECISE,
    channel: str = "4mu",
) -> Totals:
    """One channel with these expectations; each expected event stands for many simulated ones."""
    axis = Axis(len(data), 0.0, float(len(data)), "m4l", "GeV")

    def simulated(name: str, group: str, expected: list[float]) -> SampleTotals:
        what = sample(name, group, cross_section_pb=1.0, channels=(channel,))  # type: ignore[arg-type]
        counts = [round(one * per_event) for one in expected]
        return totals_of(what, {channel: counts}, axis=axis, generated=per_event)

    real = sample("data", "data", channels=(channel,))
    return run(
        totals_of(real, {channel: data}, axis=axis, luminosity_pb=1.0),
        simulated("h", "higgs", signal),
        simulated("z", "zz", background),
    )


def of(*arguments: object, **options: object) -> Fit:
    return fit(normalise(experiment(*arguments, **options)))  # type: ignore[arg-type]


# Against formulas and calculations that share no code with the fit.


@pytest.mark.parametrize(("s", "b", "n"), [(8.2, 4.655, 12), (3.0, 10.0, 18), (10.0, 100.0, 123)])
def test_counting_experiment(s: float, b: float, n: int) -> None:
    """One bin beside a sideband so large that it fixes the background: equation 97 of Cowan."""
    found = of([s, 0.0], [b, 1e5], [n, 100_000])
    expected = math.sqrt(2 * ((s + b) * math.log(1 + s / b) - s))
    assert found.expected_significance == pytest.approx(expected, rel=2e-3)
    observed = math.sqrt(2 * (n * math.log(n / b) - (n - b)))
    assert found.observed_significance == pytest.approx(observed, rel=2e-3)
    assert found.signal_strength == pytest.approx((n - b) / s, rel=2e-3)
    assert found.observed_p_value == pytest.approx(math.erfc(observed / math.sqrt(2)) / 2, rel=2e-2)


@pytest.mark.parametrize(("on", "off", "ratio"), [(12, 45, 0.1), (30, 20, 1.0), (7, 200, 0.01)])
def test_on_off_experiment(on: int, off: int, ratio: float) -> None:
    """A sideband of few events: T.-P. Li and Y.-Q. Ma, ApJ 272 (1983) 317, equation 17."""
    found = of([1.0, 0.0], [ratio * off, float(off)], [on, off])
    total = on + off
    first = on * math.log((1 + ratio) / ratio * on / total)
    second = off * math.log((1 + ratio) * off / total)
    assert found.observed_significance == pytest.approx(math.sqrt(2 * (first + second)), rel=2e-3)
    assert found.signal_strength == pytest.approx(on - ratio * off, rel=2e-3)


def test_brute_force_scan_of_real_data(shared_data: Path) -> None:
    """The 4mu channel on a grid of (mu, theta), the simulation's error profiled by bisection."""
    normalised = normalise(real_totals(shared_data / "h4l-histograms")).only("4mu")
    found = fit(normalised)
    strengths, thetas = np.linspace(0, 2, 81), np.linspace(1.0, 2.2, 61)
    q = scan(normalised, strengths, thetas)
    profile = q.min(axis=1)
    assert found.signal_strength == pytest.approx(strengths[profile.argmin()], abs=0.03)
    assert found.observed_significance == pytest.approx(
        math.sqrt(profile[0] - profile.min()), abs=0.02
    )
    assert found.error_up is not None
    assert found.signal_strength is not None
    inside = strengths[profile - profile.min() < 1]
    assert found.signal_strength + found.error_up == pytest.approx(inside[-1], abs=0.03)
    assert inside[0] == 0
    assert found.error_down == found.signal_strength


def scan(normalised: Normalised, strengths: Array, thetas: Array) -> Array:
    """Return -2 ln L over a grid, shape (strengths, thetas), written out without closed forms."""
    total = np.zeros((strengths.size, thetas.size))
    mu, theta = strengths[:, None, None], thetas[None, :, None]
    for year in normalised.years:
        signal = normalised.spectrum(["higgs"], years=[year])
        background = normalised.spectrum(["zz", "ttbar", "dy"], years=[year])
        d = normalised.spectrum(["data"], years=[year]).contents
        nu = mu * signal.contents + theta * background.contents
        variance = mu**2 * signal.variance + theta**2 * background.variance
        low, high = np.full_like(nu, 1e-9), np.full_like(nu, 100.0)
        for _ in range(50):
            x = (low + high) / 2
            rising = 1 - d / x + (x - nu) / variance > 0
            low, high = np.where(rising, low, x), np.where(rising, x, high)
        total += (2 * (x - d * np.log(x)) + (x - nu) ** 2 / variance).sum(axis=2)
    return total


def test_real_data_of_2011_and_2012(shared_data: Path) -> None:
    """A regression value; each part of it is checked independently above."""
    found = fit(normalise(real_totals(shared_data / "h4l-histograms")))
    assert found.reason is None
    assert len(found.categories) == 6
    assert found.signal_strength == pytest.approx(0.85, abs=0.01)
    assert found.error_up == pytest.approx(0.42, abs=0.01)
    assert found.error_down == pytest.approx(0.35, abs=0.01)
    assert found.observed_significance == pytest.approx(3.01, abs=0.02)
    assert found.expected_significance == pytest.approx(3.33, abs=0.02)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["not_computed"] is None


# What it must do by itself.


def test_error_of_the_simulation_lowers_the_significance() -> None:
    precise = of([8.0, 0.0], [4.0, 90.0], [12, 90])
    coarse = of([8.0, 0.0], [4.0, 90.0], [12, 90], per_event=1)
    assert precise.observed_significance is not None
    assert coarse.observed_significance is not None
    assert coarse.observed_significance < 0.8 * precise.observed_significance


def test_a_spike_of_one_heavy_event_is_not_believed() -> None:
    """One Drell-Yan event of weight 3 beside the peak: its bin may as well be nearly empty."""
    totals = experiment([8.0, 0.0, 0.0], [4.0, 90.0, 1.0], [12, 90, 1])
    spike = sample("dy", "dy", cross_section_pb=3.0, channels=("4mu",))
    axis = Axis(3, 0.0, 3.0, "m4l", "GeV")
    heavy = totals_of(spike, {"4mu": [0, 0, 1]}, axis=axis, generated=1)
    with_spike = fit(normalise(run(*totals.samples.values(), heavy)))
    assert with_spike.reason is None
    without = fit(normalise(totals))
    assert with_spike.observed_significance == pytest.approx(without.observed_significance, abs=0.3)


def test_signal_in_a_bin_without_background_is_not_infinitely_significant() -> None:
    found = of([5.0, 0.0], [0.0, 20.0], [5, 20], per_event=4)
    assert found.reason is None
    assert found.observed_significance is not None
    assert 0 < found.observed_significance < 10


def test_deficit_has_no_significance() -> None:
    found = of([8.0, 0.0], [20.0, 90.0], [10, 90])
    assert found.signal_strength == pytest.approx(0, abs=1e-2)
    assert found.observed_significance == pytest.approx(0, abs=1e-2)
    assert found.error_up is not None
    assert found.error_up > 0


def test_normalisation_of_the_background_is_found() -> None:
    found = of([1.0, 0.0], [4.0, 9000.0], [6, 13_500])
    assert found.background["4mu"] == pytest.approx(1.5, rel=1e-2)


def test_no_data_gives_the_expectation_alone() -> None:
    found = of([8.0, 0.0], [4.0, 90.0], [0, 0])
    assert found.signal_strength is None
    assert found.observed_significance is None
    assert found.observed_p_value is None
    assert found.reason == "no data event is in yet"
    assert found.expected_significance is not None
    assert found.expected_significance > 2


def test_a_channel_without_events_takes_part() -> None:
    one = experiment([8.0, 0.0], [4.0, 90.0], [12, 90])
    other = experiment([2.0, 0.0], [1.0, 20.0], [0, 0], channel="4e")
    both = {
        f"{name}-{at}": renamed(part, f"{name}-{at}")
        for at, totals in (("mu", one), ("e", other))
        for name, part in totals.samples.items()
    }
    found = fit(normalise(Totals("both", both)))
    assert found.reason is None
    assert found.background["4e"] == 0
    assert found.observed_significance is not None


def renamed(totals: SampleTotals, name: str) -> SampleTotals:
    return replace(totals, sample=replace(totals.sample, name=name))


@pytest.mark.parametrize(
    ("drop", "reason"),
    [
        (("h",), "no simulated signal event passes the selection yet"),
        (("z",), "no simulated background event passes the selection yet"),
        (("h", "z"), "the run has no simulated sample here"),
        (("data",), "the run has no data here"),
        (("h", "z", "data"), "the run has no samples"),
    ],
)
def test_missing_samples_are_named(drop: tuple[str, ...], reason: str) -> None:
    samples = experiment([8.0, 0.0], [4.0, 90.0], [12, 90]).samples
    found = fit(normalise(run(*(one for name, one in samples.items() if name not in drop))))
    assert found.signal_strength is None
    assert found.reason == reason


def test_a_background_that_is_not_in_yet_is_no_signal() -> None:
    """Data at full luminosity, one background at none: the excess would be a lie."""
    totals = experiment([8.0, 0.0], [4.0, 90.0], [12, 90])
    late = sample("dy", "dy", cross_section_pb=3.0, channels=("4mu",))
    nothing = replace(totals_of(late, {}, files=0, files_planned=5), histograms={})
    found = fit(normalise(run(*totals.samples.values(), nothing)))
    assert found.signal_strength is None
    assert found.reason == "dy: no simulated event is in yet"
    assert found.left_out[0].channel == "4mu"


def test_unknown_luminosity_is_no_fit() -> None:
    totals = experiment([8.0, 0.0], [4.0, 90.0], [12, 90])
    unknown = replace(totals.samples["data"], luminosity_pb=None)
    found = fit(normalise(Totals("x", {**totals.samples, "data": unknown})))
    assert found.reason == "the luminosity of data is unknown"


@settings(deadline=None, max_examples=40)
@given(
    data=st.lists(st.integers(0, 30), min_size=5, max_size=5),
    higgs=st.lists(st.integers(0, 50), min_size=5, max_size=5),
    zz=st.lists(st.integers(0, 50), min_size=5, max_size=5),
    generated=st.sampled_from([1, 30, 10_000]),
)
def test_numbers_are_finite_or_absent(
    data: list[int], higgs: list[int], zz: list[int], generated: int
) -> None:
    axis = Axis(5, 0.0, 5.0, "m4l", "GeV")
    where = ("4mu",)
    real = sample("d", "data", channels=where)
    signal = sample("h", "higgs", channels=where, cross_section_pb=1.0)
    background = sample("z", "zz", channels=where, cross_section_pb=1.0)
    totals = run(
        totals_of(real, {"4mu": data}, axis=axis, luminosity_pb=9.0),
        totals_of(signal, {"4mu": higgs}, axis=axis, generated=generated),
        totals_of(background, {"4mu": zz}, axis=axis, generated=generated),
    )
    found = fit(normalise(totals))
    json.dumps(found.to_json(), allow_nan=False)
    if found.signal_strength is None:
        assert found.reason
    else:
        assert found.signal_strength >= 0
        assert found.observed_significance is not None


def toys(folder: Path, strength: float, count: int, seed: int) -> list[Fit]:
    totals = real_totals(folder)
    normalised = normalise(totals)
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        samples = dict(totals.samples)
        for name, one in totals.samples.items():
            if not one.sample.is_data:
                continue
            histograms = {}
            for channel in one.sample.channels:
                where = [channel], [one.sample.year]
                mean = normalised.spectrum(["zz", "ttbar", "dy"], *where).contents
                mean = mean + strength * normalised.spectrum(["higgs"], *where).contents
                histograms[f"{channel}/m4l"] = filled(M4L, random.poisson(mean))
            samples[name] = replace(one, histograms=histograms)
        found.append(fit(normalise(Totals("toy", samples))))
    assert all(one.reason is None for one in found)
    return found


def test_toys_without_signal_follow_half_a_chi_square(shared_data: Path) -> None:
    found = toys(shared_data / "h4l-histograms", 0.0, 80, seed=1)
    significances = np.array([one.observed_significance for one in found], dtype=float)
    assert 0.3 < np.mean(significances < 0.05) < 0.75  # a half expected, a bit more for few events
    assert 0.05 < np.mean(significances > 1) < 0.28  # 0.16 expected
    assert significances.max() < 4


def test_toys_with_signal_give_it_back_and_cover(shared_data: Path) -> None:
    found = toys(shared_data / "h4l-histograms", 1.0, 60, seed=2)
    strengths = np.array([one.signal_strength for one in found], dtype=float)
    assert strengths.mean() == pytest.approx(1, abs=0.2)
    covered = [
        one.signal_strength - one.error_down <= 1 <= one.signal_strength + one.error_up
        for one in found
        if one.signal_strength is not None
        and one.error_up is not None
        and one.error_down is not None
    ]
    assert 0.5 < np.mean(covered) < 0.85  # 0.68 expected
    significances = [one.observed_significance for one in found]
    assert np.median(np.array(significances, dtype=float)) == pytest.approx(3.33, abs=0.5)
