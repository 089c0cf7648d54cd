"""The one door: a URL goes in, a `Source` comes out."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from urllib.parse import unquote, urlsplit

from higgsdemo.errors import UsageError, nearest
from higgsdemo.storage.local import LocalSource
from higgsdemo.storage.source import Source

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/")


def open_source(url: str | os.PathLike[str]) -> Source:
    """Open the bytes behind a local path or a URL.

    Raises
    ------
    UsageError
        The scheme of the URL is not one of `SCHEMES`.
    InputError
        The file is missing, is a folder, or may not be read.
    TransientError
        The storage failed in a way that may pass.
    """
    text = os.fspath(url)
    scheme = _SCHEME.match(text)
    if scheme is None:
        return LocalSource(text)
    opener = SCHEMES.get(scheme[1].lower())
    if opener is None:
        raise UsageError(
            f"unknown kind of URL: {scheme[1]}://",
            where=text,
            nearest=nearest(scheme[1], SCHEMES),
            hint=f"known are local paths and {', '.join(f'{name}://' for name in SCHEMES)}",
        )
    return opener(text)


def _open_file(url: str) -> Source:
    """Open `file:///path`, `file://localhost/path` or `file:/path` (RFC 8089)."""
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise UsageError(
            "a file:// URL names a file of this host",
            where=url,
            hint=f"write file:///{parts.netloc}{parts.path}, with three slashes",
        )
    # '?' and '#' are ordinary characters in a file name.
    path = re.sub(r"^file:(//(localhost)?)?", "", url, flags=re.IGNORECASE)
    return LocalSource(unquote(path), url)


SCHEMES: Mapping[str, Callable[[str], Source]] = {"file": _open_file}
"""What opens the URLs of each scheme."""
