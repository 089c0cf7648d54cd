"""What an error looks like."""

import pytest

from higgsdemo.cli.parts.console import print_json, say_error
from higgsdemo.errors import UsageError


def test_an_error_shows_all_it_knows(capsys: pytest.CaptureFixture[str]) -> None:
    say_error(
        UsageError("no [bold] set", why="so", where="/a/b", nearest=["x", "y"], hint="do: this")
    )
    assert capsys.readouterr().err.splitlines() == [
        "error: no [bold] set",
        "  where: /a/b",
        "  why: so",
        "  did you mean: x, y",
        "  what to do: do: this",
    ]


def test_json_goes_out_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": "[red]x[/]"})
    assert capsys.readouterr().out == '{\n "a": "[red]x[/]"\n}\n'
