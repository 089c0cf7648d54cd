"""Checksums as catalogues and stores write them: ``adler32:1a2b3c4d``, ``md5:...``."""

from __future__ import annotations

import hashlib
import importlib
import zlib
from collections.abc import Iterable
from typing import Protocol

_SIZES = {"adler32": 8, "crc32": 8, "crc32c": 8, "md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}


class _Sum(Protocol):
    def update(self, data: bytes, /) -> object: ...
    def hexdigest(self) -> str: ...


class _Zlib:
    """Adler-32 or CRC-32 (RFC 1950, RFC 1952)."""

    def __init__(self, kind: str) -> None:
        self._step = zlib.adler32 if kind == "adler32" else zlib.crc32
        self._value = self._step(b"")

    def update(self, data: bytes) -> None:
        self._value = self._step(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


class _Crc32c:
    def __init__(self) -> None:
        self._sum = importlib.import_module("google_crc32c").Checksum()

    def update(self, data: bytes) -> None:
        self._sum.update(data)

    def hexdigest(self) -> str:
        return str(self._sum.digest().hex())


def normal(checksum: str) -> str | None:
    """Return a checksum in lower case and full length; None if it is of no kind known here.

    XRootD and the portal leave leading zeros of an Adler-32 out.
    """
    kind, _, value = checksum.strip().lower().partition(":")
    kind = kind.replace("-", "")
    if kind not in _SIZES or not value or len(value) > _SIZES[kind]:
        return None
    return f"{kind}:{value.zfill(_SIZES[kind])}"


def verifiable(checksums: Iterable[str]) -> dict[str, str]:
    """Return those of `checksums` that can be verified here, by kind."""
    known = dict(one.split(":") for one in map(normal, checksums) if one)
    if "crc32c" in known and not _has_crc32c():
        del known["crc32c"]
    return known


class Sums:
    """Checksums of several kinds of the same bytes."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self._sums = {kind: _new(kind) for kind in kinds}

    def update(self, data: bytes) -> None:
        """Add the next bytes."""
        for one in self._sums.values():
            one.update(data)

    def result(self) -> dict[str, str]:
        """Return the checksums by kind, in hexadecimal."""
        return {kind: one.hexdigest() for kind, one in self._sums.items()}


def _new(kind: str) -> _Sum:
    if kind in ("adler32", "crc32"):
        return _Zlib(kind)
    if kind == "crc32c":
        return _Crc32c()
    return hashlib.new(kind, usedforsecurity=False)


def _has_crc32c() -> bool:
    try:
        importlib.import_module("google_crc32c")
    except ModuleNotFoundError:
        return False
    return True
