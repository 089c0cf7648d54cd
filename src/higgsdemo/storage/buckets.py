"""Buckets as obstore opens them, with the settings and credentials of this process's `Access`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from higgsdemo.errors import CredentialsError, UsageError
from higgsdemo.storage.access import Access
from higgsdemo.storage.aws import DEFAULT_REGION, S3
from higgsdemo.storage.extras import optional
from higgsdemo.storage.refusals import Reply

_ANSWER = re.compile(r"status code: (\d{3}) ([\w ]*): (.*)", re.DOTALL)


@dataclass(frozen=True)
class Persistence:
    """How often the library itself tries a request again, and for how long one may take, s.

    The default is once: then trying again is up to the caller.
    """

    retries: int = 0
    total_s: float = 0.0
    request_s: float | None = None  # None: `Access.stall_s`


def bucket_store(
    scheme: str, bucket: str, access: Access, shown: str, persistence: Persistence | None = None
) -> Any:
    """Open a bucket of `s3` or `gs` as an ObjectStore of obstore; nothing is asked of it yet."""
    persistence = persistence or Persistence()
    stores = optional("obstore.store", "s3" if scheme == "s3" else "gcs", shown)
    options = _s3(access) if scheme == "s3" else _gcs(access)
    make = stores.S3Store if scheme == "s3" else stores.GCSStore
    endpoint = str(options.pop("clear_endpoint", ""))
    try:
        return make(
            bucket,
            **options,
            client_options=_client(
                access, persistence.request_s, clear=endpoint.startswith("http://")
            ),
            retry_config={
                "max_retries": persistence.retries,
                "retry_timeout": timedelta(seconds=persistence.total_s),
            },
        )
    except Exception as error:
        if not isinstance(error, optional("obstore.exceptions", "s3", shown).BaseError):
            raise
        raise CredentialsError(
            "the sink cannot be opened with these credentials",
            why=access.scrub(str(error).partition("\n")[0]),
            where=shown,
        ) from None


def reply_of(error: Exception) -> Reply | None:
    """Return the answer of the server that made obstore raise; None where there was none.

    The library tells little by type; the answer is in the text.
    """
    answer = _ANSWER.search(str(error))
    return Reply(int(answer[1]), answer[2], {}, answer[3]) if answer else None


def _client(access: Access, request_s: float | None, *, clear: bool) -> dict[str, Any]:
    options: dict[str, Any] = {
        "allow_http": clear,
        "connect_timeout": timedelta(seconds=access.connect_s),
        "timeout": timedelta(seconds=request_s or access.stall_s),
    }
    if access.authority:
        try:
            options["root_certificate"] = Path(access.authority).read_bytes()
        except OSError as error:
            raise UsageError(
                "cannot read the certificates to trust",
                why=error.strerror or str(error),
                where=access.authority,
            ) from error
    return options


def _s3(access: Access) -> dict[str, Any]:
    """Return the options of S3: endpoint and keys from where files are read with them too."""
    s3 = S3(access)
    endpoint = s3.endpoint()
    options: dict[str, Any] = {
        "region": access.get("AWS_REGION", "AWS_DEFAULT_REGION") or DEFAULT_REGION,
        # Path style where the endpoint is not AWS's: its certificate fits no other name.
        "virtual_hosted_style_request": endpoint is None,
    }
    if endpoint:
        options |= {"endpoint": endpoint, "clear_endpoint": endpoint}
    if access.anonymous:
        return {**options, "skip_signature": True}

    def credentials() -> dict[str, Any]:
        keys = s3.keys()
        return {
            "access_key_id": keys.access,
            "secret_access_key": keys.secret,
            "token": keys.token,
            "expires_at": keys.expires,
        }

    s3.keys()  # none at all is told now
    return {**options, "credential_provider": credentials}


def _gcs(access: Access) -> dict[str, Any]:
    """Return the options of GCS: application default credentials, or an emulator's endpoint."""
    emulator = access.get("STORAGE_EMULATOR_HOST")
    if emulator:
        url = emulator if "://" in emulator else f"http://{emulator}"
        nobody = dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
        key = json.dumps({"gcs_base_url": url, "disable_oauth": True, **nobody})
        return {"service_account_key": key, "clear_endpoint": url}
    if access.anonymous:
        return {"skip_signature": True}
    credentials = access.get("GOOGLE_APPLICATION_CREDENTIALS")
    return {"application_credentials": credentials} if credentials else {}
