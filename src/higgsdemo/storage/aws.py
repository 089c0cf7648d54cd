"""S3 and all that speak it: endpoint, region and keys from their standard places, signed requests.

Keys, first found: those given to us (`Access.keys`), the environment, the profile's files;
whatever else AWS knows (roles, SSO, web identity of a Kubernetes service account, instance
metadata) through botocore. Source of names and order: AWS SDKs and Tools Reference Guide,
"Configuration and authentication settings".
"""

from __future__ import annotations

import configparser
import re
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from higgsdemo.errors import CredentialsError, UsageError
from higgsdemo.storage.access import Access
from higgsdemo.storage.extras import optional
from higgsdemo.storage.refusals import Reply
from higgsdemo.storage.sigv4 import Keys, sign
from higgsdemo.storage.urls import bucket_and_key

DEFAULT_REGION = "us-east-1"
NO_KEYS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; or --anonymous "
    "(HIGGSDEMO_ANONYMOUS=1) for a public bucket"
)
_RENEWABLE = {"ExpiredToken", "InvalidToken", "TokenRefreshRequired", "InvalidAccessKeyId"}
_ASKS_AWS = {"role_arn", "sso_session", "sso_start_url", "credential_process", "login_session"}
_MARGIN = timedelta(seconds=60)  # keys that end within it are replaced before they are used
_DNS_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


class S3:
    """An S3 endpoint and who we are there."""

    hint = "ask the owner of the bucket, or choose other keys or another profile"

    def __init__(self, access: Access) -> None:
        self._access = access
        self._profile = _profile(access)
        self._lock = threading.Lock()
        self._keys: Keys | None = None
        self._region = (
            access.get("AWS_REGION", "AWS_DEFAULT_REGION")
            or self._profile.get("region")
            or DEFAULT_REGION
        )

    def address(self, url: str) -> str:
        """Return the http(s):// address of ``s3://BUCKET/KEY``."""
        bucket, key = bucket_and_key(url)
        if not bucket or not key:
            raise UsageError("not a file: an s3:// URL is s3://BUCKET/KEY", where=url)
        path = quote(key, safe="/-_.~")
        endpoint = self.endpoint()
        if endpoint is not None:
            return f"{endpoint}/{bucket}/{path}"
        host = f"s3.{self._region}.amazonaws.com"
        if _DNS_BUCKET.fullmatch(bucket):
            return f"https://{bucket}.{host}/{path}"
        return f"https://{host}/{bucket}/{path}"  # dots: no certificate fits the other form

    def endpoint(self) -> str | None:
        """Return the endpoint that is not AWS's own, ``http(s)://HOST[:PORT]``, if there is one."""
        found = (
            self._access.storage_host
            or self._access.get("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
            or self._profile.get("endpoint_url")
        )
        if not found:
            return None
        return (found if "://" in found else f"https://{found}").rstrip("/")

    def headers(self, url: str) -> Mapping[str, str]:
        """Sign a GET; without keys only where that is asked for."""
        if self._access.anonymous:
            return {}
        signed = sign("GET", url, self.keys(), self._region)
        del signed["host"]  # http.client sends it
        return signed

    def renew(self, reply: Reply) -> bool:
        """Follow a bucket to its region; replace a session that ended."""
        region = reply.headers.get("x-amz-bucket-region")
        if region and region != self._region:
            self._region = region
            return True
        if reply.code not in _RENEWABLE or self._access.anonymous:
            return False
        with self._lock:
            before, self._keys = self._keys, None
        return self.keys() != before

    def keys(self) -> Keys:
        """Return keys that have not ended. Raises CredentialsError where there are none."""
        with self._lock:
            keys = self._keys
            if keys is None or (keys.expires and keys.expires - _MARGIN < datetime.now(UTC)):
                keys = self._keys = self._find()
        if keys is None:
            raise CredentialsError(
                "no keys for s3://",
                why="none in the environment, in files of AWS, or in a mounted secret",
                hint=NO_KEYS,
            )
        return keys

    def _find(self) -> Keys | None:
        access = self._access
        if given := access.keys():
            return Keys(*given)
        key, secret = access.get("AWS_ACCESS_KEY_ID"), access.get("AWS_SECRET_ACCESS_KEY")
        if key and secret:
            token = access.get("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
            return Keys(key, secret, token, _instant(access.get("AWS_CREDENTIAL_EXPIRATION")))
        profile = self._profile
        if not _ASKS_AWS & profile.keys() and profile.get("aws_access_key_id"):
            return Keys(
                profile["aws_access_key_id"],
                profile.get("aws_secret_access_key", ""),
                profile.get("aws_session_token"),
            )
        asked = _ASKS_AWS & profile.keys() or access.get(
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        )
        return _from_aws(access, needed=bool(asked))


def _from_aws(access: Access, *, needed: bool) -> Keys | None:
    """Ask botocore; where nothing says that it is `needed`, only if it is installed."""
    try:
        session = optional("botocore.session", "s3", "AWS credentials by role, SSO or metadata")
    except UsageError:
        if needed:
            raise
        return None
    try:
        found = session.Session(profile=access.get("AWS_PROFILE")).get_credentials()
        if found is None:
            return None
        frozen = found.get_frozen_credentials()
    except Exception as error:
        if not type(error).__module__.startswith("botocore"):
            raise
        raise CredentialsError(
            "AWS gives no keys", why=access.scrub(str(error)), hint=NO_KEYS
        ) from None
    expires = getattr(found, "_expiry_time", None)
    return Keys(frozen.access_key, frozen.secret_key, frozen.token, expires)


def _profile(access: Access) -> Mapping[str, str]:
    """Return the settings of the profile in use, of both files; the credentials file wins."""
    chosen = access.get("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
    name = chosen or "default"
    config = access.get("AWS_CONFIG_FILE") or access.home(".aws", "config")
    shared = access.get("AWS_SHARED_CREDENTIALS_FILE") or access.home(".aws", "credentials")
    settings: dict[str, str] = {}
    there: list[str] = []
    for path, section in (
        (Path(config), name if name == "default" else f"profile {name}"),
        (Path(shared), name),
    ):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path.expanduser())
        except (configparser.Error, OSError, UnicodeDecodeError) as error:
            # Not the parser's words: they quote the line, which may be a key.
            raise UsageError(
                "cannot read a file of AWS settings", why=type(error).__name__, where=str(path)
            ) from None
        there += [one.removeprefix("profile ") for one in parser.sections()]
        if parser.has_section(section):
            settings |= parser.items(section)
    keys = access.get("AWS_ACCESS_KEY_ID") or access.keys() or access.anonymous
    if chosen and chosen not in there and not keys:
        from higgsdemo.errors import nearest

        raise UsageError(
            f"there is no AWS profile {chosen!r}",
            where=f"{config} and {shared}",
            nearest=nearest(chosen, there),
        )
    return settings


def _instant(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)
