"""When what lets us in will end, so that it can be said before a run and not in its middle."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from higgsdemo.errors import CredentialsError
from higgsdemo.storage.access import Access
from higgsdemo.storage.aws import S3
from higgsdemo.storage.tokens import bearer_token, jwt_expiry, proxy_expiry, proxy_path
from higgsdemo.storage.urls import normalise, redact, scheme_of


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


@dataclass(frozen=True)
class Ending:
    """What lets us in at `place` (scheme and host, or bucket) ends at `when`, UTC."""

    place: str
    when: datetime


def endings(files: Iterable[Sequence[str]], access: Access) -> tuple[list[Ending], list[str]]:
    """Return what will end, soonest first, and what is wrong already, for the copies of files.

    Each place is looked at once, and nothing is asked of it. Raises CredentialsError where there
    are no credentials for the only copy of a file; not for root://, as a proxy that lies about
    and is damaged is no matter for a server that wants none.
    """
    found: dict[str, datetime | None] = {}
    wrong: dict[str, CredentialsError] = {}
    for copies in files:
        for url in copies:
            place = "/".join(url.split("/", 3)[:3])
            if place in found or place in wrong or scheme_of(url) is None:
                continue
            try:
                found[place] = expires(url, access)
            except CredentialsError as error:
                wrong[place] = error
                if len(copies) == 1 and "root" not in place.partition(":")[0]:
                    raise
    ends = [Ending(redact(place), when) for place, when in found.items() if when is not None]
    told = [
        f"{redact(place)}: {error.what}{f' ({error.where})' if error.where else ''}"
        for place, error in wrong.items()
    ]
    return sorted(ends, key=lambda one: one.when), told
