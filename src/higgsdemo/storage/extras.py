"""Packages that only some kinds of storage need, imported when the first file asks for them."""

from __future__ import annotations

import importlib
from typing import Any

from higgsdemo.errors import UsageError


def optional(module: str, extra: str, where: str) -> Any:
    """Import a module of an extra. Raises UsageError, which says how to install it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # A package that is there but lacks one of its own is broken: that is another matter.
        if error.name is None or not (module + ".").startswith(error.name + "."):
            raise
        raise UsageError(
            f"a package is missing: {error.name}",
            where=where,
            hint=f"install it: pip install 'higgsdemo[{extra}]'",
        ) from error
