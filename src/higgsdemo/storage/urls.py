"""URLs: the spellings we take, and how they are shown without what is secret in them."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/")
_INDEX_SPELLING = re.compile(r"(s3|gs)/([^/]+/.+)", re.DOTALL)
_USER = re.compile(r"(?<=://)([^/@\s]+)@")
_QUERY_VALUE = re.compile(r"([?&;])([^=&;#\s'\"<>]+)=([^&;#\s'\"<>]+)")
# Parameters that let in whoever has them: presigned URLs of S3 and GCS, tokens of XRootD servers
# (`authz`), of WebDAV doors and of web services. Any long value is taken for one too.
_SECRET_NAME = re.compile(
    r"x-(amz|goog)-(signature|credential|security-token)|signature|sig|authz|.*token|.*key(id)?"
    r"|.*secret|.*passw.*|googleaccessid|code",
    re.IGNORECASE,
)
_LONG = 24
HIDDEN = "***"


def scheme_of(text: str) -> str | None:
    """Return the scheme of a URL in lower case; None for a local path."""
    found = _SCHEME.match(text)
    return found[1].lower() if found else None


def normalise(text: str) -> str:
    """Return the URL that `text` means.

    ``s3/BUCKET/path`` and ``gs/BUCKET/path``, the spelling of the 2019 demo's file indexes, are
    buckets unless there is such a local file.
    """
    found = _INDEX_SPELLING.fullmatch(text)
    if found and not os.path.lexists(text):
        return f"{found[1]}://{found[2]}"
    return text


def bucket_and_key(url: str) -> tuple[str, str]:
    """Split ``s3://BUCKET/KEY``. A key is taken as it is: ``%``, ``?`` and ``#`` are letters."""
    bucket, _, key = url.partition("://")[2].partition("/")
    return bucket, key


def origin(url: str) -> tuple[str, str]:
    """Return scheme and host with port: who would see a request's secrets."""
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.rpartition("@")[2].lower()


def redact(text: str) -> str:
    """Return `text`, a URL or a message with URLs in it, with their secrets hidden.

    Hidden are passwords (`user:password@`), a lone user name before an HTTP host (a token often
    stands there), signatures and tokens in the query.
    """

    def user(found: re.Match[str]) -> str:
        before = text[: found.start()].lower()
        lone_name = ":" not in found[1] and not before.endswith(("http://", "https://"))
        return found[0] if lone_name else f"{HIDDEN}@"

    def value(found: re.Match[str]) -> str:
        secret = len(found[3]) >= _LONG or _SECRET_NAME.fullmatch(found[2])
        return f"{found[1]}{found[2]}={HIDDEN}" if secret else found[0]

    return _QUERY_VALUE.sub(value, _USER.sub(user, text))


def has_secret(url: str) -> bool:
    """Whether a URL carries a secret, which has no place in a manifest (promise P6)."""
    # The first look is for speed: a plan has ten thousands of URLs.
    return ("@" in url or "=" in url) and redact(url) != url
