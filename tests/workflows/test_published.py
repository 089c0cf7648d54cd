"""The selection of df103, slips included: against an obvious implementation and known vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from higgsdemo.model import CHANNELS
from higgsdemo.workflows.h4l.published import truncated_best
from tests.workflows import reference
from tests.workflows.builders import Event, Lepton, random_events, select
from tests.workflows.test_default import FOUR, OFF_SHELL, Z, back_to_back


def test_against_the_reference():
    events = random_events(np.random.default_rng(21), 4000)
    found = select(events, "published")
    wanted = {
        (entry, channel): masses
        for entry, event in enumerate(events)
        for channel, masses in reference.published(event).items()
    }
    assert {channel for _, channel in wanted} == set(CHANNELS)
    assert found.masses.keys() == wanted.keys()
    for key, masses in wanted.items():
        assert found.masses[key] == pytest.approx(masses, rel=1.2e-7)  # an ulp of float32


@pytest.mark.parametrize(
    ("masses", "picked"),
    [
        ([90.9, 92.2], 92.2),  # right would be 90.9
        ([92.2, 90.9], 90.9),
        ([91.9, 91.3], 91.3),
        ([183.5, 200.0, 91.0], 91.0),
        ([91.2, 91.2], 91.2),
    ],
)
def test_the_best_mass_is_truncated(masses: list[float], picked: float):
    column = np.array(masses)[:, np.newaxis]
    (winner,) = truncated_best(column, np.ones(column.shape, dtype=bool))
    assert masses[winner] == picked


def test_the_first_of_equals_wins_and_heavy_pairs_never():
    column = np.array([[91.0], [91.0]])
    assert truncated_best(column, np.ones((2, 1), dtype=bool)).tolist() == [0]
    assert truncated_best(column, np.array([[False], [True]])).tolist() == [1]
    assert truncated_best(np.array([[183.41], [500.0]]), np.ones((2, 1), dtype=bool)) == [2]


def test_truncation_changes_the_pairs():
    """Masses tried in order 60.09, 60.04: df103 takes the second, as 91.2 - 60 > 91.2 - 60.04."""
    muons = (
        Lepton(30, 0, 0, -1),
        Lepton(30.09, 0, 3.14159, 1),
        Lepton(30.05, 0, 3.11159, 1),
        Lepton(12, 1.2, 1.0, -1),
    )
    published, default = select([Event(muons)], "published"), select([Event(muons)])
    assert published.leptons[0, "4mu"] == [("mu", i) for i in (0, 2, 1, 3)]
    assert published.masses[0, "4mu"][1] == pytest.approx(60.04, abs=0.01)
    assert default.leptons[0, "4mu"] == [("mu", i) for i in (1, 0, 2, 3)]
    assert default.masses[0, "4mu"][1] == pytest.approx(60.09, abs=0.01)
    assert default.masses[0, "4mu"][0] == pytest.approx(published.masses[0, "4mu"][0])


def test_four_leptons_without_a_light_pair_are_rejected():
    heavy = (*back_to_back(95, 0.3), *back_to_back(95, 1.9))
    steps = select([Event(muons=heavy)], "published").steps["4mu"].counts
    assert steps["Two positive and two negative muons"] == 1
    # the wrong pairings are lighter here, so that df103 finds one of them
    assert reference.published(Event(muons=heavy)) == {
        channel: masses
        for (_, channel), masses in select([Event(muons=heavy)], "published").masses.items()
    }
    far = tuple(
        Lepton(pt=400, eta=eta, phi=phi, charge=charge)
        for eta, phi, charge in ((2, 0, 1), (-2, 3, -1), (2, 1.5, 1), (-2, -1.5, -1))
    )
    steps = select([Event(muons=far)], "published").steps["4mu"].counts
    assert steps["Two positive and two negative muons"] == 1
    assert steps["Delta R separation of muons building Z system"] == 0


def test_one_bad_lepton_more_rejects_the_event():
    soft = Lepton(pt=4.0, eta=1.0, phi=2.0)
    events = [Event(muons=(*FOUR, soft)), Event(Z, OFF_SHELL), Event((*Z, soft), OFF_SHELL)]
    events += [Event((*Z, replace(soft, iso=-999.0)), OFF_SHELL)]
    assert set(select(events, "published").masses) == {(1, "2mu2e")}
    assert {(0, "4mu"), (1, "2mu2e"), (2, "2mu2e"), (3, "2mu2e")} == set(select(events).masses)


def test_more_than_two_and_two_takes_the_first_stored():
    third = (Lepton(30, 1.0, 2.0, 1), Lepton(30, -1.0, -2.0, -1))
    event = Event((*Z, *third), OFF_SHELL)
    found = select([event], "published")
    assert found.leptons[0, "2mu2e"] == [("mu", 0), ("mu", 1), ("e", 0), ("e", 1)]


def test_an_event_may_be_in_several_channels():
    assert {name for _, name in select([Event(FOUR, FOUR)], "published").masses} == set(CHANNELS)


def test_no_pt_cut_on_z1_of_four_alike():
    muons = (Lepton(100, 0, 0, 1), Lepton(9, 2.2, np.pi, -1), *OFF_SHELL)
    assert select([Event(muons=muons)], "published").masses
    assert not select([Event(muons=muons)]).masses


def test_labels_are_those_of_the_report():
    steps = select([], "published").steps
    assert list(steps["4e"].counts) == [
        "At least our electrons",
        "Require good isolation",
        "Good Electron kinematics",
        "Track close to primary vertex with small uncertainty",
        "Two positive and two negative electrons",
        "Delta R separation of Electrons building Z system",
        "Mass of first Z candidate in [40, 120]",
        "Mass of second Z candidate in [12, 120]",
    ]
    assert list(steps["2mu2e"].counts)[3] == "Dr cuts"


def test_only_certified_events_are_used():
    events = random_events(np.random.default_rng(7), 2000)
    everything = select(events, "published").masses
    certified = np.arange(2000) % 3 > 0
    part = select(events, "published", certified=certified).masses
    assert part == {key: masses for key, masses in everything.items() if certified[key[0]]}
