"""Downloading a sample set into a folder: parallel streams, resumed piece by piece, verified."""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from higgsdemo.errors import CredentialsError, InputError, TaskError, TransientError, UsageError
from higgsdemo.storage import Access
from higgsdemo.storage.checksums import verifiable
from higgsdemo.storage.patience import PassingError, patiently
from higgsdemo.storage.remote import check_size
from higgsdemo.storage.web import WebFile
from higgsdemo.transfer.items import Item
from higgsdemo.transfer.originals import Original
from higgsdemo.transfer.partial import PART, Partial, clear, taken
from higgsdemo.transfer.state import Outcome, State

Watch = Callable[[State], None]
LOOK_S = 0.2


@dataclass(frozen=True)
class Survey:
    """What a download will do. `needed_bytes` is the disk space that it takes yet."""

    todo: tuple[tuple[Item, int], ...]  # with sizes
    present: tuple[Item, ...]
    failed: tuple[tuple[Item, TaskError], ...]
    bytes: int  # of all files
    present_bytes: int
    needed_bytes: int
    free_bytes: int


@dataclass
class _Job:
    """One file under way. `whole`: its server knows no ranges, so it comes as one piece."""

    item: Item
    size: int
    copies: list[str]  # URLs left to try
    errors: list[TaskError] = field(default_factory=list)
    original: Original | None = None
    partial: Partial | None = None
    pending: deque[int] = field(default_factory=deque)
    flying: int = 0
    broken: TaskError | None = None
    damaged: dict[str, str] | None = None  # the wrong checksums of the last try
    url: str = ""  # the copy in use
    counted: int | None = None  # bytes of it in the state; None: it was not opened yet

    @property
    def whole(self) -> bool:
        return self.original is not None and not self.original.ranges

    def close(self) -> None:
        for one in (self.partial, self.original):
            if one is not None:
                one.close()


class Download:
    """Downloads `items` into `folder`; run again, it goes on where it was, killed or not.

    At most `streams` pieces are under way, those of the first files first. A file that fails is
    tried from its next copy, then left and told, and the others go on; only missing rights stop
    everything. Each file gets its name once its size and, where anybody knows one, its checksum
    are right.
    """

    def __init__(
        self, items: Sequence[Item], folder: Path, access: Access, *, streams: int = 8
    ) -> None:
        self._items = items
        self._folder = folder
        self._access = access
        self._streams = streams
        self._given_up = threading.Event()
        self._turn = threading.Condition()
        self._queue: deque[_Job] = deque()
        self._open: list[_Job] = []
        self._opening = 0
        self._failed: list[tuple[Item, TaskError]] = []
        self._checksums: dict[str, str] = {}
        self._unverified = 0
        self._fatal: BaseException | None = None
        self.state = State(0, 0)

    def survey(self) -> Survey:
        """Look what is there already, and ask for sizes that are not known.

        Raises CredentialsError where we are not let in, UsageError where the folder is none.
        """
        todo: list[tuple[Item, int]] = []
        present: list[Item] = []
        failed: list[tuple[Item, TaskError]] = []
        present_bytes = needed = 0
        for item, size in zip(self._items, self._sizes(failed), strict=True):
            if size is None:
                continue
            path = self._folder / item.path
            there = _size_of(path)
            if there == size:
                present.append(item)
                present_bytes += size
            elif there is not None:
                why = f"it has {there} bytes, the file to download {size}"
                failed.append((item, taken(path, why)))
            else:
                todo.append((item, size))
                needed += size - _allocated(path.with_name(path.name + PART), size)
        total = present_bytes + sum(size for _, size in todo)
        free = shutil.disk_usage(_nearest(self._folder)).free
        return Survey(
            tuple(todo), tuple(present), tuple(failed), total, present_bytes, needed, free
        )

    def run(self, survey: Survey, watch: Watch = lambda _: None) -> Outcome:
        """Download what is missing; `watch` is called from here a few times a second.

        Raises UsageError where the disk is too small or another download is at work in the folder,
        and CredentialsError where we are not let in. What came stays.
        """
        check_space(survey, self._folder)
        began = time.monotonic()
        self._failed = list(survey.failed)
        self._queue = deque(_Job(item, size, [*item.urls]) for item, size in survey.todo)
        present = len(survey.present)
        self.state = State(
            len(self._items), survey.bytes, present, len(survey.failed), survey.present_bytes
        )
        with _alone(self._folder):
            for item in survey.present:
                clear(self._folder / item.path)
            threads = [
                threading.Thread(target=self._work, name=f"download-{number}")
                for number in range(self._streams if survey.todo else 0)
            ]
            try:
                for thread in threads:
                    thread.start()
                while alive := [thread for thread in threads if thread.is_alive()]:
                    watch(self.state)
                    alive[0].join(LOOK_S)
            finally:
                self._given_up.set()
                with self._turn:
                    self._turn.notify_all()
                for thread in threads:
                    thread.join()
                for job in self._open:
                    job.close()
        watch(self.state)
        if self._fatal is not None:
            raise self._fatal
        moved = len(survey.todo) - (len(self._failed) - len(survey.failed))
        return Outcome(
            files=len(self._items),
            bytes=survey.bytes,
            present=present,
            moved=moved,
            bytes_moved=self.state.bytes_moved,
            unverified=self._unverified,
            failed=tuple(self._failed),
            checksums=self._checksums,
            seconds=time.monotonic() - began,
        )

    # -- what threads do ------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while (taken_up := self._next()) is not None:
                job, index = taken_up
                if index is None:
                    self._begin(job)
                else:
                    self._fetch(job, index)
        except BaseException as error:  # noqa: BLE001 - raised again in `run`, whatever it is
            with self._turn:
                self._fatal = self._fatal or error
                self._given_up.set()
                self._turn.notify_all()

    def _next(self) -> tuple[_Job, int | None] | None:
        """Return a piece to fetch, or a file to open (None for its piece); None at the end."""
        with self._turn:
            while not self._given_up.is_set():
                for job in self._open:
                    if job.pending:
                        job.flying += 1
                        return job, job.pending.popleft()
                if self._queue:
                    self._opening += 1
                    return self._queue.popleft(), None
                if not self._opening and not self._open:
                    return None
                self._turn.wait()
            return None

    def _begin(self, job: _Job) -> None:
        """Open a file at the first of its copies left, and see what of it is there."""
        try:
            job.url = job.copies.pop(0)
            known = job.item.file
            job.original = Original(job.url, self._access, self._given_up, known.size_bytes)
            check_size(job.original.url, job.original.size, job.size)
            identity = known.checksum or " ".join(
                [*job.original.checksums, job.original.tag or "", job.original.url]
            )
            job.partial = Partial(self._folder / job.item.path, job.size, identity)
            job.pending = deque(sorted({*range(len(job.partial.ranges))} - job.partial.have))
            if job.whole:
                job.partial.wipe()
                job.pending = deque([0])
            self._count_here(job, job.partial)
        except TaskError as error:
            job.broken = error
        with self._turn:
            self._opening -= 1
            self._open.append(job)
            nothing = not job.pending
            self._turn.notify_all()
        if nothing:
            self._close(job)

    def _count_here(self, job: _Job, partial: Partial) -> None:
        """Count what is there of a file; after a first try, what that had moved is corrected."""
        size = sum(stop - start for start, stop in map(partial.ranges.__getitem__, partial.have))
        with self.state.lock:
            if job.counted is None:
                self.state.bytes_here += size
            else:
                self.state.bytes_moved += size - job.counted
            job.counted = size

    def _count(self, job: _Job, size: int) -> None:
        with self.state.lock:
            self.state.bytes_moved += size
            job.counted = (job.counted or 0) + size

    def _fetch(self, job: _Job, index: int) -> None:
        """Fetch a piece; who fetches the last one of a file closes it."""
        assert job.original is not None
        assert job.partial is not None
        try:
            if job.whole:
                self._fetch_whole(job, job.original, job.partial)
            else:
                data = job.original.piece(*job.partial.ranges[index])
                job.partial.write(index, data)
                self._count(job, len(data))
        except TaskError as error:
            with self._turn:
                job.broken = job.broken or error
                job.pending.clear()
        with self._turn:
            job.flying -= 1
            last = not job.flying and not job.pending
        if last:
            self._close(job)

    def _fetch_whole(self, job: _Job, original: Original, partial: Partial) -> None:
        assert isinstance(original.remote, WebFile)
        remote, highest = original.remote, 0

        def write(data: memoryview, at: int) -> None:
            nonlocal highest
            if self._given_up.is_set():
                raise PassingError("given up")
            partial.write_at(at, data)
            self._count(job, max(0, at + len(data) - highest))
            highest = max(highest, at + len(data))

        patiently(lambda: remote.whole(job.size, write), self._access, original.url, self._given_up)

    def _close(self, job: _Job) -> None:
        """Verify a file that is whole, and name it; or try once more, or from another copy."""
        done = again = False
        try:
            if job.broken is not None:
                raise job.broken
            assert job.partial is not None
            done = self._is_right(job)
            again = not done
            if done:
                job.partial.finish()
        except TaskError as error:
            done, job.broken = False, None
            job.errors.append(error)
            if not self._given_up.is_set():
                again = bool(job.copies)
                if not again:
                    self._give_up(job)
        finally:
            job.close()
        with self._turn:
            self._open.remove(job)
            if again:
                job.original = job.partial = None
                job.pending.clear()
                self._queue.appendleft(job)
            self.state.files_done += done
            self._turn.notify_all()

    def _give_up(self, job: _Job) -> None:
        told = next((one for one in job.errors if isinstance(one, TransientError)), job.errors[0])
        if isinstance(told, CredentialsError):
            raise told
        with self._turn:
            self._failed.append((job.item, told))
            self.state.files_failed += 1

    def _is_right(self, job: _Job) -> bool:
        """Whether the checksum is right. False: begin anew; wrong twice alike raises InputError."""
        assert job.original is not None
        assert job.partial is not None
        known = job.item.file.checksum
        expected = verifiable([known] if known else job.original.known_checksums())
        if not expected:
            with self._turn:
                self._unverified += 1
            return True
        found = job.partial.sums(expected)
        if found == expected:
            kind = next((one for one in ("adler32", "md5") if one in found), next(iter(found)))
            with self._turn:
                self._checksums[job.item.path] = f"{kind}:{found[kind]}"
            return True
        twice, job.damaged = found == job.damaged, found
        job.partial.wipe()
        if not twice:
            job.copies.insert(0, job.url)
            return False
        why = ", ".join(
            f"{kind} is {value}, the catalogue or the store says {expected[kind]}"
            for kind, value in found.items()
        )
        raise InputError(
            "the file has another checksum than it should",
            why=why,
            where=job.original.url,
            hint="the copy there is damaged, or another file: take it from another place",
        )

    # -- looking around -------------------------------------------------------------------------

    def _sizes(self, failed: list[tuple[Item, TaskError]]) -> list[int | None]:
        """Return the size of each file; one that nobody can tell is in `failed`, and None here."""

        def ask(item: Item) -> int | TaskError:
            if item.file.size_bytes is not None:
                return item.file.size_bytes
            error: TaskError | None = None
            for url in item.urls:
                try:
                    original = Original(url, self._access, self._given_up)
                except TaskError as other:
                    error = error or other
                    continue
                original.close()
                return original.size
            assert error is not None
            return error

        with ThreadPoolExecutor(self._streams, thread_name_prefix="sizes") as threads:
            told = list(threads.map(ask, self._items))
        sizes: list[int | None] = []
        for item, said in zip(self._items, told, strict=True):
            if isinstance(said, CredentialsError):
                raise said
            if isinstance(said, TaskError):
                failed.append((item, said))
            sizes.append(said if isinstance(said, int) else None)
        return sizes


def check_space(survey: Survey, folder: Path) -> None:
    """Raise UsageError if the disk has not what the download needs."""
    if survey.needed_bytes > survey.free_bytes:
        raise UsageError(
            "no space for the download",
            why=f"it needs {survey.needed_bytes / 1e6:,.1f} MB more, the disk has "
            f"{survey.free_bytes / 1e6:,.1f} MB left",
            where=str(folder),
            hint="choose a larger disk, or a part of the set: --filter, --limit",
        )


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _no_folder(path, error) from error


def _allocated(path: Path, size: int) -> int:
    """Return how much of a file of `size` bytes has its place on the disk already."""
    try:
        return min(size, path.stat().st_blocks * 512)
    except OSError:
        return 0


def _nearest(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.is_dir())


def _no_folder(path: Path, error: OSError) -> UsageError:
    return UsageError("cannot download there", why=error.strerror, where=str(path))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder: two downloads into it would write into each other's files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _no_folder(folder, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                "another download is at work in this folder",
                where=str(folder),
                hint="wait for it, or name another folder",
            ) from None
        yield
    finally:
        os.close(descriptor)
