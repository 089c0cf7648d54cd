"""What a web or object store says when it refuses, and whose fault that is."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from higgsdemo.errors import CredentialsError, InputError, TaskError, TransientError
from higgsdemo.storage.patience import PassingError

_BUSY = {408, 425, 429, 500, 502, 503, 504, 509, 522, 524}
_CODE = re.compile(r"<Code>([\w.]{1,80})</Code>")
_MESSAGE = re.compile(r"<Message>([^<]{1,300})</Message>")
_CHALLENGE = re.compile(r'error_description="([^"]{1,200})"')
_PASSING_CODES = {"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "Throttling"}
_WRONG_KEYS = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile, of this endpoint"
# The codes of S3, which GCS and all others took over: what it means, what to do.
_LOCKED_OUT = {
    "InvalidAccessKeyId": ("the access key is not known there", _WRONG_KEYS),
    "SignatureDoesNotMatch": ("the secret key is wrong", _WRONG_KEYS),
    "ExpiredToken": ("the session token has expired", "get new credentials, then resume the run"),
    "TokenRefreshRequired": ("the session token has expired", "get new credentials, then resume"),
    "InvalidToken": ("the session token is not valid", "get new credentials, then resume the run"),
    "RequestTimeTooSkewed": (
        "the clock of this machine is wrong",
        "set it right (NTP): signatures are valid for minutes",
    ),
    "RequestExpired": ("the presigned URL has expired", "get a new one, then resume the run"),
    "AuthorizationHeaderMalformed": ("the region is wrong", "set AWS_REGION to the bucket's"),
    "AccessDenied": (
        "no permission to read it",
        "check the name too: who may not list is told this of missing files; a public bucket "
        + "may want --anonymous (HIGGSDEMO_ANONYMOUS=1)",
    ),
    "AccountProblem": ("the account is closed or not paid", "ask who owns the bucket"),
}


@dataclass(frozen=True)
class Reply:
    """An answer without the bytes asked for."""

    status: int
    reason: str
    headers: Mapping[str, str]  # names in lower case
    body: str  # its beginning

    @property
    def code(self) -> str | None:
        """The error code of S3 and its like."""
        found = _CODE.search(self.body)
        return found[1] if found else None

    @property
    def said(self) -> str:
        """What the server gives as the reason, in a line."""
        message = _MESSAGE.search(self.body) or _CHALLENGE.search(
            self.headers.get("www-authenticate", "")
        )
        parts = [f"{self.status} {self.reason}".strip()]
        parts += [self.code] if self.code else []
        parts += [" ".join(message[1].split())] if message else []
        return ": ".join(parts)


def refusal(reply: Reply, where: str, *, hint: str) -> TaskError | PassingError:
    """Return what an answer that is not a success means.

    `where` is shown, `hint` says what to do about missing rights on this kind of storage.
    """
    code = reply.code
    if reply.status in _BUSY or code in _PASSING_CODES:
        return PassingError(f"the server says {reply.said}", retry_after(reply.headers))
    if code in _LOCKED_OUT:
        what, advice = _LOCKED_OUT[code]
        if code == "RequestTimeTooSkewed":
            what += _skew(reply.headers)
        return CredentialsError(what, why=reply.said, where=where, hint=advice)
    if reply.status in (401, 403, 407):
        what = "not let in" if reply.status == 401 else "no permission to read it"
        if "expired" in f"{reply.headers.get('www-authenticate', '')} {reply.body}".lower():
            what = "the token has expired"
        return CredentialsError(what, why=reply.said, where=where, hint=hint)
    if reply.status in (404, 410):
        bucket = code in ("NoSuchBucket", "InvalidBucketName")
        return InputError(
            f"cannot read the input: no such {'bucket' if bucket else 'file'}",
            why=reply.said,
            where=where,
            hint="check its name, and the endpoint that is asked",
        )
    if reply.status in (412, 416):
        return changed(where, reply.said)
    return InputError(
        "cannot read the input: the server refuses",
        why=reply.said,
        where=where,
        hint="check the URL, and what the server offers at it",
    )


def changed(where: str, why: str) -> TransientError:
    """Return the error for a file that became another one: what was read so far is worthless."""
    return TransientError(
        "the file changed while it was read",
        why=why,
        where=where,
        hint="the task is run again from its start",
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of `Retry-After`, given as such or as a date (RFC 9110, 10.2.3)."""
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _skew(headers: Mapping[str, str]) -> str:
    try:
        theirs = email.utils.parsedate_to_datetime(headers.get("date", "")).timestamp()
    except ValueError:
        return ""
    return f": {abs(time.time() - theirs):.0f} s {'ahead' if time.time() > theirs else 'behind'}"
