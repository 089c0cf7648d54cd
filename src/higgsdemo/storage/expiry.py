"""When what lets us in will end, so that it can be said before a run and not in its middle."""

from __future__ import annotations

from datetime import datetime

from higgsdemo.storage.access import Access
from higgsdemo.storage.aws import S3
from higgsdemo.storage.tokens import bearer_token, jwt_expiry, proxy_expiry, proxy_path
from higgsdemo.storage.urls import normalise, scheme_of


def expires(url: str, access: Access | None = None) -> datetime | None:
    """Return when the credentials for a URL end (UTC); None if they do not, or do not say.

    For root://, which may take a token or a proxy, it is what ends first. Google's tokens are
    renewed as long as a run lasts. Raises CredentialsError where there are none, or they cannot
    be read.
    """
    chosen = access or Access.from_environment()
    scheme = scheme_of(normalise(url))
    if chosen.anonymous:
        return None
    ends: list[datetime | None] = []
    if scheme == "s3":
        ends.append(S3(chosen).keys().expires)
    elif scheme in ("http", "https", "root", "roots", "xroot", "xroots"):
        token = bearer_token(chosen)
        ends.append(jwt_expiry(token) if token else None)
        if scheme not in ("http", "https"):
            ends.append(proxy_expiry(proxy_path(chosen)))
    return min((end for end in ends if end is not None), default=None)
