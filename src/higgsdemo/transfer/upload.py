"""Uploading a sample set into a bucket: several files at once, verified, whole or not there."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from higgsdemo.errors import CredentialsError, InputError, TaskError, TransientError
from higgsdemo.storage import Access
from higgsdemo.storage.checksums import Sums, verifiable
from higgsdemo.storage.patience import upload_rate
from higgsdemo.storage.ranges import pieces
from higgsdemo.storage.remote import Raw
from higgsdemo.transfer.bucket import Bucket, part_bytes
from higgsdemo.transfer.items import Item
from higgsdemo.transfer.originals import OnDisk, Original
from higgsdemo.transfer.state import Outcome, State

Watch = Callable[[State], None]
LOOK_S = 0.2
READ_BYTES = 4 * 1024 * 1024
_TRIES = 2  # what arrived damaged is sent once more


class Upload:
    """Uploads `items` to `bucket`; run again, what is there whole is left as it is.

    An object that is there counts as the file's copy if size and checksum say so; else its bytes
    are read and compared. Another object in the place is a failure, and stays. A file that fails is
    tried from its next copy, then told; missing rights stop everything.
    """

    def __init__(
        self, items: Sequence[Item], bucket: Bucket, access: Access, *, streams: int = 4
    ) -> None:
        self._items = items
        self._bucket = bucket
        self._access = access
        self._streams = streams
        self._rate = upload_rate(access)
        self._given_up = threading.Event()
        self._lock = threading.Lock()
        self._checksums: dict[str, str] = {}
        self.sizes: dict[str, int] = {}  # of the copies, by path
        known = [item.file.size_bytes or 0 for item in items]
        self.state = State(len(items), sum(known))

    def run(self, watch: Watch = lambda _: None) -> Outcome:
        """Upload what is missing; `watch` is called from here a few times a second.

        Raises CredentialsError where we are not let in. What is there stays.
        """
        began = time.monotonic()
        failed: list[tuple[Item, TaskError]] = []
        moved = 0
        with ThreadPoolExecutor(self._streams, thread_name_prefix="upload") as threads:
            left = {threads.submit(self._one, item): item for item in self._items}
            try:
                while left:
                    watch(self.state)
                    done, _ = wait(left, LOOK_S, "FIRST_COMPLETED")
                    for future in done:
                        item = left.pop(future)
                        try:
                            moved += future.result()
                            self.state.files_done += 1
                        except CredentialsError:
                            raise
                        except TaskError as error:
                            failed.append((item, error))
                            self.state.files_failed += 1
            finally:
                self._given_up.set()
                threads.shutdown(cancel_futures=True)
        watch(self.state)
        return Outcome(
            files=len(self._items),
            bytes=self.state.bytes,
            present=len(self._items) - len(failed) - moved,
            moved=moved,
            bytes_moved=self.state.bytes_moved,
            unverified=0,
            failed=tuple(failed),
            checksums=self._checksums,
            seconds=time.monotonic() - began,
        )

    # -- one file -------------------------------------------------------------------------------

    def _one(self, item: Item) -> bool:
        """See to the copy of a file; return whether it had to be sent."""
        errors: list[TaskError] = []
        for url in item.urls:
            if self._given_up.is_set():
                break
            try:
                original = Original(url, self._access, self._given_up, item.file.size_bytes)
            except TaskError as error:
                errors.append(error)
                continue
            try:
                return self._copy(item, original)
            except TaskError as error:
                errors.append(error)
            finally:
                original.close()
        if not errors:
            raise TransientError("given up", where=item.file.url)
        told = next((one for one in errors if isinstance(one, TransientError)), errors[0])
        raise told

    def _copy(self, item: Item, original: Original) -> bool:
        size = original.size
        with self.state.lock:
            self.state.bytes += size - (item.file.size_bytes or 0)
        known = self._known(item, original)
        there = self._bucket.size_of(item.path)
        if there is None:
            self._send(item, original, known)
        elif there != size or not self._is_same(item, original, known):
            why = f"it has {there} bytes, the file to upload {size}"
            raise InputError(
                "another object is there",
                why=why if there != size else "its checksum is another one",
                where=self._bucket.url_of(item.path),
                hint="remove it, or upload to another prefix",
            )
        else:
            with self.state.lock:
                self.state.bytes_here += size
        with self._lock:
            self.sizes[item.path] = size
            if "adler32" in known:
                self._checksums[item.path] = f"adler32:{known['adler32']}"
        return there is None

    def _known(self, item: Item, original: Original) -> dict[str, str]:
        """Return what the checksums of a file should be; of a local one without, what they are."""
        if item.file.checksum:
            return verifiable([item.file.checksum])
        if isinstance(original.remote, OnDisk):
            return self._sums(original, ("adler32", "md5"))
        return verifiable(original.known_checksums())

    def _is_same(self, item: Item, original: Original, known: dict[str, str]) -> bool:
        """Whether the object that is there has the file's content."""
        copy = self._look(item.path)
        told = verifiable(copy.checksums)
        shared = known.keys() & told.keys()
        if shared:
            return all(known[kind] == told[kind] for kind in shared)
        kinds = set(known) or {"adler32"}
        return self._sums(copy, kinds) == (known or self._sums(original, kinds))

    def _send(self, item: Item, original: Original, known: dict[str, str]) -> None:
        """Send a file, until the copy is verified."""
        for _ in range(_TRIES):
            sent = _Sent(original.size, {"adler32", "md5", *known})
            arrived = False
            try:
                tag = self._bucket.put(
                    item.path,
                    original.size,
                    self._parts(original, sent, known),
                    known.get("adler32"),
                )
                arrived = self._arrived(item, tag, sent)
            finally:
                if not arrived:
                    with self.state.lock:
                        self.state.bytes_moved -= sent.bytes
            known.setdefault("adler32", sent.result()["adler32"])
            if arrived:
                return
        raise TransientError(
            "the copy has another checksum than what was sent",
            where=self._bucket.url_of(item.path),
            hint="remove it there, and run the same again",
        )

    def _arrived(self, item: Item, tag: str, sent: _Sent) -> bool:
        """Whether the store has what was sent: by its own checksum, else read again."""
        if tag in (sent.tag, sent.result()["md5"]):
            return True
        copy = self._look(item.path)
        told = verifiable(copy.checksums)
        for kind in ("md5", "crc32c"):  # adler32 is what we told it ourselves
            if kind in told and kind in sent.result():
                return told[kind] == sent.result()[kind]
        return self._sums(copy, ["adler32"])["adler32"] == sent.result()["adler32"]

    def _look(self, path: str) -> Original:
        return Original(self._bucket.url_of(path), self._access, self._given_up)

    def _sums(self, original: Original, kinds: Iterable[str]) -> dict[str, str]:
        sums = Sums(kinds)
        for data in self._read(original):
            sums.update(bytes(data))
        return sums.result()

    def _parts(self, original: Original, sent: _Sent, known: dict[str, str]) -> Iterator[bytes]:
        """Yield a file; raise before its end if it is another one, so that nothing appears."""
        for data in self._read(original):
            if self._rate:
                self._rate.take(len(data))
            sent.add(data)
            if sent.bytes == original.size:
                found = sent.result()
                for kind, value in known.items():
                    if found[kind] != value:
                        raise InputError(
                            "the file has another checksum than it should",
                            why=f"{kind} is {found[kind]}, the catalogue or the store says {value}",
                            where=original.url,
                            hint="the file there is damaged, or another one",
                        )
            with self.state.lock:
                self.state.bytes_moved += len(data)
            yield bytes(data)

    def _read(self, original: Original) -> Iterator[Raw]:
        """Yield the bytes of a file, the next ones fetched meanwhile."""
        if not original.ranges:
            raise InputError(
                "the server sends whole files only, not the ranges asked for",
                where=original.url,
                hint="download the set first, and upload the copy",
            )
        ahead: deque[Future[Raw]] = deque()
        with ThreadPoolExecutor(2, thread_name_prefix="read") as threads:
            try:
                for start, stop in pieces(0, original.size, READ_BYTES):
                    ahead.append(threads.submit(original.piece, start, stop))
                    if len(ahead) > 2:
                        yield ahead.popleft().result()
                    if self._given_up.is_set():
                        raise TransientError("given up", where=original.url)
                while ahead:
                    yield ahead.popleft().result()
            finally:
                threads.shutdown(cancel_futures=True)


class _Sent:
    """What was sent of a file: its checksums, and the ETag that S3 gives to its parts."""

    def __init__(self, size: int, kinds: set[str]) -> None:
        self.bytes = 0
        self._sums = Sums(kinds)
        self._part = part_bytes(size)
        self._parts: list[bytes] = []
        self._current = hashlib.md5(usedforsecurity=False)
        self._filled = 0

    def add(self, data: Raw) -> None:
        view = memoryview(data)
        self.bytes += len(view)
        self._sums.update(bytes(view))
        while view:
            taken = view[: self._part - self._filled]
            self._current.update(taken)
            self._filled += len(taken)
            view = view[len(taken) :]
            if self._filled == self._part:
                self._end_part()

    def _end_part(self) -> None:
        self._parts.append(self._current.digest())
        self._current = hashlib.md5(usedforsecurity=False)
        self._filled = 0

    def result(self) -> dict[str, str]:
        """Return the checksums so far."""
        return self._sums.result()

    @property
    def tag(self) -> str:
        """The ETag of a multipart upload: MD5 of the parts' MD5s, and how many they are."""
        parts = [*self._parts, *([self._current.digest()] if self._filled else [])]
        digest = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()
        return f"{digest}-{len(parts)}"
