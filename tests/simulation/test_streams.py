from functools import partial

import numpy as np
import pytest

from higgsdemo.errors import UsageError
from higgsdemo.simulation import streams
from higgsdemo.simulation.detector import concatenate
from higgsdemo.simulation.leptons import MUON
from higgsdemo.simulation.randomness import sequence


def made(plan, stream, seed=1):
    return list(streams.data_blocks(partial(sequence, seed), plan, stream))


def keys(blocks):
    whole = concatenate(blocks)
    columns = (whole.globals_[name].tolist() for name in ("run", "luminosityBlock", "event"))
    return list(zip(*columns, strict=True)), whole


def row(whole, number):
    chosen = whole.event == number
    leptons = tuple(values[chosen].tobytes() for values in whole.leptons.values())
    return leptons, tuple(values[number] for values in whole.globals_.values())


def test_the_luminosity_is_that_of_the_streams():
    plans = [streams.plan_era(era, 11.58, 0.1) for era in "BC"]
    assert plans[0].luminosity_pb("DoubleMuParked") == pytest.approx(4436.728455)
    assert sum(plan.luminosity_pb("DoubleElectron") for plan in plans) == pytest.approx(11605.9049)
    double = streams.plan_era("B", 2 * 11.58, 0.1)
    assert double.luminosity_pb("DoubleMuParked") == pytest.approx(2 * 4436.728455)
    assert double.expected()["ZZTo4mu"] == pytest.approx(2 * 4436.728455 * 0.106722)


def test_an_event_that_fires_both_triggers_is_the_same_in_both_files():
    plan = streams.plan_era("B", 11.58, 0.01)
    muon, muon_events = keys(made(plan, "DoubleMuParked"))
    electron, electron_events = keys(made(plan, "DoubleElectron"))
    assert len(set(muon)) == len(muon)
    assert len(set(electron)) == len(electron)
    shared = set(muon) & set(electron)
    assert 50 < len(shared) < len(electron)
    for key in sorted(shared)[:20]:
        one = row(muon_events, muon.index(key))
        other = row(electron_events, electron.index(key))
        assert one == other


def test_events_are_sorted_by_place():
    names, _ = keys(made(streams.plan_era("C", 5.0, 0.02), "DoubleElectron"))
    assert names == sorted(names)


def test_four_lepton_physics_does_not_depend_on_the_scale():
    """Where the bulk needs two blocks instead of one, the physics events are the same."""
    few, many = (streams.plan_era("B", 11.58, scale) for scale in (0.001, 0.45))
    assert few.blocks == 1
    assert many.blocks == 2
    physics = []
    for plan in (few, many):
        names, whole = keys(made(plan, "DoubleMuParked"))
        physics.append(
            [
                (key, row(whole, number))
                for number, key in enumerate(names)
                if key[2] % 1_000_000 % 3 == 0
            ]
        )
    assert len(physics[0]) > 1_000
    assert physics[0] == physics[1]


def test_the_bulk_never_makes_a_four_lepton_candidate():
    plan = streams.plan_era("B", 11.58, 0.05)
    names, whole = keys(made(plan, "DoubleElectron"))
    bulk = np.array([key[2] % 1_000_000 % 3 != 0 for key in names])
    leptons = whole.count(np.ones(whole.event.size, dtype=bool))
    assert leptons[bulk].max() <= 3
    assert bulk.sum() == plan.bulk["DoubleElectron"]


def test_every_physics_event_has_two_leptons_for_its_trigger():
    for stream, flavour in streams.STREAMS.items():
        names, whole = keys(made(streams.plan_era("B", 11.58, 1e-6), stream))
        assert names
        right = whole.muon == (flavour == MUON)
        assert whole.count(right & (whole.leptons["pt"] > 4.0)).min() >= 2


def test_poisson_fluctuation_of_the_seed():
    plan = streams.plan_era("B", 11.58, 1e-6)
    sizes = [sum(b.events for b in made(plan, "DoubleMuParked", seed)) for seed in range(6)]
    assert len(set(sizes)) > 3
    assert np.std(sizes) < 4 * np.sqrt(np.mean(sizes))


def test_more_blocks_than_sections_is_refused():
    with pytest.raises(UsageError, match="too many events"):
        streams.plan_era("B", 11.58, 5_000)
