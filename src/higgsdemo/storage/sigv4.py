"""AWS Signature Version 4 of a request.

Source: AWS, "Create a signed AWS API request" (Signature Version 4 for S3: paths are encoded
once). Google's XML interface takes the same with HMAC keys.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

EMPTY = hashlib.sha256(b"").hexdigest()
_UNRESERVED = "-_.~"


@dataclass(frozen=True)
class Keys:
    """A key pair; its repr shows no secret. `expires` is when a session ends, where known."""

    access: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires: datetime | None = None


def sign(
    method: str,
    url: str,
    keys: Keys,
    region: str,
    *,
    headers: Mapping[str, str] | None = None,
    payload_sha256: str = EMPTY,
    now: datetime | None = None,
) -> dict[str, str]:
    """Return the headers that sign a request to S3, those in `headers` signed and included.

    The path of `url` is quoted already.
    """
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    parts = urlsplit(url)
    signed = {name.lower(): " ".join(value.split()) for name, value in (headers or {}).items()}
    signed |= {
        "host": parts.netloc.rpartition("@")[2],
        "x-amz-content-sha256": payload_sha256,
        "x-amz-date": stamp,
    }
    if keys.token:
        signed["x-amz-security-token"] = keys.token
    names = ";".join(sorted(signed))
    query = "&".join(
        f"{quote(name, safe=_UNRESERVED)}={quote(value, safe=_UNRESERVED)}"
        for name, value in sorted(parse_qsl(parts.query, keep_blank_values=True))
    )
    canonical = "\n".join(
        (
            method,
            parts.path or "/",
            query,
            *(f"{name}:{signed[name]}" for name in sorted(signed)),
            "",
            names,
            payload_sha256,
        )
    )
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    to_sign = "\n".join(
        ("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest())
    )
    signature = _mac(_signing_key(keys.secret, scope), to_sign).hex()
    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.access}/{scope}, SignedHeaders={names}, "
        f"Signature={signature}"
    )
    return signed


@functools.lru_cache(maxsize=8)
def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for text in scope.split("/"):
        key = _mac(key, text)
    return key


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
