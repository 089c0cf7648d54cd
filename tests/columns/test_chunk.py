import numpy as np

from higgsdemo.columns import Chunk, Wanted


def test_the_size_of_a_chunk():
    none = np.zeros(0, np.int64)
    assert Chunk(20, 50, {}, {"Muon": none}, {}).size == 30


def test_wanting_nothing():
    assert Wanted() == Wanted((), {}, ())
