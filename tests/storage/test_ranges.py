from hypothesis import given
from hypothesis import strategies as st

from higgsdemo.storage import Range, coalesce
from higgsdemo.storage.ranges import gap_within, pieces


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


def test_gaps_are_closed_from_the_narrowest_until_the_waste_is_spent():
    ranges = [(0, 10), (15, 20), (120, 130), (131, 140), (145, 150)]  # gaps 5, 100, 1, 5
    assert gap_within(ranges, 0) == 0
    assert gap_within(ranges, 1) == 1
    assert gap_within(ranges, 10) == 1  # both of 5 would be 11
    assert gap_within(ranges, 11) == 5
    assert gap_within(ranges, 110) == 5
    assert gap_within(ranges, 111) == 100
    assert gap_within([], 10) == 0
    assert gap_within([(5, 9), (0, 7)], 10) == 0


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 50)).map(lambda t: (t[0], sum(t)))),
    st.integers(0, 500),
)
def test_closing_those_gaps_wastes_no_more_than_allowed(ranges: list[Range], waste: int):
    spans = coalesce(ranges, gap_within(ranges, waste), 10**9)
    covered = {byte for start, stop in ranges for byte in range(start, stop)}
    assert sum(stop - start for start, stop, _ in spans) - len(covered) <= waste


def test_pieces():
    assert pieces(5, 30, 10) == [(5, 15), (15, 25), (25, 30)]
    assert pieces(5, 5, 10) == []
