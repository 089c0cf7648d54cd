"""AWS Signature Version 4 of a request, with the standard library alone.

So a server can be asked whether it is ready, and given buckets, without any S3 client installed.
Source: "Signature Version 4 signing process", AWS General Reference.
"""

import hashlib
import hmac
import ssl
import urllib.error
import urllib.request
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

REGION = "us-east-1"


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def sign(
    method: str, url: str, body: bytes, access_key: str, secret_key: str, now: datetime
) -> dict[str, str]:
    """Return the headers that sign a request; its URL is quoted, and has no query."""
    parts = urlsplit(url)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "host": parts.netloc,
        "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
        "x-amz-date": stamp,
    }
    names = ";".join(headers)
    canonical = "\n".join(
        (
            method,
            parts.path,
            "",
            *(f"{name}:{value}" for name, value in headers.items()),
            "",
            names,
            headers["x-amz-content-sha256"],
        )
    )
    scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"
    to_sign = "\n".join(
        ("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest())
    )
    key = f"AWS4{secret_key}".encode()
    for text in scope.split("/"):
        key = _mac(key, text)
    credential = f"{access_key}/{scope}"
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, "
        f"Signature={_mac(key, to_sign).hex()}"
    )
    return headers


def request(
    method: str,
    endpoint: str,
    path: str,
    access_key: str,
    secret_key: str,
    body: bytes = b"",
    context: ssl.SSLContext | None = None,
) -> tuple[int, bytes]:
    """Send a signed request for `/BUCKET/KEY`; return the status, whatever it is, and the body."""
    url = endpoint + quote(path, safe="/-_.~")
    headers = sign(method, url, body, access_key, secret_key, datetime.now(UTC))
    asked = urllib.request.Request(url, data=body or None, headers=headers, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=5, context=context) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
