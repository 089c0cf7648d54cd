"""Luminosity sections, against sets of pairs."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from higgsdemo.model import Sections, count_sections, join_spans, merge_sections, sections_of
from tests.model.sections import packed, pairs, unpacked

QUICK = settings(max_examples=60, deadline=None)


def is_canonical(sections: Sections) -> bool:
    return list(sections) == sorted(sections) and all(
        spans
        and all(low <= high for low, high in spans)
        and all(one[1] + 1 < other[0] for one, other in itertools.pairwise(spans))
        for spans in sections.values()
    )


@settings(max_examples=150, deadline=None)
@given(pairs)
def test_sections_of_is_the_set_of_pairs(given: list[tuple[int, int]]) -> None:
    sections = packed(given)
    assert unpacked(sections) == set(given)
    assert count_sections(sections) == len(set(given))
    assert is_canonical(sections)


@QUICK
@given(pairs, pairs, pairs)
def test_merge_sections_is_the_union(
    one: list[tuple[int, int]], two: list[tuple[int, int]], three: list[tuple[int, int]]
) -> None:
    merged = merge_sections(packed(one), packed(two))
    assert merged == packed(one + two) == merge_sections(packed(two), packed(one))
    assert merge_sections(merged, packed(three)) == packed(one + two + three)
    assert merge_sections(merged, merged) == merged


@QUICK
@given(pairs, st.lists(pairs, max_size=5))
def test_ranges_are_joined_a_few_at_a_time_as_all_at_once(
    given: list[tuple[int, int]], more: list[list[tuple[int, int]]]
) -> None:
    spans = packed(given).get(1, [])
    expected = unpacked({1: spans})
    for some in more:
        added = packed(some).get(1, [])
        before = [list(one) for one in spans]
        joined = join_spans(spans, added)
        assert spans == before
        expected |= unpacked({1: added})
        spans = joined
        assert is_canonical({1: spans} if spans else {})
    if spans and sum(high - low for low, high in spans) < 10_000:
        assert unpacked({1: spans}) == expected


def test_many_ranges_from_last_to_first_are_joined_soon() -> None:
    backwards = [[number, number] for number in range(400_000, 0, -2)]
    assert len(join_spans([], backwards)) == 200_000  # once a matter of minutes


def test_last_section_of_a_run_is_no_neighbour_of_the_next_run() -> None:
    # packed once as {1: [[4294967295, 0]]}
    assert packed([(1, 2**32 - 1), (2, 0)]) == {1: [[2**32 - 1, 2**32 - 1]], 2: [[0, 0]]}


def test_run_numbers_beyond_int32() -> None:
    assert packed([(2**32 - 1, 5)]) == {2**32 - 1: [[5, 5]]}


@pytest.mark.parametrize("kind", [np.int32, np.uint32, np.int64, np.uint64])
def test_sections_in_any_integer_type(kind: type) -> None:
    runs, numbers = np.array([2, 1, 1, 2], dtype=kind), np.array([7, 3, 2, 7], dtype=kind)
    assert sections_of(runs, numbers) == {1: [[2, 3]], 2: [[7, 7]]}


def test_unknown_sections_give_way() -> None:
    known = {1: [[1, 2]]}
    assert merge_sections(None, None) is None
    assert merge_sections(known, None) == merge_sections(None, known) == known
    assert merge_sections({}, None) == {}
    assert count_sections(None) == count_sections({}) == 0


def test_merging_changes_neither() -> None:
    one, other = {1: [[1, 2]]}, {1: [[3, 4]], 2: [[1, 1]]}
    merged = merge_sections(one, other)
    merged[1][0][1] = 99
    merged[2][0][1] = 99
    assert one == {1: [[1, 2]]}
    assert other == {1: [[3, 4]], 2: [[1, 1]]}


def test_run_without_sections_is_no_run() -> None:
    # an empty list of ranges, as certified-sections files may have, was an IndexError
    assert merge_sections({1: []}, {2: [[1, 1]]}) == {2: [[1, 1]]}
