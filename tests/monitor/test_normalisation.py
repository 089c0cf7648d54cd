"""P5 at every moment: simulation is scaled to exactly the data that is in, whatever came first."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from higgsdemo.model import CHANNELS, Histogram, Task
from higgsdemo.monitor import Monitor, View
from tests.display.dashboard.builders import M4L, SAMPLES, make_run, results, tasks_of

TASKS = tasks_of()
MADE = results(TASKS)
GROUPS = ("higgs", "zz")


def by_hand(group: str, channel: str, came: Sequence[Task]) -> np.ndarray:
    """Return luminosity x cross-section / generated x entries, of what came and nothing else."""
    luminosity = sum(task.luminosity_pb or 0.0 for task in came if channel in task.channels)
    total = np.zeros(M4L.bins)
    for sample in SAMPLES:
        mine = [task for task in came if task.sample == sample.name]
        if sample.group != group or channel not in sample.channels or not mine:
            continue
        generated = sum(task.generated_events or 0.0 for task in mine)
        for task in mine:
            found = MADE[task.id].output.histograms[f"{channel}/m4l"]
            assert isinstance(found, Histogram)
            total += luminosity * (sample.cross_section_pb or 0.0) / generated * found.values
    return total


def check(view: View, came: Sequence[Task]) -> None:
    for channel in CHANNELS:
        data = view.normalised.spectrum(["data"], [channel]).contents
        entries = [
            MADE[task.id].output.histograms[f"{channel}/m4l"].values
            for task in came
            if task.is_data and channel in task.channels
        ]
        assert data == pytest.approx(sum(entries, np.zeros(M4L.bins)))
        for group in GROUPS:
            shown = view.normalised.spectrum([group], [channel]).contents
            assert shown == pytest.approx(by_hand(group, channel, came), rel=1e-12)


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(TASKS), pages=st.lists(st.integers(1, 5), max_size=12))
def test_every_view_is_normalised_to_what_is_in(order: list[Task], pages: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder))
        with run.ledger() as ledger, Monitor(run) as monitor:
            came = 0
            for page in (*pages, len(TASKS)):
                for task in order[came : came + page]:
                    ledger.deliver(MADE[task.id])
                came = min(came + page, len(TASKS))
                check(monitor.refresh(), order[:came])


def test_the_check_itself_sees_a_wrong_scale() -> None:
    """Of half of the data, the simulation is half as high; by_hand must not be blind to that."""
    half = [task for number, task in enumerate(TASKS) if number < len(TASKS) // 2]
    ratio = by_hand("zz", "4mu", half).sum() / by_hand("zz", "4mu", TASKS).sum()
    assert ratio == pytest.approx(0.5, rel=0.2)
