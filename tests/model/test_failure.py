"""Failures: their words have an end, and damage is refused."""

import json
from typing import Any

import pytest

from higgsdemo.errors import Cause
from higgsdemo.model import Failure
from higgsdemo.model.failure import MOST_MESSAGE, MOST_TRACEBACK
from higgsdemo.sinks import unpack
from higgsdemo.sinks.parcel import pack


def test_a_million_log_lines_are_no_message_and_their_end_is_kept() -> None:
    lines = "\n".join(f"line {number}" for number in range(1_000_000))
    failure = Failure("0" * 16, Cause.BUG, lines, lines)
    for text, most in ((failure.message, MOST_MESSAGE), (failure.traceback, MOST_TRACEBACK)):
        assert text is not None
        assert len(text) <= most
        assert text.startswith("line 0\nline 1\n")
        assert text.endswith("\nline 999999")
        assert "left out" in text
    again = Failure.from_json(json.loads(json.dumps(failure.to_json())))
    assert again == failure  # and it is not cut anew
    name, payload = pack(failure, "run")
    assert len(payload) < 300_000
    assert unpack(name, payload).document == failure.to_json()
    short = Failure("0" * 16, Cause.BUG, "x" * MOST_MESSAGE)
    assert short.message == "x" * MOST_MESSAGE


@pytest.mark.parametrize("cause", Cause)
def test_failure_round_trip(cause: Cause) -> None:
    failure = Failure("t", cause, "it broke", "Traceback ...", {"host": "here"})
    again = Failure.from_json(json.loads(json.dumps(failure.to_json())))
    assert again == failure
    assert again.cause is cause


@pytest.mark.parametrize(
    "document",
    [
        {},
        None,
        [],
        {"task": "t"},
        Failure("t", Cause.BUG, "m").to_json() | {"cause": "weather"},
        Failure("t", Cause.BUG, "m").to_json() | {"provenance": 3},
    ],
)
def test_what_is_not_a_failure_is_refused_with_value_error(document: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the messages differ
        Failure.from_json(document)
