from hypothesis import given
from hypothesis import strategies as st

from higgsdemo.storage import coalesce


def test_close_ranges_share_a_span():
    ranges = [(100, 110), (0, 10), (15, 20), (500, 510)]
    assert coalesce(ranges, gap=80, limit=1000) == [(0, 110, [1, 2, 0]), (500, 510, [3])]
    assert coalesce(ranges, gap=4, limit=1000) == [
        (0, 10, [1]),
        (15, 20, [2]),
        (100, 110, [0]),
        (500, 510, [3]),
    ]


def test_spans_have_a_limit():
    assert coalesce([(0, 60), (60, 120), (120, 400)], gap=0, limit=120) == [
        (0, 120, [0, 1]),
        (120, 400, [2]),
    ]


def test_none():
    assert coalesce([], gap=1, limit=1) == []


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 50))),
    st.integers(0, 40),
    st.integers(1, 200),
)
def test_every_range_lies_in_one_span(sizes, gap, limit):
    ranges = [(start, start + size) for start, size in sizes]
    spans = coalesce(ranges, gap, limit)
    assert sorted(index for _, _, members in spans for index in members) == list(range(len(ranges)))
    for start, stop, members in spans:
        assert all(start <= ranges[i][0] and ranges[i][1] <= stop for i in members)
        assert stop - start <= limit or len(members) == 1
