"""Luminosity sections as pairs of run and number."""

import numpy as np
from hypothesis import strategies as st

from higgsdemo.model import Sections, sections_of

UINT32 = st.integers(0, 2**32 - 1)
NEAR = st.integers(0, 6) | st.integers(2**32 - 4, 2**32 - 1)  # neighbours, also across runs
pairs = st.lists(st.tuples(st.integers(0, 3) | UINT32, NEAR | UINT32), max_size=30)


def packed(given: list[tuple[int, int]]) -> Sections:
    runs, numbers = zip(*given, strict=True) if given else ((), ())
    return sections_of(np.array(runs, dtype=np.uint32), np.array(numbers, dtype=np.uint32))


def unpacked(sections: Sections) -> set[tuple[int, int]]:
    """Return the pairs, of packed sections that are not too many."""
    return {
        (run, number)
        for run, spans in sections.items()
        for low, high in spans
        for number in range(low, high + 1)
    }
