import json

import pytest

from higgsdemo.model.text import parse_json


@pytest.mark.parametrize(
    "document",
    [
        {"a": [1, 2.5, "ü", None, True], "b": {"c": -(2**53)}},
        {"lone surrogate": "\ud800"},
        {"counters": {"wall_s": float("inf")}},
    ],
)
def test_what_json_writes_is_read(document: object) -> None:
    assert parse_json(json.dumps(document).encode()) == document


def test_integers_stay_integers() -> None:
    values = parse_json(b"[0, 9007199254740993, 1.0]")
    assert [type(value) for value in values] == [int, int, float]
    assert values[1] == 9007199254740993


@pytest.mark.parametrize("text", [b"", b"{", b"[1,]", b"\xff", b"'a'"])
def test_what_is_no_json(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of many kinds
        parse_json(text)
