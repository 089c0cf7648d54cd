import numpy as np
import pytest

from higgsdemo.simulation import processes
from higgsdemo.simulation.detector import (
    ELECTRON_PT,
    MISSING,
    MUON_PT,
    concatenate,
    reconstruct,
)
from higgsdemo.simulation.leptons import MUON, NON_PROMPT, PROMPT, Leptons


def sample(events, flavour, pt, origin=PROMPT, eta=0.5):
    ones = np.ones(events)
    integers = np.ones(events, dtype=np.int64)
    return Leptons(
        events,
        np.arange(events),
        pt * ones,
        eta * ones,
        0 * ones,
        integers,
        flavour * integers,
        origin * integers,
    )


@pytest.fixture(scope="module")
def higgs():
    rng = np.random.default_rng(3)
    return reconstruct(rng, processes.higgs(rng, 30_000))


def test_thresholds_of_the_producer(higgs):
    pt = higgs.leptons["pt"]
    assert MUON_PT < pt[higgs.muon].min() < 3.2
    assert ELECTRON_PT < pt[~higgs.muon].min() < 5.2
    soft = higgs.muon & (pt < 5)  # the stray 3-5 GeV muons that veto whole events
    assert 0.05 < soft.sum() / higgs.events < 0.5


def test_sentinels_come_together(higgs):
    columns, muon = higgs.leptons, higgs.muon
    no_track = columns["dxy"] == MISSING
    assert 0.001 < no_track[muon].mean() < 0.1
    assert not no_track[~muon].any()
    for name in ("dxyErr", "dz", "dzErr"):
        assert np.array_equal(columns[name] == MISSING, no_track)
    no_isolation = columns["pfRelIso04_all"] == MISSING
    assert np.array_equal(columns["pfRelIso03_all"] == MISSING, no_isolation)
    assert np.array_equal(columns["pfId"], ~no_isolation)
    assert 0.005 < no_isolation[muon].mean() < 0.1
    assert np.all(columns["pfRelIso04_all"][~no_isolation] >= 0)


def test_collections_are_not_sorted_by_pt(higgs):
    falls = np.diff(higgs.leptons["pt"]) < 0
    together = np.diff(higgs.event) == 0
    assert 0.4 < falls[together].mean() < 0.6


def test_events_are_in_order_and_complete(higgs):
    assert np.all(np.diff(higgs.event) >= 0)
    assert higgs.event.max() < higgs.events
    for column in higgs.globals_.values():
        assert column.shape == (higgs.events,)
    for column in higgs.leptons.values():
        assert column.shape == higgs.event.shape
        assert np.all(np.isfinite(column))


@pytest.mark.parametrize(("flavour", "low", "high"), [(13, 0.008, 0.02), (11, 0.02, 0.05)])
def test_resolution(flavour, low, high):
    rng = np.random.default_rng(5)
    made = reconstruct(rng, sample(20_000, flavour, 40.0), with_strays=False)
    quantiles = np.quantile(made.leptons["pt"] / 40.0, [0.16, 0.84])
    assert low < (quantiles[1] - quantiles[0]) / 2 < high


def test_electron_mass_is_the_noise_of_floats_and_muon_mass_is_not(higgs):
    mass = higgs.leptons["mass"]
    assert np.all(mass[higgs.muon] == np.float32(0.105658))
    electrons = mass[~higgs.muon]
    assert (electrons < 0).any()
    assert np.abs(electrons).max() < 0.5


def test_non_prompt_leptons_are_neither_isolated_nor_from_the_vertex():
    rng = np.random.default_rng(6)
    passing = {}
    for origin in (PROMPT, NON_PROMPT):
        made = reconstruct(rng, sample(20_000, MUON, 20.0, origin), with_strays=False).leptons
        significance = np.hypot(made["dxy"], made["dz"]) / np.hypot(made["dxyErr"], made["dzErr"])
        passing[origin] = (np.abs(made["pfRelIso04_all"]) < 0.4).mean(), (significance < 4).mean()
    assert passing[PROMPT][0] > 0.85
    assert passing[PROMPT][1] > 0.93
    assert passing[NON_PROMPT][0] < 0.35
    assert passing[NON_PROMPT][1] < 0.8


def test_acceptance_ends_at_the_muon_chambers():
    rng = np.random.default_rng(8)
    made = reconstruct(rng, sample(1000, MUON, 40.0, eta=2.6), with_strays=False)
    assert made.event.size == 0
    assert made.events == 1000


def test_select_reorder_and_concatenate_keep_leptons_with_their_events(higgs):
    sums = np.bincount(higgs.event, weights=higgs.leptons["pt"], minlength=higgs.events)
    keep = np.random.default_rng(1).random(higgs.events) < 0.3
    chosen = higgs.select(keep)

    def total(made):
        return np.bincount(made.event, weights=made.leptons["pt"], minlength=made.events)

    np.testing.assert_allclose(total(chosen), sums[keep])
    order = np.random.default_rng(2).permutation(chosen.events)
    moved = chosen.reorder(order)
    np.testing.assert_allclose(total(moved), sums[keep][order])
    assert np.array_equal(moved.globals_["PV_z"], chosen.globals_["PV_z"][order])
    both = concatenate([chosen, moved])
    np.testing.assert_allclose(total(both), np.concatenate([total(chosen), total(moved)]))
    assert both.count(both.muon).sum() == 2 * chosen.muon.sum()


def test_no_leptons_at_all():
    rng = np.random.default_rng(9)
    made = reconstruct(rng, sample(0, MUON, 20.0))
    assert made.events == 0
    assert made.leptons["pt"].size == 0
