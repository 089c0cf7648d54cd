"""Words and numbers for people; names that others chose do no harm."""

import pytest

from higgsdemo.display.words import CAUSES, first_line, plain, quantity, short
from higgsdemo.errors import Cause


def test_each_cause_has_words() -> None:
    assert set(CAUSES) == {str(cause) for cause in Cause}


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0 B/s"), (7, "7 B/s"), (3.456, "3.46 B/s"), (999.4, "999 B/s"), (999.9, "1 kB/s"),
     (12_345, "12.3 kB/s"), (2.5e8, "250 MB/s"), (1.25e12, "1.25 TB/s"), (4e15, "4000 TB/s")],
)  # fmt: skip
def test_quantities(value: float, said: str) -> None:
    assert quantity(value, "B/s") == said


def test_counts_in_few_characters() -> None:
    assert [short(value) for value in (0, 940, 26_920, 1_250_000)] == ["0", "940", "26.9k", "1.25M"]


def test_control_characters_and_changes_of_direction_are_replaced() -> None:
    hostile = "a\x1b[2Jb\rc\x07d\u202ee\x9bf\ng\th"
    assert plain(hostile) == "a�[2Jb�c�d�e�f�g�h"
    assert plain(hostile, lines=True).endswith("f\ng\th")
    assert plain("Größe 希格斯 µ") == "Größe 希格斯 µ"


def test_the_first_line_of_a_million_is_soon_found() -> None:
    text = "\n\n  it broke\n" + "log line\n" * 1_000_000
    assert first_line(text) == "it broke"
    assert len(first_line("x" * 10_000)) == 300
