"""The error tree: messages in full, exit statuses, and a way through pickle."""

import copy
import inspect
import pickle
from collections.abc import Callable

import pytest

from higgsdemo import errors
from higgsdemo.errors import (
    Cause,
    CredentialsError,
    HiggsdemoError,
    InputError,
    ResourcesError,
    RunError,
    TaskError,
    TransientError,
    UsageError,
    nearest,
)

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, HiggsdemoError)
]


def full(kind: type[HiggsdemoError]) -> HiggsdemoError:
    return kind(
        "the file is truncated",
        why="it ends after 10 bytes",
        where="a.root",
        nearest=["b.root", "c.root"],
        hint="copy it again",
    )


def test_message_says_what_where_why_nearest_and_what_to_do() -> None:
    assert str(full(InputError)).splitlines() == [
        "the file is truncated",
        "  where: a.root",
        "  why: it ends after 10 bytes",
        "  did you mean: b.root, c.root",
        "  what to do: copy it again",
    ]


def test_message_leaves_out_what_is_not_known() -> None:
    assert str(HiggsdemoError("it failed")) == "it failed"
    assert HiggsdemoError("it failed", hint="try again").lines() == [
        "it failed",
        "what to do: try again",
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy])
def test_errors_cross_process_borders_whole(
    kind: type[HiggsdemoError], way: Callable[[HiggsdemoError], HiggsdemoError]
) -> None:
    again = way(full(kind))
    assert type(again) is kind
    assert again.lines() == full(kind).lines()
    assert again.nearest == ("b.root", "c.root")
    assert again.args == ("the file is truncated",)


def test_nearest_may_be_an_iterator() -> None:
    error = HiggsdemoError("x", nearest=(name for name in ("a", "b")))
    assert error.nearest == ("a", "b")
    assert error.lines()[1] == "did you mean: a, b"


@pytest.mark.parametrize("kind", KINDS)
def test_exit_status_is_2_for_wrong_usage_and_1_for_the_rest(kind: type[HiggsdemoError]) -> None:
    assert kind.exit_code == (2 if issubclass(kind, UsageError) else 1)


def test_causes_of_declared_failures() -> None:
    assert InputError.cause is Cause.BAD_INPUT
    assert TransientError.cause is Cause.TRANSIENT
    assert ResourcesError.cause is Cause.RESOURCES
    assert CredentialsError.cause is Cause.CREDENTIALS
    assert issubclass(InputError, TaskError)
    assert not issubclass(RunError, TaskError)
    assert not issubclass(UsageError, TaskError)


def test_causes_are_the_words_of_the_design() -> None:
    # They are in ledgers: not to be renamed.
    assert [str(cause) for cause in Cause] == [
        "transient",
        "bad-input",
        "resources",
        "preempted",
        "lost",
        "credentials",
        "bug",
    ]


def test_nearest_names() -> None:
    known = ["ZZTo4mu", "ZZTo4e", "ZZTo2e2mu", "DYJetsToLL", "TTbar"]
    assert nearest("zzto4mu", known)[0] == "ZZTo4mu"
    assert nearest("ZZTo4m", known)[0] == "ZZTo4mu"
    assert nearest("DYJets", known) == ["DYJetsToLL"]
    assert nearest("qqqq", known) == []
    assert nearest("ZZ", []) == []
    assert len(nearest("ZZTo4", [f"ZZTo4{i}" for i in range(9)], count=2)) == 2
