import numpy as np
import pytest

from higgsdemo.simulation import backgrounds
from higgsdemo.simulation.leptons import ELECTRON, MUON, NON_PROMPT


@pytest.mark.parametrize("flavour", [MUON, ELECTRON])
def test_the_bulk_has_two_leptons_of_the_stream_and_at_most_one_more(flavour):
    made = backgrounds.bulk(np.random.default_rng(1), 20_000, flavour)
    count = np.bincount(made.event, minlength=made.events)
    assert count.min() == 2
    assert count.max() == 3
    right = np.bincount(made.event, weights=made.flavour == flavour, minlength=made.events)
    assert right.min() >= 2


def test_reducible_events_have_a_z_and_a_non_prompt_lepton():
    made = backgrounds.reducible(np.random.default_rng(2), 5_000)
    fake = np.bincount(made.event, weights=made.origin == NON_PROMPT, minlength=made.events)
    assert set(fake) == {1, 2}
    assert np.all(np.bincount(made.event) == 4)
