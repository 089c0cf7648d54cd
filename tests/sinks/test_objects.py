"""Names and contents of stored objects."""

from higgsdemo.sinks.objects import COPIES, copy_of, damaged, same_content, strange
from higgsdemo.sinks.parcel import is_name, pack, stem
from tests.ledger.builders import make_task, result_of


def test_copies_have_names_of_their_own() -> None:
    name, _ = pack(result_of(make_task(1)), "r")
    copies = [copy_of(name, number) for number in range(COPIES)]
    assert len(set(copies)) == COPIES
    assert all(is_name(copy) and stem(copy) == name for copy in copies)


def test_only_a_whole_object_counts_as_the_same() -> None:
    name, payload = pack(result_of(make_task(1)), "r")
    other, _ = pack(result_of(make_task(2)), "r")
    assert same_content(name, payload)
    assert same_content(f"{name}-2", payload)
    assert not same_content(name, payload[:-1])
    assert not same_content(other, payload)
    assert not same_content(name, None)


def test_words() -> None:
    assert strange("readme.txt").problem
    assert "x" in str(damaged("x", "file:///there"))
