"""Sample sets: what is analysed, and the numbers that normalise it.

Workers import `higgsdemo.catalog.certification` and must start fast, so what needs pydantic
and YAML is imported when it is first asked for (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from higgsdemo.catalog.builtin import builtin_names
    from higgsdemo.catalog.checks import Finding, check_set
    from higgsdemo.catalog.filters import filter_set
    from higgsdemo.catalog.load import load_set
    from higgsdemo.catalog.summary import (
        SampleSummary,
        SetSummary,
        list_sets,
        summarise_samples,
        summarise_set,
        to_json,
    )

__all__ = [
    "Finding",
    "SampleSummary",
    "SetSummary",
    "builtin_names",
    "check_set",
    "filter_set",
    "list_sets",
    "load_set",
    "summarise_samples",
    "summarise_set",
    "to_json",
]

_HOMES = {
    "Finding": "checks",
    "SampleSummary": "summary",
    "SetSummary": "summary",
    "builtin_names": "builtin",
    "check_set": "checks",
    "filter_set": "filters",
    "list_sets": "summary",
    "load_set": "load",
    "summarise_samples": "summary",
    "summarise_set": "summary",
    "to_json": "summary",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
