"""A place in a bucket for copies of files: `s3://BUCKET/prefix`, `gs://BUCKET/prefix`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from higgsdemo.errors import CredentialsError, InputError, TaskError, TransientError, UsageError
from higgsdemo.storage import Access
from higgsdemo.storage.buckets import Persistence, bucket_store, reply_of
from higgsdemo.storage.extras import optional
from higgsdemo.storage.patience import PassingError
from higgsdemo.storage.refusals import refusal
from higgsdemo.storage.urls import bucket_and_key, scheme_of

PART_BYTES = 8 * 1024 * 1024
MOST_PARTS = 9_000  # S3 takes 10,000
_PERSISTENCE = Persistence(retries=6, total_s=180.0, request_s=300.0)
_AT_ONCE = 3  # parts of one file
_RIGHTS = "see which keys are in the environment, and that they may read, write and list"


class Bucket:
    """Where copies go. Raises UsageError for what is no bucket."""

    def __init__(self, url: str, access: Access) -> None:
        self.scheme = scheme_of(url) or ""
        self.name, prefix = bucket_and_key(url)
        if self.scheme not in ("s3", "gs") or not self.name:
            raise UsageError(
                "files are uploaded into a bucket",
                where=url,
                hint="write --to s3://BUCKET/PREFIX or --to gs://BUCKET/PREFIX",
            )
        self._prefix = "/".join(part for part in prefix.split("/") if part)
        self.url = "/".join(filter(None, (f"{self.scheme}://{self.name}", self._prefix)))
        self._access = access
        self._library: Any = optional("obstore", "s3" if self.scheme == "s3" else "gcs", self.url)
        self._store = bucket_store(self.scheme, self.name, access, self.url, _PERSISTENCE)

    def url_of(self, path: str) -> str:
        """Return the URL of a copy."""
        return f"{self.url}/{path}"

    def index_line(self, path: str) -> str:
        """Return the same as file indexes of the 2019 demo write it: ``s3/BUCKET/path``."""
        return f"{self.scheme}/{self.name}/{self._key(path)}"

    def size_of(self, path: str) -> int | None:
        """Return the size of an object; None if there is none."""
        try:
            return int(self._library.head(self._store, self._key(path))["size"])
        except FileNotFoundError:
            return None
        except (self._library.exceptions.BaseError, PermissionError) as error:
            raise self._explained(error, path) from error

    def put(self, path: str, size: int, parts: Iterator[bytes], adler32: str | None) -> str:
        """Store an object of `size` bytes from its `parts`; return its ETag.

        It appears wholly or not at all. `adler32` is kept as metadata, so that it can be verified
        later. What `parts` raises is raised.
        """
        large = size > PART_BYTES
        options: dict[str, Any] = {"use_multipart": large}
        if large:
            options |= {"chunk_size": part_bytes(size), "max_concurrency": _AT_ONCE}
        if adler32:
            options["attributes"] = {"adler32": adler32}
        body = parts if large else b"".join(parts)
        try:
            done = self._library.put(self._store, self._key(path), body, **options)
        except (self._library.exceptions.BaseError, FileNotFoundError, PermissionError) as error:
            raise self._explained(error, path) from error
        return str(done["e_tag"] or "").strip('"')

    def _key(self, path: str) -> str:
        return "/".join(filter(None, (self._prefix, path)))

    def _explained(self, error: Exception, path: str) -> TaskError:
        where = self.url_of(path)
        reply = reply_of(error)
        if reply is None:
            why = self._access.scrub(str(error).partition("\n")[0])
            return TransientError("cannot write into the bucket now", why=why, where=where)
        meant = refusal(reply, where, hint=_RIGHTS)
        if isinstance(meant, CredentialsError):
            return CredentialsError(
                "the bucket does not let us in", why=meant.why, where=where, hint=meant.hint
            )
        if isinstance(meant, PassingError | TransientError):
            return TransientError("cannot write into the bucket now", why=reply.said, where=where)
        missing = reply.status == 404
        return InputError(
            "there is no such bucket" if missing else "the bucket refuses",
            why=reply.said,
            where=where,
            hint="check its name, or create it" if missing else None,
        )


def part_bytes(size: int) -> int:
    """Return the size of the parts in which a large object is sent."""
    return max(PART_BYTES, -(-size // MOST_PARTS))
