import json

import pytest

from higgsdemo.model.text import canonical, is_canonical, parse_json


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


@pytest.mark.parametrize(
    "document",
    [
        {"b": [1, 2.5, "ü", None, True], "a": {"c": -(2**53)}},
        {"lone surrogate": "\ud800", "delete": "\x7f", "escape": "\x1b"},
        {"counters": {"wall_s": float("inf"), "small": 1e-7, "large": 1e22}},
    ],
)
def test_canonical_text_is_known_as_such(document: object) -> None:
    text = canonical(document)
    assert is_canonical(text, parse_json(text))


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1} ',
        b'{"a": 1}',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":2}',
        b'{"a":1.50}',
        '{"ü":1}'.encode(),
    ],
)
def test_what_is_written_otherwise_is_not_canonical(text: bytes) -> None:
    assert not is_canonical(text, parse_json(text))
