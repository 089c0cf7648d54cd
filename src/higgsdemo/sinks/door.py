"""The one door: the URL of a sink goes in, a `Sink` comes out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from higgsdemo.errors import UsageError, nearest
from higgsdemo.sinks.protocol import Sink
from higgsdemo.sinks.retry import Patience
from higgsdemo.storage.access import Access
from higgsdemo.storage.patience import upload_rate
from higgsdemo.storage.urls import bucket_and_key, redact, scheme_of

BESIDE_A_RECORD = Patience(total_s=5.0, longest_s=1.0)


def open_sink(url: str, *, access: Access | None = None, patience: Patience | None = None) -> Sink:
    """Open `file://FOLDER`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `redis://` or `rediss://`.

    Credentials come from `access` (the environment). Nothing is asked of the store yet.

    Raises
    ------
    UsageError
        the URL is of no such kind, or makes no sense; or a package is missing
    CredentialsError
        the credentials make no sense
    """
    scheme = scheme_of(url)
    opener = _OPENERS.get(scheme or "")
    if opener is None:
        raise UsageError(
            f"unknown kind of sink: {scheme}://" if scheme else "a sink is named by a URL",
            where=redact(url),
            nearest=[f"{name}://" for name in nearest(scheme or "file", _OPENERS)],
            hint=f"known are {', '.join(f'{name}://' for name in _OPENERS)}",
        )
    return opener(url, access or Access.from_environment(), patience or Patience())


def open_sinks(urls: Sequence[str], *, access: Access | None = None) -> list[Sink]:
    """Open sinks that serve one run together, records first. Errors as of `open_sink`.

    A bus beside a record is not waited for as long: what it loses, the record has.
    """
    names = sorted(dict.fromkeys(urls), key=_is_bus)
    patience = BESIDE_A_RECORD if names and not _is_bus(names[0]) else None
    return [
        open_sink(url, access=access, patience=patience if _is_bus(url) else None) for url in names
    ]


def _is_bus(url: str) -> bool:
    return scheme_of(url) in ("redis", "rediss")


def _open_folder(url: str, access: Access, patience: Patience) -> Sink:
    from higgsdemo.sinks.folder import FolderSink

    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise UsageError(
            "a file:// URL names a folder of this host",
            where=url,
            hint=f"write file:///{parts.netloc}{parts.path}, with three slashes",
        )
    path = Path(unquote(re.sub(r"^file:(//(localhost)?)?", "", url, flags=re.IGNORECASE)))
    return FolderSink(path, path.as_uri(), patience, upload_rate(access))


def _open_bucket(url: str, access: Access, patience: Patience) -> Sink:
    from higgsdemo.sinks.bucket import BucketSink
    from higgsdemo.storage.buckets import bucket_store

    bucket, prefix = bucket_and_key(url)
    if not bucket:
        raise UsageError("there is no bucket in the URL", where=url, hint="e.g. s3://bucket/prefix")
    scheme, prefix = url.partition(":")[0].lower(), prefix.strip("/")
    shown = "/".join(filter(None, (f"{scheme}://{bucket}", prefix)))
    store = bucket_store(scheme, bucket, access, shown)
    return BucketSink(store, prefix, shown, patience, upload_rate(access))


def _open_stream(url: str, access: Access, patience: Patience) -> Sink:
    from higgsdemo.sinks.stream import StreamSink

    return StreamSink(url, access, patience)


_OPENERS: dict[str, Callable[[str, Access, Patience], Sink]] = {
    "file": _open_folder,
    "s3": _open_bucket,
    "gs": _open_bucket,
    "redis": _open_stream,
    "rediss": _open_stream,
}
