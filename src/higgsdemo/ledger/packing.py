"""Documents as the ledger stores them: JSON, deflated (zlib's format, any zlib reads it)."""

from __future__ import annotations

import importlib
import zlib
from typing import Any

from higgsdemo.model.text import parse_json

_fastest: Any
try:
    _fastest = importlib.import_module("isal.isal_zlib")
except ImportError:  # no wheel for this machine: a third of the speed
    _fastest = zlib

_DAMAGED = (TypeError, zlib.error, getattr(_fastest, "IsalError", zlib.error))


def deflate(text: bytes) -> bytes:
    """Return the text, deflated."""
    packed: bytes = _fastest.compress(text, 1)
    return packed


def unpack(packed: bytes) -> dict[str, Any]:
    """Return the document that was deflated; ValueError if it is damaged."""
    try:
        document: dict[str, Any] = parse_json(_fastest.decompress(packed))
    except _DAMAGED as error:
        raise ValueError(str(error)) from error
    return document
