"""Trying again: only what may pass, and not for ever."""

import time

import pytest

from higgsdemo.errors import CredentialsError, HiggsdemoError, TransientError
from higgsdemo.sinks.retry import Patience, persist

QUICK = Patience(total_s=0.3, first_s=0.01, longest_s=0.02)


def explain(error: Exception) -> HiggsdemoError | None:
    if isinstance(error, OSError):
        return TransientError("busy", why=str(error), where="there", hint="wait")
    return CredentialsError("no") if isinstance(error, PermissionError | KeyError) else None


class Flaky:
    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "well"


def test_what_passes_is_tried_again() -> None:
    flaky = Flaky(OSError(), OSError(), OSError())
    assert persist(flaky, explain, QUICK) == "well"
    assert flaky.calls == 4


def test_what_does_not_pass_is_told_at_once() -> None:
    flaky = Flaky(KeyError())
    with pytest.raises(CredentialsError):
        persist(flaky, explain, QUICK)
    assert flaky.calls == 1


def test_a_bug_keeps_its_face() -> None:
    with pytest.raises(ZeroDivisionError):
        persist(Flaky(ZeroDivisionError()), explain, QUICK)


def test_patience_ends_and_says_how_long_it_was() -> None:
    began = time.monotonic()
    with pytest.raises(TransientError, match=r"no answer \(tried for \d+ s\)") as caught:
        persist(Flaky(*[OSError("no answer")] * 1000), explain, QUICK)
    assert time.monotonic() - began < 2
    assert (caught.value.where, caught.value.hint) == ("there", "wait")
