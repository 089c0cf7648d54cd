"""What the pages say is true of the tree and of the program."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import higgsdemo
from higgsdemo.cli.main import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]


def commands() -> list[tuple[str, str]]:
    """All command lines in the pages: `$ higgsdemo ...`, continued lines joined."""
    found = []
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        found += [
            (str(page.relative_to(ROOT)), line)
            for line in re.findall(r"^\$ (higgsdemo .*)$", text, re.MULTILINE)
        ]
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_commands_in_the_pages_exist(page: str, line: str) -> None:
    first = re.split(r"\s(?:&&|\|\||[|>])\s", line)[0]
    words = shlex.split(first, comments=True)[1:]
    command: Any = typer.main.get_command(app)
    context = typer.Context(command, info_name="higgsdemo")
    while hasattr(command, "list_commands") and words and not words[0].startswith("-"):
        name = words.pop(0)
        command = command.get_command(context, name)
        assert command is not None, f"{page}: no command {name!r}"
        context = typer.Context(command, info_name=name, parent=context)
    known = {
        name for one in command.get_params(context) for name in (*one.opts, *one.secondary_opts)
    }
    asked = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert asked <= known, f"{page}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_named_in_the_pages_exist(page: Path) -> None:
    pattern = r"`((?:tests|src/higgsdemo|scripts|benchmarks|docs)/[\w./-]+)`"
    named = set(re.findall(pattern, page.read_text()))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_part_says_the_same_version_and_licence() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == higgsdemo.__version__
    assert citation["license"] == project["license"]
    assert higgsdemo.__version__ in (ROOT / "CHANGELOG.md").read_text()


def test_pre_commit_fetches_nothing() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert {repository["repo"] for repository in config["repos"]} == {"local"}
