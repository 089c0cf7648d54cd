"""Columns of leptons, counts per event, and the refusal of NaN."""

from __future__ import annotations

import numpy as np
import pytest

from higgsdemo.columns import Chunk
from higgsdemo.errors import InputError
from higgsdemo.workflows.h4l import leptons
from higgsdemo.workflows.h4l.leptons import ELECTRON, MUON, Leptons, blocks, require_finite, span
from tests.workflows.builders import Event, Lepton, chunk, random_events


def test_a_range_and_a_list_of_events_give_the_same_columns():
    events = random_events(np.random.default_rng(5), 50)
    read = chunk(events)
    ranged = Leptons(read, MUON, slice(10, 30))
    listed = Leptons(read, MUON, np.arange(10, 30))
    flags = ranged["pt"] > 20
    for name in MUON.attributes:
        assert np.array_equal(ranged[name], listed[name])
    assert np.array_equal(ranged.counts, [len(event.muons) for event in events[10:30]])
    assert np.array_equal(ranged.count(flags), listed.count(flags))
    assert np.array_equal(ranged.every(flags), listed.every(flags))
    every = np.arange(ranged["pt"].size)
    assert np.array_equal(ranged.in_chunk(every), listed.in_chunk(every))
    assert np.array_equal(read.values["Muon_pt"][ranged.in_chunk(every)], ranged["pt"])


def test_counts_of_scattered_events():
    events = random_events(np.random.default_rng(6), 40)
    where = np.array([0, 3, 17, 39])
    electrons = Leptons(chunk(events), ELECTRON, where)
    flags = electrons["charge"] > 0
    wanted = [[lepton.charge > 0 for lepton in events[i].electrons] for i in where]
    assert electrons.count(flags).tolist() == [sum(flags) for flags in wanted]
    assert electrons.every(flags).tolist() == [all(flags) for flags in wanted]
    assert electrons.every(np.ones_like(flags)).all()


def test_doubles_are_read_as_floats():
    read = chunk([Event(muons=(Lepton(pt=20.1),))])
    values = {name: column.astype(np.float64) for name, column in read.values.items()}
    doubles = Chunk(read.start, read.stop, read.scalars, read.counts, values)
    muons = Leptons(doubles, MUON, slice(0, 1))
    assert muons["pt"].dtype == muons.isolation.dtype == np.float32
    assert muons["charge"].tolist() == [1.0]


def test_blocks_hold_each_possible_event_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(leptons, "_BLOCK", 3)
    possible = np.array([1, 0, 1, 1, 0, 0, 1, 1], dtype=bool)
    assert [block.tolist() for block in blocks(possible)] == [[0, 2, 3], [6, 7]]
    assert [block.tolist() for block in blocks(np.zeros(4, dtype=bool))] == [[]]


def test_span_is_a_range_only_where_most_are_in():
    assert span(np.array([4, 5, 7])) == slice(4, 8)
    sparse = np.array([4, 50, 100])
    assert span(sparse) is sparse
    assert span(sparse[:0]).size == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("flavour", [MUON, ELECTRON])
def test_values_that_are_no_numbers_are_refused(flavour, value):
    events = [Event(muons=(Lepton(),) * 2, electrons=(Lepton(),) * 3)] * 5
    read = chunk(events, start=1000)
    name = f"{flavour.collection}_dxy"
    bad = read.values[name].astype(np.float64)
    per_event = bad.size // 5
    bad[[per_event * 3, per_event * 4]] = value
    broken = Chunk(1000, 1005, read.scalars, read.counts, {**read.values, name: bad})
    with (
        np.errstate(over="ignore", invalid="ignore"),
        pytest.raises(InputError, match=f"branch '{name}'") as caught,
    ):
        require_finite(broken, flavour, "a.root")
    assert caught.value.where == "a.root"
    assert f"2 of {bad.size} values" in caught.value.why
    assert "first in entry 1003" in caught.value.why


def test_a_sum_that_overflows_is_no_reason_to_refuse():
    read = chunk([Event(muons=(Lepton(pt=3e38),) * 4)])
    with np.errstate(over="ignore"):
        assert np.isinf(read.values["Muon_pt"].sum())
        require_finite(read, MUON, "a.root")
