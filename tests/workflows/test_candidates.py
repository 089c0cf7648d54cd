"""What both selections share."""

from __future__ import annotations

import numpy as np
import pytest

from higgsdemo.workflows.h4l.candidates import Quad, Steps, reorder
from higgsdemo.workflows.h4l.leptons import ELECTRON, MUON, Leptons
from tests.workflows.builders import Event, Lepton, chunk
from tests.workflows.reference import mass

EVENT = Event(
    muons=(Lepton(40, 0.3, 1.0, 1), Lepton(25, -1.0, -2.5, -1)),
    electrons=(Lepton(35, 1.9, 0.1, -1, 0.0005), Lepton(12, 0.0, 2.2, 1, -0.002)),
)


def test_steps_add_up_over_blocks_and_keep_their_order():
    steps = Steps()
    for flags in ([True, False], [True, True]):
        steps.add("all", len(flags))
        steps.add("some", np.array(flags))
    assert list(steps.counts.items()) == [("all", 4), ("some", 3)]


def test_a_quad_of_two_flavours():
    read = chunk([Event(), EVENT])
    muons, electrons = (Leptons(read, flavour, np.array([1])) for flavour in (MUON, ELECTRON))
    rows = np.array([[0], [1]])
    quad = Quad([(muons, rows), (electrons, rows[::-1])])
    assert quad.pt[:, 0].tolist() == [40, 25, 12, 35]
    assert quad.electrons[:, 0].tolist() == [False, False, True, True]
    assert quad.leptons[:, 0].tolist() == [0, 1, 1, 0]
    assert quad.pair_mass(0, 1)[0] == pytest.approx(mass(EVENT.muons), rel=1e-6)
    assert quad.mass()[0] == pytest.approx(mass([*EVENT.muons, *EVENT.electrons]), rel=1e-6)


def test_reorder_is_take_along_axis():
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(4, 30))
    order = np.argsort(rng.normal(size=(4, 30)), axis=0)
    assert np.array_equal(reorder(rows, order), np.take_along_axis(rows, order, axis=0))
    assert np.array_equal(reorder(rows[:, ::2], order[:, ::2]), reorder(rows, order)[:, ::2])
