import numpy as np

from higgsdemo.simulation import leptons as le


def some(events, event):
    event = np.array(event)
    ones = np.ones(event.size)
    number = np.arange(event.size)
    return le.Leptons(
        events, event, ones * 10 + number, ones, ones, number % 2, number + 11, number
    )


def test_together_other_events():
    both = le.together([some(3, [0, 2]), some(2, [1])])
    assert both.events == 5
    assert both.event.tolist() == [0, 2, 4]


def test_together_same_events():
    both = le.together([some(3, [0, 2]), some(3, [1])], same_events=True)
    assert both.events == 3
    assert both.event.tolist() == [0, 2, 1]


def test_from_vectors_drops_empty_slots():
    vector = np.array([[5.0, 5.0], [3.0, 0.0], [4.0, 5.0], [0.0, 0.0]])
    made = le.from_vectors(
        (vector, vector),
        (np.array([1, 1]), np.array([-1, -1])),
        (np.array([13, 0]), np.array([11, 11])),
        (le.PROMPT, np.array([le.PROMPT, le.FROM_TAU])),
    )
    assert made.events == 2
    assert sorted(zip(made.event.tolist(), made.flavour.tolist(), strict=True)) == [
        (0, 11),
        (0, 13),
        (1, 11),
    ]
    np.testing.assert_allclose(made.pt, 5.0)
    assert made.origin[made.event == 1].tolist() == [le.FROM_TAU]
