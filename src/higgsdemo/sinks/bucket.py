"""A bucket as a sink: `s3://BUCKET/prefix` and `gs://BUCKET/prefix`.

Written with a condition (If-None-Match: *, x-goog-if-generation-match: 0), so an object is never
overwritten, not even by a right one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from higgsdemo.errors import CredentialsError, HiggsdemoError, RunError, TransientError
from higgsdemo.model import Failure, Result
from higgsdemo.sinks.objects import COPIES, PAGE, copy_of, damaged, same_content, strange
from higgsdemo.sinks.parcel import (
    ENDING,
    PLAN,
    check_run_id,
    is_name,
    is_result_of,
    is_run_id,
    pack,
)
from higgsdemo.sinks.protocol import Arrival, Known, Page
from higgsdemo.sinks.retry import Patience, persist
from higgsdemo.storage import Closing
from higgsdemo.storage.buckets import reply_of
from higgsdemo.storage.extras import optional
from higgsdemo.storage.patience import PassingError, Rate
from higgsdemo.storage.refusals import refusal

LISTED = 1000  # keys a request gives, in S3 and GCS alike
CONNECTIONS = 8  # the collector's, while it fetches
_RIGHTS = "see which keys are in the environment, and that they may read, write and list"
MAX_STORED_BYTES = 32 * 1024 * 1024  # packed; a result has 0.01 MB


class BucketSink(Closing):
    """Objects `<prefix>/<run>/results/<name>.jsonl.gz` of a bucket.

    A look at the bucket lists all keys of the run, a thousand a request, since keys have no
    order of arrival; only what is new is fetched.
    """

    poll_s = 5.0
    is_record = True

    def __init__(
        self,
        store: Any,
        prefix: str,
        url: str,
        patience: Patience,
        uploads: Rate | None = None,
    ) -> None:
        """Use `store`, an `obstore.store.ObjectStore`; see `storage.buckets`."""
        self._uploads = uploads
        self._store = store
        self._prefix = f"{prefix}/" if prefix else ""
        self._patience = patience
        self._library = optional("obstore", "gcs" if url.startswith("gs:") else "s3", url)
        self._conditional = True
        self.url = url

    def deliver(self, outcome: Result | Failure, run_id: str) -> None:
        """Store the outcome, see `Sink.deliver`."""
        name, payload = pack(outcome, run_id)
        if self._uploads:
            self._uploads.take(len(payload))
        for number in range(COPIES):
            copy = copy_of(name, number)
            key = self._key(run_id, copy)
            if self._put(key, payload) or same_content(copy, self._get(key)):
                return
        raise damaged(name, self.url)

    def has_result(self, run_id: str, task_id: str) -> bool:
        """Whether there is a result of the task, see `Sink.has_result`; mostly one request."""
        folder = f"{self._prefix}{check_run_id(run_id)}/results/"
        # What sorts before the first name of the task is passed over by the store.
        for listed in self._list(folder, after=f"{folder}{task_id}"):
            names = [_name(meta["path"], folder) for meta in listed]
            if any(is_result_of(name, task_id) for name in names):
                return True
            if not all(name.startswith(task_id) for name in names):
                return False
        return False

    def pages(
        self,
        run_id: str,
        after: str = "",  # noqa: ARG002
        known: Known = lambda _: False,
    ) -> Iterator[Page]:
        """Yield what is new in the bucket, see `Sink.pages`; `after` has no meaning here."""
        folder = f"{self._prefix}{check_run_id(run_id)}/results/"
        with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="sink") as threads:
            for listed in self._list(folder):
                new = [meta for meta in listed if not known(_name(meta["path"], folder))]
                for start in range(0, len(new), PAGE):
                    found = threads.map(
                        lambda meta: self._fetch(meta, folder), new[start : start + PAGE]
                    )
                    yield Page(tuple(arrival for arrival in found if arrival is not None))

    def publish(self, run_id: str, plan: bytes) -> bytes:
        """Put the plan of a run beside its results, see `Sink.publish`."""
        key = f"{self._prefix}{check_run_id(run_id)}/{PLAN}"
        kept = self._get(key)  # first: not every store puts on a condition
        if kept is None:
            self._put(key, plan)
            kept = self._get(key)
        return plan if kept is None else kept

    def plan(self, run_id: str) -> bytes | None:
        """Return the plan of a run, see `Sink.plan`."""
        return self._get(f"{self._prefix}{check_run_id(run_id)}/{PLAN}")

    def runs(self) -> list[str]:
        """Return the runs that have anything here, see `Sink.runs`."""

        def look() -> list[str]:
            found = self._library.list_with_delimiter(self._store, self._prefix or None)
            return [path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"]]

        return sorted(filter(is_run_id, persist(look, self._explain, self._patience)))

    def trim(self, run_id: str, cursor: str) -> None:
        """Objects stay: they are the record."""

    # -- inside ---------------------------------------------------------------------------------

    def _key(self, run_id: str, name: str) -> str:
        return f"{self._prefix}{run_id}/results/{name}{ENDING}"

    def _put(self, key: str, payload: bytes) -> bool:
        """Store an object; False if there is one of that key."""

        def put() -> bool:
            mode = "create" if self._conditional else "overwrite"
            try:
                # One request: a multipart upload is not conditional everywhere.
                self._library.put(self._store, key, payload, mode=mode, use_multipart=False)
            except self._library.exceptions.AlreadyExistsError:
                return False
            except self._library.exceptions.NotSupportedError:
                self._conditional = False
                self._library.put(self._store, key, payload, use_multipart=False)
            return True

        return persist(put, self._explain, self._patience)

    def _get(self, key: str) -> bytes | None:
        def get() -> bytes | None:
            with contextlib.suppress(FileNotFoundError, self._library.exceptions.NotFoundError):
                return bytes(self._library.get(self._store, key).bytes())
            return None

        return persist(get, self._explain, self._patience)

    def _list(self, folder: str, after: str | None = None) -> Iterator[Sequence[Any]]:
        """Yield the objects below a key, a list at a time; cut off, go on after the last."""
        last = after
        while True:

            def begin(offset: str | None = last) -> tuple[Any, Any]:
                stream = iter(
                    self._library.list(self._store, folder, offset=offset, chunk_size=LISTED)
                )
                return stream, next(stream, None)

            stream, listed = persist(begin, self._explain, self._patience)
            try:
                while listed:
                    yield listed
                    last = max(meta["path"] for meta in listed)
                    listed = next(stream, None)
            except self._library.exceptions.BaseError as error:
                said = self._explain(error)
                if isinstance(said, TransientError):
                    continue
                raise (said or error) from error
            return

    def _fetch(self, meta: Any, folder: str) -> Arrival | None:
        name = _name(meta["path"], folder)
        if not (meta["path"].endswith(ENDING) and is_name(name)):
            return strange(meta["path"].removeprefix(folder))
        if meta["size"] > MAX_STORED_BYTES:
            return Arrival(name, None, f"it has {meta['size']} bytes, more than any result")
        payload = self._get(meta["path"])
        return None if payload is None else Arrival(name, payload)

    def _explain(self, error: Exception) -> HiggsdemoError | None:
        kinds = self._library.exceptions
        if not isinstance(error, kinds.BaseError | FileNotFoundError | PermissionError):
            return None
        reply = reply_of(error)
        if "InvalidCertificate" in str(error):
            return CredentialsError(
                "the store cannot prove who it is",
                why="its certificate is not signed by an authority that is trusted here",
                where=self.url,
                hint="name the file of its authority with --storage-ca (HIGGSDEMO_STORAGE_CA)",
            )
        if reply is None:
            why = str(error).partition("\n")[0]  # what follows is the library's inner state
            return TransientError("the sink cannot be used now", why=why, where=self.url)
        meant = refusal(reply, self.url, hint=_RIGHTS)
        if isinstance(meant, CredentialsError):
            return CredentialsError(
                "the sink does not let us in", why=meant.why, where=self.url, hint=meant.hint
            )
        if isinstance(meant, PassingError | TransientError):
            return TransientError("the sink cannot be used now", why=reply.said, where=self.url)
        missing = reply.status == 404
        return RunError(
            "the sink is not there" if missing else "the sink refuses",
            why=reply.said,
            where=self.url,
            hint="check the name of the bucket, or create it" if missing else None,
        )


def _name(path: str, folder: str) -> str:
    return path.removeprefix(folder).removesuffix(ENDING)
