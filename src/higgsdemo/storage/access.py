"""What to connect to, and as whom: read from the environment of the process and nowhere else.

So nothing secret is ever in a task, a manifest, an argument list or a ledger; worker processes
inherit the environment, and clusters mount secrets as files.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from higgsdemo.errors import UsageError, nearest
from higgsdemo.storage.urls import HIDDEN, has_secret, redact

# The standard variables of each kind of storage that are looked at.
_STANDARD = re.compile(
    r"AWS_\w+|GOOGLE_APPLICATION_CREDENTIALS|STORAGE_EMULATOR_HOST|CLOUDSDK_CONFIG"
    r"|GS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY)|X509_\w+|BEARER_TOKEN(_FILE)?|XDG_RUNTIME_DIR|HOME"
    r"|HIGGSDEMO_(ACCESS|SECRET)_KEY"
)
_SECRET = re.compile(
    r"AWS_SECRET_ACCESS_KEY|AWS_SESSION_TOKEN|AWS_SECURITY_TOKEN|AWS_CONTAINER_AUTHORIZATION_TOKEN"
    r"|GS_SECRET_ACCESS_KEY|BEARER_TOKEN|HIGGSDEMO_SECRET_KEY"
)
_MOUNTED = ("secret-key", "session-token", "bearer-token", "redis-password")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT]?)i?B?")
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True)
class StageIn:
    """Where whole files are staged; `limit_bytes` is for all processes of this machine together."""

    folder: Path
    limit_bytes: int | None = None


@dataclass(frozen=True)
class Access:
    """Settings of all storage of this process. Its repr shows no secret.

    `connections` caps the requests open at once; `stall_s` is how long a transfer may be without
    a byte, `connect_s` how long a connection may take; a request is tried `tries` times, with
    pauses that double from `pause_s` to `longest_pause_s`, half of each random; `hung_s` is how
    long one read of a local file, which may lie on a network disk, may take in a worker;
    `download_bytes_per_second` bounds what this process reads, `upload_bytes_per_second` what it
    writes; `stagger_s`: the first request waits a random part of it, so that a thousand jobs do
    not begin in one instant.
    """

    variables: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    storage_host: str | None = None
    authority: str | None = None  # file of certificates to trust
    anonymous: bool = False
    stage_in: StageIn | None = None
    secrets: Path | None = None  # folder with access-key, secret-key, ... (a mounted secret)
    download_bytes_per_second: float | None = None
    upload_bytes_per_second: float | None = None
    connections: int = 8
    stall_s: float = 30.0
    connect_s: float = 10.0
    tries: int = 6
    pause_s: float = 0.25
    longest_pause_s: float = 20.0
    stagger_s: float = 0.0
    hung_s: float = 300.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Access:
        """Read the environment. Raises UsageError for values that make no sense."""
        found = os.environ if environment is None else environment
        download = _number(found, "HIGGSDEMO_DOWNLOAD_MAX_KB", 0)
        upload = _number(found, "HIGGSDEMO_UPLOAD_MAX_KB", 0)
        _refuse_half_a_pair(found)
        folder = found.get("HIGGSDEMO_SECRETS_DIR")
        return cls(
            variables=tuple(sorted((k, v) for k, v in found.items() if _STANDARD.fullmatch(k))),
            storage_host=_endpoint(found.get("HIGGSDEMO_STORAGE_HOST", "").strip()),
            authority=found.get("HIGGSDEMO_STORAGE_CA") or _mounted_certificates(folder),
            anonymous=found.get("HIGGSDEMO_ANONYMOUS", "").lower() in ("1", "true", "yes"),
            stage_in=_stage_in(found.get("HIGGSDEMO_STAGE_IN", "")),
            secrets=Path(folder) if folder else None,
            download_bytes_per_second=1000 * download or None,
            upload_bytes_per_second=1000 * upload or None,
            connections=max(1, int(_number(found, "HIGGSDEMO_CONNECTIONS", cls.connections))),
            stall_s=_number(found, "HIGGSDEMO_STALL_S", cls.stall_s) or cls.stall_s,
            stagger_s=_number(found, "HIGGSDEMO_STAGGER_S", cls.stagger_s),
            connect_s=_number(found, "HIGGSDEMO_CONNECT_S", cls.connect_s) or cls.connect_s,
            tries=max(1, int(_number(found, "HIGGSDEMO_REQUEST_TRIES", cls.tries))),
            hung_s=_number(found, "HIGGSDEMO_HUNG_READ_S", cls.hung_s) or cls.hung_s,
        )

    @functools.cached_property
    def _by_name(self) -> Mapping[str, str]:
        return dict(self.variables)

    def get(self, *names: str) -> str | None:
        """Return the first of these standard variables that is set and not empty."""
        return next((self._by_name[name] for name in names if self._by_name.get(name)), None)

    def secret(self, name: str) -> str | None:
        """Return the content of a file of the secrets folder; read anew each time: they rotate."""
        if self.secrets is None:
            return None
        try:
            return (self.secrets / name).read_text().strip() or None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UsageError(
                "cannot read a mounted secret",
                why=error.strerror or type(error).__name__,
                where=str(self.secrets / name),
            ) from None

    def keys(self) -> tuple[str, str, str | None] | None:
        """Return (access key, secret key, session token) given for whatever store is asked.

        Those of --access-key and --secret-key come before those of the secrets folder.
        """
        given, secret = self.get("HIGGSDEMO_ACCESS_KEY"), self.get("HIGGSDEMO_SECRET_KEY")
        if given and secret:
            return given, secret, None
        given, secret = self.secret("access-key"), self.secret("secret-key")
        return (given, secret, self.secret("session-token")) if given and secret else None

    def home(self, *parts: str) -> Path:
        """Return a path below the user's home folder."""
        home = self.get("HOME")
        return Path(home or Path.home(), *parts)

    def scrub(self, text: str) -> str:
        """Return a message with all secrets in it hidden, those of URLs too."""
        secrets = [value for name, value in self.variables if _SECRET.fullmatch(name)]
        for name in _MOUNTED:
            with contextlib.suppress(UsageError):
                secrets.append(self.secret(name) or "")
        for value in secrets:
            if len(value) >= 8:
                text = text.replace(value, HIDDEN)
        return redact(text)


def _mounted_certificates(folder: str | None) -> str | None:
    """Return the file of certificates that lies with the mounted secrets, if one does."""
    path = Path(folder, "ca") if folder else None
    try:
        return str(path) if path is not None and path.is_file() else None
    except OSError:  # a folder that may not be looked into: its keys will say so
        return None


def _number(found: Mapping[str, str], name: str, default: float) -> float:
    text = found.get(name, "").strip()
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise UsageError(f"{name} is not a number of at least 0", why=f"it is {text!r}")
    return value


def _endpoint(text: str) -> str | None:
    """Return the endpoint ``http(s)://HOST[:PORT]`` that is meant; without a scheme it is https."""
    if not text:
        return None
    url = (text if "://" in text else f"https://{text}").rstrip("/")
    parts = urlsplit(url)
    near: list[str] = []
    try:
        if parts.scheme not in ("http", "https"):
            why = f"it begins with {parts.scheme}://"
            near = [f"{one}://" for one in nearest(parts.scheme, ("https", "http"))]
        elif has_secret(url) or "@" in parts.netloc:
            why = "there is a secret in it; it is asked for with the keys"
        elif not parts.hostname or parts.query or parts.fragment or any(map(str.isspace, url)):
            why = "it names no host alone"
        elif parts.port != 0:
            return url
        else:
            why = "its port is 0"
    except ValueError:
        why = "its port is no number of a port"
    raise UsageError(
        "not a storage host",
        why=why,
        where=redact(text),
        nearest=near,
        hint="write https://HOST:PORT, or http:// for one that is read in the clear",
    )


def _refuse_half_a_pair(found: Mapping[str, str]) -> None:
    pair = ("HIGGSDEMO_ACCESS_KEY", "HIGGSDEMO_SECRET_KEY")
    given = [name for name in pair if found.get(name)]
    if len(given) == 1:
        raise UsageError(f"{pair[0]} and {pair[1]} belong together", why=f"only {given[0]} is set")


def _stage_in(text: str) -> StageIn | None:
    """Read ``FOLDER`` or ``FOLDER:LIMIT``, the limit as 4GB, 500M or bytes."""
    if not text:
        return None
    folder, colon, limit = text.rpartition(":")
    size = _SIZE.fullmatch(limit.strip()) if colon else None
    if size is None:
        return StageIn(Path(text))
    return StageIn(Path(folder), int(float(size[1]) * _UNITS[size[2]]))
