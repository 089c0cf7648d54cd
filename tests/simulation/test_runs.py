import itertools

import numpy as np
import pytest

from higgsdemo.catalog.certification import load_sections, mask
from higgsdemo.simulation import runs


@pytest.mark.parametrize("era", ["B", "C"])
def test_places_are_unique_across_blocks_and_families(era):
    rng = np.random.default_rng(1)
    seen = set()
    for block in range(3):
        for family in range(3):
            places = runs.place(rng, era, block, 3, 2_000, family)
            new = set(zip(places.run, places.section, places.event, strict=True))
            assert len(new) == 2_000
            assert not seen & new
            seen |= new
            low, high = runs.span(era, block, 3)
            assert low <= places.position.min() <= places.position.max() < high


def test_blocks_cover_the_era_without_gaps():
    edges = [runs.span("B", block, 7) for block in range(7)]
    assert edges[0][0] == 0
    assert edges[-1][1] == runs.sections_in("B")
    assert all(one[1] == other[0] for one, other in itertools.pairwise(edges))


@pytest.mark.parametrize(("era", "low", "high"), [("B", 193833, 196531), ("C", 198022, 203742)])
def test_every_section_is_certified(shared_data, era, low, high):
    (path,) = (shared_data / "certification").glob("*8TeV*")
    places = runs.place(np.random.default_rng(2), era, 0, 1, 50_000, 0)
    assert low <= places.run.min() <= places.run.max() <= high
    assert mask(load_sections(path), places.run, places.section).all()


def test_simulated_events_are_in_run_one():
    places = runs.simulated_places(1_998, 4)
    assert places.run.tolist() == [1] * 4
    assert places.section.tolist() == [2, 2, 3, 3]
    assert places.event.tolist() == [1999, 2000, 2001, 2002]
