"""Where pods may run, from the words of a command line."""

from __future__ import annotations

import re
from collections.abc import Iterable

from higgsdemo.errors import UsageError, nearest

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_KEY = re.compile(r"([a-z0-9.-]+/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def read_toleration(text: str) -> dict[str, str]:
    """Read ``KEY[=VALUE][:EFFECT]``; without a value, any value. Raises UsageError."""
    rest, colon, effect = text.partition(":")
    key, equals, value = rest.partition("=")
    if not _KEY.fullmatch(key):
        raise UsageError(
            f"not a toleration: {text!r}",
            hint="write KEY, KEY=VALUE or KEY=VALUE:EFFECT, e.g. "
            "cloud.google.com/gke-spot=true:NoSchedule",
        )
    if colon and effect not in _EFFECTS:
        raise UsageError(
            f"a taint has no effect {effect!r}",
            where=f"toleration {text!r}",
            nearest=nearest(effect, _EFFECTS),
            hint=f"there are: {', '.join(_EFFECTS)}",
        )
    said = {"key": key, "operator": "Equal" if equals else "Exists"}
    if equals:
        said["value"] = value
    if effect:
        said["effect"] = effect
    return said


def read_node_selector(texts: Iterable[str]) -> dict[str, str] | None:
    """Read labels ``KEY=VALUE``; None if there are none. Raises UsageError."""
    chosen: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not _KEY.fullmatch(key):
            raise UsageError(
                f"not a label of nodes: {text!r}", hint="write KEY=VALUE, e.g. type=highmem"
            )
        chosen[key] = value
    return chosen or None
