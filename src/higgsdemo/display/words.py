"""Text for terminals: words for causes, numbers for people, and names that others chose."""

from __future__ import annotations

CAUSES = {
    "transient": "network or server trouble",
    "bad-input": "file cannot be read",
    "resources": "not enough memory",
    "preempted": "taken away by the engine",
    "lost": "ended without a result",
    "credentials": "not let in",
    "bug": "mistake in the code",
}
"""What the causes of failures (`errors.Cause`) mean."""

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def plain(text: str, *, lines: bool = False) -> str:
    """Return text that others wrote, without what moves a terminal's cursor or changes colours.

    `lines` keeps the ends of lines and tabs.
    """
    kept = "\n\t" if lines else ""
    return "".join(
        letter if letter.isprintable() or letter in kept else "\N{REPLACEMENT CHARACTER}"
        for letter in text
    )


def first_line(text: str, most: int = 300) -> str:
    """Return the first line of a message, plain and of bounded length."""
    line = plain(text[: 4 * most].strip().partition("\n")[0].strip())
    return line if len(line) <= most else line[: most - 1] + "…"


def quantity(value: float, unit: str) -> str:
    """Write a number to three digits with a metric prefix: `1.25 Mevents/s`, `340 B/s`."""
    for factor, prefix in _PREFIXES:
        if value >= 0.9995 * factor:
            return f"{_three(value / factor)} {prefix}{unit}"
    return f"{_three(value)} {unit}"


def short(value: float) -> str:
    """Write a count in few characters: `940`, `12.3k`, `1.25M`."""
    for factor, prefix in _PREFIXES:
        if value >= 0.9995 * factor:
            return f"{_three(value / factor)}{prefix}"
    return f"{value:.0f}"


def _three(value: float) -> str:
    said = f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"
    return said.removesuffix(".00")
