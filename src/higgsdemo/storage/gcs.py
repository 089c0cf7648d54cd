"""Google Cloud Storage through its XML interface: tokens of Google, HMAC keys, or nobody."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from higgsdemo.errors import CredentialsError, UsageError
from higgsdemo.storage.access import Access
from higgsdemo.storage.extras import optional
from higgsdemo.storage.refusals import Reply
from higgsdemo.storage.sigv4 import Keys, sign
from higgsdemo.storage.urls import bucket_and_key

GOOGLE = "https://storage.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"
_HMAC_REGION = "auto"
NO_CREDENTIALS = (
    "set GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`; or "
    "--anonymous (HIGGSDEMO_ANONYMOUS=1) for a public bucket"
)


class Gcs:
    """Google Cloud Storage, or the emulator that STORAGE_EMULATOR_HOST names.

    HMAC keys (given to us, or GS_ACCESS_KEY_ID and GS_SECRET_ACCESS_KEY) come before the
    application default credentials of google-auth.
    """

    hint = "ask the owner of the bucket, or choose another account"

    def __init__(self, access: Access) -> None:
        self._access = access
        self._emulator = access.get("STORAGE_EMULATOR_HOST")
        self._lock = threading.Lock()
        self._credentials: Any = None

    def address(self, url: str) -> str:
        """Return the http(s):// address of ``gs://BUCKET/KEY``."""
        bucket, key = bucket_and_key(url)
        if not bucket or not key:
            raise UsageError("not a file: a gs:// URL is gs://BUCKET/KEY", where=url)
        host = self._emulator or GOOGLE
        endpoint = (host if "://" in host else f"http://{host}").rstrip("/")
        return f"{endpoint}/{bucket}/{quote(key, safe='/-_.~')}"

    def headers(self, url: str) -> Mapping[str, str]:
        """Return the headers that say who we are."""
        if self._access.anonymous:
            return {}
        keys = self._hmac()
        if keys is not None:
            signed = sign("GET", url, keys, _HMAC_REGION)
            del signed["host"]
            return signed
        if self._emulator:
            return {}
        return {"Authorization": f"Bearer {self._token()}"}

    def renew(self, reply: Reply) -> bool:
        """Get a new token where one was refused."""
        with self._lock:
            if reply.status != 401 or self._credentials is None:
                return False
            self._credentials.token = None
            return True

    def _hmac(self) -> Keys | None:
        if given := self._access.keys():
            return Keys(given[0], given[1])
        key = self._access.get("GS_ACCESS_KEY_ID")
        secret = self._access.get("GS_SECRET_ACCESS_KEY")
        return Keys(key, secret) if key and secret else None

    def _token(self) -> str:
        auth = optional("google.auth", "gcs", "Google's credentials")
        with self._lock:
            try:
                if self._credentials is None:
                    self._credentials = auth.default(scopes=[_SCOPE])[0]
                if not self._credentials.valid:
                    self._credentials.refresh(_ask)
                return str(self._credentials.token)
            except auth.exceptions.GoogleAuthError as error:
                raise CredentialsError(
                    "no credentials for gs://",
                    why=self._access.scrub(str(error.args[0] if error.args else error)),
                    hint=NO_CREDENTIALS,
                ) from None


class _Answer:
    """An answer as google-auth wants it (google.auth.transport.Response)."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status, self.headers, self.data = status, headers, data


def _ask(
    url: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    **_: Any,
) -> _Answer:
    """Make google-auth's requests with the standard library (google.auth.transport.Request)."""
    if not url.startswith(("https://", "http://")):
        raise UsageError("not a web address to get tokens from", where=url)
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout or 30) as answer:
            return _Answer(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return _Answer(error.code, dict(error.headers), error.read())
    except OSError as error:
        exceptions = optional("google.auth.exceptions", "gcs", "Google's credentials")
        raise exceptions.TransportError(str(error)) from error
