"""Runs to draw: the real analysis, a part of it, and small ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from higgsdemo.model import Histogram, Totals
from tests.inference.builders import real_totals

FULL = 400  # files of each sample in the plan of the partial run
PARTS = {
    "DoubleMu12": 0.375,
    "DoubleE12": 0.2,
    "DoubleMu11": 1.0,
    "DoubleE11": 1.0,
    "ZZ4e12": 0.052,
}
SKIPPED = ("/store/data/0018A8E1.root", "b.root", "c_$x_y$.root", "d.root", "e.root")


@pytest.fixture(scope="session")
def whole(shared_data: Path) -> Totals:
    """The full CMS analysis of 2011 and 2012."""
    return real_totals(shared_data / "h4l-histograms")


@pytest.fixture(scope="session")
def partial(whole: Totals) -> Totals:
    """A run in progress: parts of every sample, and skipped files."""
    random = np.random.default_rng(3)
    samples = {}
    for name, one in whole.samples.items():
        part = PARTS.get(name, 0.4)
        luminosity = one.luminosity_pb
        samples[name] = replace(
            one,
            files=int(FULL * part),
            tasks=int(FULL * part),
            files_planned=FULL,
            tasks_planned=FULL,
            events=int(one.events * part),
            events_planned=one.events,
            generated_events=int(one.generated_events * part),
            luminosity_pb=None if luminosity is None else luminosity * part,
            luminosity_planned_pb=luminosity,
            histograms={
                key: Histogram(histogram.axis, random.binomial(histogram.counts, part))
                for key, histogram in one.histograms.items()
            },
            skipped=SKIPPED if name == "ZZ4mu12" else (),
        )
    return Totals("partial", samples)


@pytest.fixture(scope="session")
def demo(whole: Totals) -> Totals:
    """The part of 2012, as if it had been generated."""
    return Totals(
        "demo",
        {
            name: replace(one, sample=replace(one.sample, demo=True))
            for name, one in whole.samples.items()
            if one.sample.year == 2012
        },
    )


@pytest.fixture(scope="session")
def only_data(whole: Totals) -> Totals:
    """Data alone."""
    return Totals("data", {name: one for name, one in whole.samples.items() if one.sample.is_data})
