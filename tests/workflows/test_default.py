"""The default selection: rule by rule, against an obvious implementation, and under changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from higgsdemo.model import CHANNELS
from higgsdemo.workflows.h4l import leptons
from higgsdemo.workflows.h4l.candidates import Steps
from higgsdemo.workflows.h4l.default import needs_muons
from tests.workflows import reference
from tests.workflows.builders import (
    Event,
    Lepton,
    Selected,
    chunk,
    random_events,
    select,
    tied,
)

SEEDS = st.integers(0, 2**32 - 1)


def back_to_back(pt: float, phi: float, eta: float = 0.0, **more: float) -> tuple[Lepton, Lepton]:
    """A pair of mass about 2 pt: positive, negative."""
    return (
        Lepton(pt, eta, phi, 1, **more),
        Lepton(pt, eta, phi - np.pi if phi > 0 else phi + np.pi, -1, **more),
    )


Z, OFF_SHELL = back_to_back(45.6, 0.3), back_to_back(15.0, 1.8, eta=0.4)
FOUR = (*Z, *OFF_SHELL)


def names_of(events: Sequence[Event], **settings) -> list[set[str]]:
    found = select(events, **settings).masses
    return [{channel for entry, channel in found if entry == i} for i in range(len(events))]


def test_against_the_reference():
    events = random_events(np.random.default_rng(20), 4000)
    found = select(events)
    wanted = {
        (entry, channel): masses
        for entry, event in enumerate(events)
        for channel, masses in reference.default(event).items()
    }
    assert {channel for _, channel in wanted} == set(CHANNELS)
    assert found.masses.keys() == wanted.keys()
    for key, masses in wanted.items():
        assert found.masses[key] == pytest.approx(masses, rel=2e-7)


def test_every_channel_is_found():
    events = [Event(muons=FOUR), Event(electrons=FOUR), Event(Z, OFF_SHELL), Event(OFF_SHELL, Z)]
    assert names_of(events) == [{"4mu"}, {"4e"}, {"2mu2e"}, {"2mu2e"}]


def test_only_asked_channels_are_filled():
    events = [Event(muons=FOUR), Event(electrons=FOUR), Event(Z, OFF_SHELL)]
    for channel in CHANNELS:
        found = select(events, channels=(channel,))
        assert {name for _, name in found.masses} == {channel}
        assert found.steps.keys() == {channel}


def test_an_event_is_in_one_channel_at_most():
    events = [
        Event(muons=FOUR, electrons=FOUR),
        Event(muons=(*Z, replace(Z[0], phi=1.0)), electrons=OFF_SHELL),
        Event(muons=FOUR, electrons=OFF_SHELL),
    ]
    assert names_of(events) == [{"4mu"}, set(), {"4mu"}]
    # ... also where each stream fills its own channels: the electron stream leaves it alone
    assert names_of(events, channels=("4e",)) == [set()] * 3


@pytest.mark.parametrize(
    "change",
    [
        {"pt": 5.0}, {"eta": 2.4}, {"iso": 0.4000001}, {"iso": -0.5}, {"iso": -999.0},
        {"dxy": 0.5}, {"dz": 1.0}, {"dxy": -0.06}, {"dz": -0.06},
        {"dxy": -999.0, "dz": -999.0, "dxyErr": -999.0, "dzErr": -999.0},
        {"dxyErr": 0.0, "dzErr": 0.0},
        {"dxy": 0.0, "dz": 0.0, "dxyErr": 0.0, "dzErr": 0.0},
        {"dxy": -0.51, "dxyErr": 1.0}, {"dz": -1.01, "dzErr": 1.0},
    ],
)  # fmt: skip
def test_a_lepton_that_is_not_good_counts_for_nothing(change):
    bad = replace(OFF_SHELL[1], **change)
    events = [Event(muons=(*FOUR[:3], bad)), Event(muons=(*FOUR, bad)), Event(muons=(bad, *FOUR))]
    assert names_of(events) == [set(), {"4mu"}, {"4mu"}]


@pytest.mark.parametrize(("eta", "pt", "good"), [(2.49, 7.1, True), (2.5, 7.1, False),
                                                 (2.49, 7.0, False)])  # fmt: skip
def test_electrons_have_their_own_acceptance(eta, pt, good):
    events = [Event(electrons=(*FOUR[:3], replace(FOUR[3], eta=eta, pt=pt)))]
    assert select(events).steps["4e"].counts["four with pt > 7 GeV, abs(eta) < 2.5"] == good


def test_the_four_of_highest_pt_are_taken():
    soft = Lepton(8.0, 1.0, 2.5, 1)
    assert names_of([Event(muons=(soft, *FOUR))]) == [{"4mu"}]
    hard = replace(soft, pt=200.0)  # now the softest of FOUR, negative, is left out
    assert (
        select([Event(muons=(hard, *Z, OFF_SHELL[0], replace(OFF_SHELL[1], pt=14.0)))])
        .steps["4mu"]
        .counts["total charge 0"]
        == 0
    )


def test_exactly_two_and_two():
    extra = Lepton(9.0, 1.0, 2.5, 1)
    label = "exactly two good muons and two good electrons"
    for muons, electrons, passed in [
        (Z, OFF_SHELL, 1), ((*Z, extra), OFF_SHELL, 0), (Z, (*OFF_SHELL, extra), 0),
        ((*Z, replace(extra, iso=1.0)), OFF_SHELL, 1),
    ]:  # fmt: skip
        assert select([Event(muons, electrons)]).steps["2mu2e"].counts[label] == passed


def test_like_sign_pairs_are_no_z():
    flipped = (Z[0], replace(Z[1], charge=1)), (OFF_SHELL[0], replace(OFF_SHELL[0], charge=-1))
    assert names_of([Event(*flipped), Event(electrons=(*flipped[0], *flipped[1]))]) == [set()] * 2
    neutral = replace(Z[1], charge=0)
    assert names_of([Event((Z[0], neutral), OFF_SHELL)]) == [set()]


def test_the_best_pair_is_not_judged_by_a_truncated_mass():
    """df103 takes 92.2 after 90.9: 91.2 - int(90.9) = 1.2 > 1.0."""
    events = random_events(np.random.default_rng(0), 20)
    first, second = back_to_back(90.9 / 2, 0.3), back_to_back(92.2 / 2, -1.1, eta=0.2)
    found = select([*events, Event(muons=(*first, *second))])
    assert found.masses[20, "4mu"][1] == pytest.approx(90.9, abs=0.02)


def test_ghosts_are_removed_also_across_pi():
    apart, close = Lepton(30, 0.1, 3.14, 1), Lepton(30, 0.1, -3.14, -1)
    for other, passed in ((close, 0), (replace(close, phi=-3.12), 1)):
        steps = select([Event(muons=Z, electrons=(apart, other))]).steps["2mu2e"].counts
        assert steps["dR > 0.02 in each pair"] == passed


@pytest.mark.parametrize(
    ("muons", "electrons", "last"),
    [
        (back_to_back(45.6, 0.3), back_to_back(15.0, 1.8), "m4l > 70 GeV"),
        ((Lepton(130, 0, 0, 1), Lepton(10, 0, np.pi, -1)), OFF_SHELL, "dR > 0.02 in each pair"),
        ((Lepton(20, 0, 0, 1), Lepton(20, 1.9, 3, -1)), OFF_SHELL, "dR > 0.02 in each pair"),
        (back_to_back(60.1, 0), back_to_back(70, 1), "Z1 leptons with pt > 20, 10 GeV"),
        (back_to_back(45.6, 0), back_to_back(5.8, 1, eta=0.2), "dR > 0.02 in each pair"),
    ],
)
def test_the_last_step_passed(muons, electrons, last):
    steps = select([Event(muons, electrons)]).steps["2mu2e"].counts
    passed = [label for label, count in steps.items() if count]
    if electrons[0].pt < 7:  # no good electrons
        assert passed == ["at least two muons and two electrons"]
    else:
        assert passed[-1] == last


def test_steps_never_rise():
    events = random_events(np.random.default_rng(4), 1500)
    for steps in select(events).steps.values():
        counts = list(steps.counts.values())
        assert counts == sorted(counts, reverse=True)
        assert counts[-1] > 0


def test_only_certified_events_are_used():
    events = random_events(np.random.default_rng(7), 1500)
    everything = select(events)
    certified = np.random.default_rng(8).random(len(events)) < 0.9
    part = select(events, certified=certified)
    kept = {key: masses for key, masses in everything.masses.items() if certified[key[0]]}
    assert part.masses == kept
    for channel, steps in part.steps.items():
        passed = sum(name == channel for _, name in kept)
        assert list(steps.counts.values())[-1] == passed
    assert select(events, certified=np.ones(1500, dtype=bool)).masses == everything.masses


def test_muons_are_asked_for_only_where_they_can_matter():
    read = chunk([Event(electrons=FOUR), Event(muons=FOUR)])
    assert needs_muons(read)  # without nMuon nobody knows
    counted = dataclasses.replace(read, scalars={"nMuon": read.counts["Muon"]})
    assert not needs_muons(counted)
    both = chunk([Event(muons=FOUR, electrons=FOUR)])
    assert needs_muons(dataclasses.replace(both, scalars={"nMuon": both.counts["Muon"]}))


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_the_order_of_leptons_means_nothing(seed: int):
    rng = np.random.default_rng(seed)
    events = [tied(rng, event) if rng.random() < 0.5 else event
              for event in random_events(rng, 60)]  # fmt: skip
    shuffled = [
        Event(
            tuple(event.muons[i] for i in rng.permutation(len(event.muons))),
            tuple(event.electrons[i] for i in rng.permutation(len(event.electrons))),
        )
        for event in events
    ]
    assert outcome(select(shuffled)) == outcome(select(events))


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_the_order_of_events_means_nothing(seed: int):
    rng = np.random.default_rng(seed)
    events = random_events(rng, 60)
    order = rng.permutation(len(events))
    straight, shuffled = select(events), select([events[i] for i in order])
    moved = {(int(order[entry]), name): m for (entry, name), m in shuffled.masses.items()}
    assert moved == straight.masses
    assert shuffled.steps == straight.steps


@pytest.mark.parametrize("selection", ["default", "published"])
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, data=st.data())
def test_where_chunks_are_cut_means_nothing(selection: str, seed: int, data: st.DataObject):
    events = random_events(np.random.default_rng(seed), 100)
    cuts = sorted(data.draw(st.lists(st.integers(0, 100), max_size=4)))
    parts = Selected(steps={channel: Steps() for channel in CHANNELS})
    for start, stop in zip([0, *cuts], [*cuts, 100], strict=True):
        select(chunk(events[start:stop], start), selection, into=parts)
    assert outcome(parts) == outcome(select(events, selection))


@pytest.mark.parametrize("selection", ["default", "published"])
@pytest.mark.parametrize("size", [1, 7, 64])
def test_the_size_of_blocks_means_nothing(monkeypatch, selection: str, size: int):
    events = random_events(np.random.default_rng(11), 400)
    events += [Event()] * 900  # so that blocks are ranges in some places, lists in others
    events += random_events(np.random.default_rng(12), 40)
    whole = select(events, selection)
    monkeypatch.setattr(leptons, "_BLOCK", size)
    assert select(events, selection) == whole


def outcome(found: Selected):
    return found.masses, {name: steps.counts for name, steps in found.steps.items()}
