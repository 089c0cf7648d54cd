"""The one door: a URL goes in, a `Source` comes out."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from higgsdemo.errors import UsageError, nearest
from higgsdemo.storage.access import Access, StageIn
from higgsdemo.storage.local import LocalSource
from higgsdemo.storage.source import Source
from higgsdemo.storage.urls import normalise, redact, scheme_of

if TYPE_CHECKING:
    from higgsdemo.storage.aws import S3
    from higgsdemo.storage.gcs import Gcs
    from higgsdemo.storage.remote import Remote


def open_source(
    url: str | os.PathLike[str],
    *,
    checksum: str | None = None,
    size_bytes: int | None = None,
    replicas: Sequence[str] = (),
    whole: bool = False,
    access: Access | None = None,
) -> Source:
    """Open the bytes behind a local path or a URL.

    Files elsewhere are streamed, or staged in first where `Access.stage_in` says so, or who asks
    needs a `whole` file: then in the folder for temporary files (TMPDIR), and the source has a
    `path`, good as long as it is open. `size_bytes` and `checksum` (``adler32:1a2b3c4d``) are
    those of the catalogue: a remote file of another size is refused, a staged one of another
    checksum too. `replicas` are further copies, tried in this order where one fails. `access` is
    the environment's unless given.

    Raises
    ------
    UsageError
        The scheme of the URL is not one of `SCHEMES`, or a package for it is missing.
    InputError
        The file is missing, is a folder, may not be read, or has another size or checksum.
    CredentialsError
        We are not let in, or cannot trust who answers.
    TransientError
        The storage failed in a way that may pass.
    """
    if replicas:
        from higgsdemo.storage.replicas import ReplicatedSource

        one = functools.partial(
            open_source, checksum=checksum, size_bytes=size_bytes, whole=whole, access=access
        )
        return ReplicatedSource([os.fspath(url), *replicas], one)
    text = normalise(os.fspath(url))
    scheme = check_scheme(text)
    if scheme is None:
        return LocalSource(text)
    opener = SCHEMES[scheme]
    if opener is None:
        return _open_file(text)
    from higgsdemo.storage.remote import RemoteSource
    from higgsdemo.storage.wire import wire

    chosen = access or Access.from_environment()
    remote, pool = opener(text, chosen), wire(chosen).pool
    if chosen.stage_in is None and whole:
        import tempfile

        chosen = dataclasses.replace(chosen, stage_in=StageIn(Path(tempfile.gettempdir())))
    if chosen.stage_in is None:
        return RemoteSource(remote, chosen, pool, size_bytes=size_bytes)
    from higgsdemo.storage.stage import StagedSource

    return StagedSource(remote, chosen, pool, size_bytes=size_bytes, checksum=checksum)


def check_scheme(url: str) -> str | None:
    """Return the scheme of a URL, None for a path. Raises UsageError if nothing here opens it."""
    scheme = scheme_of(url)
    if scheme is not None and scheme not in SCHEMES:
        raise UsageError(
            f"unknown kind of URL: {scheme}://",
            where=redact(url),
            nearest=[f"{name}://" for name in nearest(scheme, SCHEMES)],
            hint=f"known are local paths and {', '.join(f'{name}://' for name in SCHEMES)}",
        )
    return scheme


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


def _web(url: str, access: Access) -> Remote:
    from higgsdemo.storage.tokens import Bearer
    from higgsdemo.storage.web import WebFile
    from higgsdemo.storage.wire import wire

    return WebFile(url, wire(access), Bearer(access))


@functools.lru_cache(maxsize=8)
def _s3_of(access: Access) -> S3:
    from higgsdemo.storage.aws import S3

    return S3(access)


@functools.lru_cache(maxsize=8)
def _gcs_of(access: Access) -> Gcs:
    from higgsdemo.storage.gcs import Gcs

    return Gcs(access)


def _s3(url: str, access: Access) -> Remote:
    from higgsdemo.storage.web import WebFile
    from higgsdemo.storage.wire import wire

    return WebFile(url, wire(access), _s3_of(access))


def _gs(url: str, access: Access) -> Remote:
    from higgsdemo.storage.web import WebFile
    from higgsdemo.storage.wire import wire

    return WebFile(url, wire(access), _gcs_of(access))


def _root(url: str, access: Access) -> Remote:
    from higgsdemo.storage.wire import wire
    from higgsdemo.storage.xrootd import XrootdFile

    return XrootdFile(url, access, wire(access).rate)


SCHEMES: Mapping[str, Callable[[str, Access], Remote] | None] = {
    "file": None,
    "s3": _s3,
    "gs": _gs,
    "root": _root,
    "xroot": _root,
    "roots": _root,
    "xroots": _root,
    "http": _web,
    "https": _web,
}
"""The schemes of URLs, each with what opens it remotely. Nothing is imported before it is used."""
