"""A folder as a sink: `file:///shared/results`, for workers that share a disk."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

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
from higgsdemo.storage.patience import Rate

MAKING = ".making"
LEFTOVER_S = 3600  # writing one takes milliseconds: what is older was killed

_FINAL = {
    errno.EACCES: CredentialsError,
    errno.EPERM: CredentialsError,
    errno.EROFS: CredentialsError,
    errno.ENOENT: RunError,
    errno.ENOTDIR: RunError,
    errno.ENAMETOOLONG: RunError,
}
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}


class FolderSink(Closing):
    """Files `<folder>/<run>/results/<name>.jsonl.gz`, each linked to its name once it is whole."""

    poll_s = 1.0
    is_record = True

    def __init__(
        self, folder: Path, url: str, patience: Patience, uploads: Rate | None = None
    ) -> None:
        self._folder = folder
        self._uploads = uploads
        self._patience = patience
        self.url = url

    def deliver(self, outcome: Result | Failure, run_id: str) -> None:
        """Write the outcome, see `Sink.deliver`."""
        name, payload = pack(outcome, run_id)
        if self._uploads:
            self._uploads.take(len(payload))
        persist(lambda: self._write(run_id, name, payload), self._explain, self._patience)

    def _write(self, run_id: str, name: str, payload: bytes) -> None:
        results = self._folder / run_id / "results"
        with self._made(run_id, payload) as made:
            results.mkdir(exist_ok=True)
            for number in range(COPIES):
                final = results / (copy_of(name, number) + ENDING)
                if _link(made, final) or same_content(final.stem[: -len(".jsonl")], _read(final)):
                    break
            else:
                raise damaged(name, self.url)
            _sync(results)

    @contextlib.contextmanager
    def _made(self, run_id: str, payload: bytes) -> Iterator[Path]:
        """Write a file of the run that has no name yet."""
        making = self._folder / run_id / MAKING
        if not self._folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self._folder))
        making.mkdir(parents=True, exist_ok=True)
        _sweep(making)
        made = making / secrets.token_hex(8)
        try:
            with made.open("xb") as file:
                file.write(payload)
                file.flush()
                os.fsync(file.fileno())
            yield made
        finally:
            made.unlink(missing_ok=True)

    def publish(self, run_id: str, plan: bytes) -> bytes:
        """Put the plan of a run beside its results, see `Sink.publish`."""
        final = self._folder / check_run_id(run_id) / PLAN

        def put() -> bytes:
            with self._made(run_id, plan) as made:
                if _link(made, final):
                    _sync(final.parent)
            return final.read_bytes()

        return persist(put, self._explain, self._patience)

    def plan(self, run_id: str) -> bytes | None:
        """Return the plan of a run, see `Sink.plan`."""
        path = self._folder / check_run_id(run_id) / PLAN
        return persist(lambda: _read(path), self._explain, self._patience)

    def runs(self) -> list[str]:
        """Return the runs that have a plan here, see `Sink.runs`."""

        def look() -> list[str]:
            return sorted(path.parent.name for path in self._folder.glob(f"*/{PLAN}"))

        return [name for name in persist(look, self._explain, self._patience) if is_run_id(name)]

    def has_result(self, run_id: str, task_id: str) -> bool:
        """Whether there is a result of the task, see `Sink.has_result`."""
        files = self._list(self._folder / check_run_id(run_id) / "results")
        return any(is_result_of(file.removesuffix(ENDING), task_id) for file in files)

    def pages(
        self,
        run_id: str,
        after: str = "",  # noqa: ARG002
        known: Known = lambda _: False,
    ) -> Iterator[Page]:
        """Yield what is new in the folder, see `Sink.pages`; `after` has no meaning here."""
        results = self._folder / check_run_id(run_id) / "results"
        for names in _chunks(self._list(results), known):
            yield Page(tuple(arrival for name in names if (arrival := self._fetch(results, name))))

    def _list(self, results: Path) -> list[str]:
        def scan() -> list[str]:
            if not self._folder.is_dir():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self._folder))
            try:
                return sorted(path.name for path in results.iterdir())
            except FileNotFoundError:
                return []  # nothing was delivered yet

        return persist(scan, self._explain, self._patience)

    def _fetch(self, results: Path, file: str) -> Arrival | None:
        name = file.removesuffix(ENDING)
        if not (file.endswith(ENDING) and is_name(name)):
            return strange(file)
        payload = persist(lambda: _read(results / file), self._explain, self._patience)
        return None if payload is None else Arrival(name, payload)

    def trim(self, run_id: str, cursor: str) -> None:
        """Files stay: they are the record."""

    def _explain(self, error: Exception) -> HiggsdemoError | None:
        if not isinstance(error, OSError):
            return error if isinstance(error, HiggsdemoError) else None
        kind = _FINAL.get(error.errno or 0, TransientError)
        return kind(
            "the sink cannot be used",
            why=error.strerror or str(error),
            where=error.filename if isinstance(error.filename, str) else self.url,
            hint="the folder must be there, and seen by workers and collector alike",
        )


def _chunks(files: list[str], known: Known) -> Iterator[list[str]]:
    new = [file for file in files if not known(file.removesuffix(ENDING))]
    return (new[start : start + PAGE] for start in range(0, len(new), PAGE))


def _link(made: Path, final: Path) -> bool:
    """Give the file its name; False if another has it."""
    try:
        os.link(made, final)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if final.exists():
            return False
        made.rename(final)  # no hard links here: as atomic; of two at once the later stays
    return True


def _read(path: Path) -> bytes | None:
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    return None


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(making: Path) -> None:
    """Remove what workers that were killed left behind."""
    with os.scandir(making) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if time.time() - entry.stat().st_mtime > LEFTOVER_S:
                    Path(entry.path).unlink()
