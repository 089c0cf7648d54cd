import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higgsdemo.columns.steps import steps


@pytest.mark.parametrize(
    ("boundaries", "start", "stop", "events", "expected"),
    [
        ((0, 100), 0, 0, 10, []),
        ((0, 100, 200), 0, 200, 100, [(0, 100), (100, 200)]),
        # Small clusters are taken together, up to the number of events.
        ((0, 30, 60, 90, 120), 0, 120, 100, [(0, 90), (90, 120)]),
        # A cluster that is a little longer stays whole.
        ((0, 120, 240), 0, 240, 100, [(0, 120), (120, 240)]),
        # A huge one is cut.
        ((0, 1000), 0, 250, 100, [(0, 100), (100, 200), (200, 250)]),
        # A range that starts within a cluster is aligned after its first step.
        ((0, 100, 200, 300), 50, 260, 100, [(50, 100), (100, 200), (200, 260)]),
        # The range ends before the cluster within reach does.
        ((0, 130), 0, 110, 100, [(0, 110)]),
    ],
)
def test_steps_follow_the_clusters(boundaries, start, stop, events, expected):
    assert list(steps(boundaries, start, stop, events)) == expected


@given(st.sets(st.integers(1, 500)), st.integers(0, 500), st.integers(0, 500), st.integers(1, 600))
def test_steps_make_up_the_range(inner, one, other, events):
    start, stop = sorted((one, other))
    found = list(steps(sorted({0, 500, *inner}), start, stop, events))
    assert [entry for step in found for entry in range(*step)] == list(range(start, stop))
    assert all(end > begin for begin, end in found)
    assert all(end - begin <= 1.5 * events for begin, end in found)


def test_steps_are_made_one_by_one():
    """A damaged file may claim any number of entries."""
    assert list(itertools.islice(steps((0, 2**60), 0, 2**60, 10), 2)) == [(0, 10), (10, 20)]
