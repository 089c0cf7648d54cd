"""The directive `commands`: the command reference, read from the program itself.

It asks the very objects that print `--help`, so the pages cannot differ from the program.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from higgsdemo.cli.main import app as program

_BOLD = re.compile(r"\[bold\](.*?)\[/(?:bold)?\]")
_MARKUP = re.compile(r"\[/?[a-z ]*\](?!\()")
_EXAMPLE = re.compile(r"^(\*\*Examples?\*\*:?)\s+(higgsdemo .*)$")


def _prose(text: str) -> Iterator[str]:
    """Turn help in Rich markup into Markdown, examples as code."""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        lines = [_MARKUP.sub("", _BOLD.sub(r"**\1**", line)) for line in paragraph.splitlines()]
        if all(line.startswith("  ") for line in lines):
            yield "\n".join(["```console", *(f"$ {line.strip()}" for line in lines), "```"])
        elif found := _EXAMPLE.match(" ".join(lines)):
            yield f"**Example**\n\n```console\n$ {found[2]}\n```"
        else:
            yield "\n".join(lines)
        yield ""


def _parameters(command: Any, context: Any, kind: str) -> Iterator[str]:
    """A definition list of the arguments or options."""
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if parameter.param_type_name == kind and record is not None:
            name, said = record
            yield f"`{name}`"
            yield f": {' '.join(_prose(said)).strip() or '(no description)'}"
            yield ""


def reference(command: Any, context: Any, level: int = 2) -> Iterator[str]:
    """Return the Markdown lines on a command and all below it."""
    below = [command.get_command(context, name) for name in _names(command, context)]
    yield f"{'#' * level} `{context.command_path}`"
    yield ""
    yield from _prose(command.help or "")
    yield "```text"
    yield f"{context.command_path} {' '.join(command.collect_usage_pieces(context))}"
    yield "```"
    yield ""
    yield from _parameters(command, context, "argument")
    yield from _parameters(command, context, "option")
    for each in below:
        inner = typer.Context(each, info_name=each.name, parent=context)
        yield from reference(each, inner, level + 1)


def _names(command: Any, context: Any) -> list[str]:
    return list(command.list_commands(context)) if hasattr(command, "list_commands") else []


class Commands(SphinxDirective):
    """`commands`: all of them."""

    def run(self) -> list[nodes.Node]:
        command = typer.main.get_command(program)
        context = typer.Context(command, info_name="higgsdemo")
        text = "\n".join(reference(command, context))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
