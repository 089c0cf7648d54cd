"""The program: help, version, wrong words."""

from typing import Any

import pytest

import higgsdemo as package

COMMANDS = ("run", "plan", "resume", "status", "plot", "yields", "samples", "generate")


def test_version(higgsdemo: Any) -> None:
    assert higgsdemo("--version").out == f"higgsdemo {package.__version__}\n"


def test_help_names_every_command(higgsdemo: Any) -> None:
    said = higgsdemo("--help")
    assert said.status == 0
    assert all(command in said.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(higgsdemo: Any, command: str) -> None:
    said = higgsdemo(command, "--help")
    assert said.status == 0
    assert len(said.out) > 300


def test_no_words_show_the_help_and_fail(higgsdemo: Any) -> None:
    assert higgsdemo().status == 2


def test_an_unknown_command_or_option_is_wrong_usage(higgsdemo: Any) -> None:
    assert higgsdemo("rum").status == 2
    said = higgsdemo("run", "x", "--worker", "2")
    assert said.status == 2
    assert "--workers" in said.err
