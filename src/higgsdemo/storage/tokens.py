"""Bearer tokens and X.509 proxies: where they lie, and when they end."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

from higgsdemo.errors import CredentialsError, UsageError
from higgsdemo.storage.access import Access
from higgsdemo.storage.refusals import Reply
from higgsdemo.storage.urls import redact

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _EXPLICIT_0, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


def bearer_token(access: Access) -> str | None:
    """Return the bearer token of this process, read anew each time: token files are renewed.

    The order of the WLCG Bearer Token Discovery specification (version 1.0): BEARER_TOKEN,
    BEARER_TOKEN_FILE, XDG_RUNTIME_DIR/bt_u$UID, /tmp/bt_u$UID; before them, a mounted secret.
    """
    found = access.secret("bearer-token") or access.get("BEARER_TOKEN")
    if found:
        return found.strip()
    told = access.get("BEARER_TOKEN_FILE")
    runtime = access.get("XDG_RUNTIME_DIR")
    name = f"bt_u{os.geteuid()}"
    places = [Path(told)] if told else []
    places += [Path(runtime, name)] if runtime else []
    places.append(Path("/tmp", name))
    for path in places:
        try:
            # A file of somebody else in a shared folder is not ours to trust.
            if str(path) != told and path.stat().st_uid != os.geteuid():
                continue
            text = path.read_text().strip()
        except FileNotFoundError:
            if str(path) != told:
                continue
            raise CredentialsError(
                "the file of the bearer token is missing",
                where=told,
                hint="get a token, or unset BEARER_TOKEN_FILE",
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise CredentialsError(
                "cannot read the bearer token", why=type(error).__name__, where=str(path)
            ) from None
        if text:
            return text
    return None


class Bearer:
    """A web server that takes bearer tokens; without one, nothing is sent."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._token: str | None = None

    @property
    def hint(self) -> str:
        """What to do about a refusal."""
        if self._token is None:
            return "set BEARER_TOKEN_FILE, or BEARER_TOKEN, to a token for it"
        ends = jwt_expiry(self._token)
        if ends and ends < datetime.now(UTC):
            return f"the token ended at {ends:%Y-%m-%d %H:%M:%S} UTC: get a new one, then resume"
        return "the token is not good for this file: get one with its scope, then resume"

    def address(self, url: str) -> str:
        """Return the URL itself, quoted as HTTP wants it."""
        parts = urlsplit(url)
        if "@" in parts.netloc:
            raise UsageError(
                "a URL with a user name or password in it is not taken",
                why="it would stand in manifests and logs",
                where=redact(url),
                hint="set BEARER_TOKEN_FILE, or BEARER_TOKEN, to a token for the server",
            )
        if not parts.hostname:
            raise UsageError("a URL without a host", where=redact(url))
        return quote(url.partition("#")[0], safe="%/:?&=@+,;!$'()*[]~-._")

    def headers(self, url: str) -> Mapping[str, str]:  # noqa: ARG002 (one token for all)
        """Return the header with the token."""
        self._token = None if self._access.anonymous else bearer_token(self._access)
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def renew(self, reply: Reply) -> bool:
        """Whether the token's file has another one by now."""
        if reply.status not in (401, 403) or self._access.anonymous:
            return False
        return bearer_token(self._access) != self._token


def jwt_expiry(token: str) -> datetime | None:
    """Return when a JSON Web Token ends (claim `exp`, RFC 7519); None if it does not say."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return datetime.fromtimestamp(float(claims["exp"]), UTC)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, binascii.Error):
        return None


def proxy_path(access: Access) -> Path:
    """Return where the X.509 proxy is, or would be."""
    told = access.get("X509_USER_PROXY")
    return Path(told) if told else Path(f"/tmp/x509up_u{os.geteuid()}")


def proxy_expiry(path: Path) -> datetime | None:
    """Return when a proxy ends: the earliest end of the certificates in it. None if there is none.

    Raises CredentialsError for a file that is no proxy.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CredentialsError(
            "cannot read the X.509 proxy", why=error.strerror, where=str(path)
        ) from error
    try:
        return min(_not_after(base64.b64decode(found)) for found in _PEM.findall(content))
    except (ValueError, IndexError) as error:
        raise CredentialsError(
            "not an X.509 proxy", where=str(path), hint="make a new one: voms-proxy-init"
        ) from error


def _not_after(certificate: bytes) -> datetime:
    """Return the end of a certificate's validity (RFC 5280, section 4.1)."""
    _, body, _ = _element(certificate, 0)
    _, body, _ = _element(certificate, body)  # the part that is signed
    kind, _, after = _element(certificate, body)
    at = after if kind == _EXPLICIT_0 else body  # the version may be left out
    for _ in range(3):  # serial number, algorithm, issuer
        at = _element(certificate, at)[2]
    kind, at, _ = _element(certificate, at)
    if kind != _SEQUENCE:
        raise ValueError("no validity")
    at = _element(certificate, at)[2]
    kind, start, stop = _element(certificate, at)
    text = certificate[start:stop].decode("ascii")
    if kind == _UTC_TIME:  # two digits of the year: 1950 to 2049
        text = ("19" if text[:2] >= "50" else "20") + text
    elif kind != _GENERALIZED_TIME:
        raise ValueError("no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """Return the kind of a DER element, and where its content starts and stops."""
    kind, length, at = data[at], data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(data[at : at + count], "big")
        at += count
    if at + length > len(data):
        raise ValueError("cut short")
    return kind, at, at + length
