"""The run directory: `runs/<run-id>/`, made whole or not at all, driven by one process at a time.

run.json            settings, versions, code digest
manifest.jsonl.gz   a header, then one task a line
ledger.sqlite       every task, attempt and result
plots/ logs/
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from higgsdemo.errors import RunError, UsageError, nearest
from higgsdemo.ledger.database import Ledger
from higgsdemo.ledger.handover import Handover
from higgsdemo.ledger.manifest import Manifest, read_manifest, write_manifest
from higgsdemo.model import Sample, Task

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_MAKING = ".making-"  # begins the names of folders in which a run is still being made
_LEFTOVER_S = 3600  # making one takes seconds: what is older was killed


@dataclass(frozen=True)
class RunDirectory:
    """A run on disk.

    What this process collects into its ledger goes through `handover` to who follows it here.
    """

    path: Path
    handover: Handover = field(default_factory=Handover, compare=False, repr=False)

    @property
    def id(self) -> str:
        """The run id."""
        return self.path.name

    @property
    def plots(self) -> Path:
        """Where its plots go."""
        return self.path / "plots"

    @property
    def logs(self) -> Path:
        """Where its workers' logs go."""
        return self.path / "logs"

    @property
    def record(self) -> dict[str, Any]:
        """The content of run.json; RunError if it is damaged."""
        path = self.path / "run.json"
        try:
            return dict(json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise RunError("run.json cannot be read", where=str(path), why=str(error)) from error

    def manifest(self) -> Manifest:
        """Read the manifest; it never changes, so once for all parts of a program."""
        path = self.path / "manifest.jsonl.gz"
        try:
            found = path.stat()
        except OSError:
            return read_manifest(path)  # which tells why
        return _manifest(path, found.st_ino, found.st_mtime_ns, found.st_size)

    def ledger(self) -> Ledger:
        """Open the ledger; close it after use (it is a context manager)."""
        ledger = Ledger.open(self.path / "ledger.sqlite")
        ledger.handover = self.handover
        return ledger

    def look(self) -> Ledger:
        """Open the ledger only to look, which a folder that cannot be written allows too."""
        return Ledger.open(self.path / "ledger.sqlite", to_look=True)

    @contextlib.contextmanager
    def driving(self) -> Iterator[None]:
        """Hold the run: only one process may drive it. Freed by the system if we are killed.

        Raises RunError if another process holds it, or the folder cannot be written.
        """
        with contextlib.ExitStack() as held:
            try:
                lock = held.enter_context((self.path / "lock").open("a+"))
                self._hold(lock)
            except OSError as error:
                raise RunError(
                    f"run {self.id} cannot be locked",
                    where=str(self.path),
                    why=error.strerror or str(error),
                    hint="driving a run needs a folder that can be written and locked",
                ) from error
            yield

    @property
    def driven(self) -> bool | None:
        """Whether a process of this machine drives the run; None if the system does not tell.

        Looking takes no lock, so nobody is kept from driving it.
        """
        try:
            number = (self.path / "lock").stat().st_ino
        except OSError:
            return False
        try:
            locks = Path("/proc/locks").read_text()
        except OSError:
            return None
        return any(
            fields[1:2] == ["FLOCK"] and fields[5].rpartition(":")[2] == str(number)
            for fields in map(str.split, locks.splitlines())
        )

    def _hold(self, lock: IO[str]) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "another process"
            raise RunError(
                f"run {self.id} is being driven by {holder}",
                where=str(self.path),
                hint=f"wait for it, or watch it with: higgsdemo status {self.id}",
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {os.uname().nodename}")
        lock.flush()


@functools.lru_cache(maxsize=2)
def _manifest(path: Path, *_version: int) -> Manifest:
    return read_manifest(path)


def check_name(name: str) -> str:
    """Return `name` if it can be a run id: it ends up in paths, labels and keys."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a run",
            why="letters, digits, '.', '_' and '-', at most 63, a letter or digit first",
        )
    return name


def create_run(
    root: Path,
    name: str,
    *,
    record: Mapping[str, Any],
    samples: Sequence[Sample],
    tasks: Sequence[Task],
) -> RunDirectory:
    """Make a new run under `root`: complete in one step, or not there at all.

    Raises RunError if the name exists, the folder cannot be written or the disk is full.
    """
    final = root / check_name(name)
    hint = f"go on with it: higgsdemo resume {name}; or choose another name with --run"
    if final.exists():
        raise RunError(f"run {name} exists", where=str(final), hint=hint)
    try:
        root.mkdir(parents=True, exist_ok=True)
        _sweep(root)
        making = Path(tempfile.mkdtemp(prefix=f"{_MAKING}{name}-", dir=root))
        try:
            making.chmod(0o755)
            (making / "run.json").write_text(json.dumps({"id": name, **record}, indent=1) + "\n")
            manifest = Manifest(name, tuple(samples), tuple(tasks))
            digest = write_manifest(making / "manifest.jsonl.gz", manifest)
            with Ledger.create(making / "ledger.sqlite", name, digest) as ledger:
                ledger.plan(tasks)
            (making / "logs").mkdir()
            (making / "plots").mkdir()
            making.rename(final)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
    except (OSError, RunError) as error:
        if final.exists():  # another process was faster
            raise RunError(f"run {name} exists", where=str(final), hint=hint) from None
        why = error.why if isinstance(error, RunError) else error.strerror
        raise RunError(
            f"run {name} cannot be written",
            where=str(root),
            why=why or str(error),
            hint="free some space or choose another folder with --runs",
        ) from error
    return RunDirectory(final)


def _sweep(root: Path) -> None:
    """Remove what processes killed while they made a run left behind."""
    for path in root.glob(f"{_MAKING}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _LEFTOVER_S:
                shutil.rmtree(path, ignore_errors=True)


def open_run(root: Path, name: str) -> RunDirectory:
    """Find a run by name, or by the path of its folder; RunError with the nearest names."""
    for path in (root / name, Path(name)):
        if _is_run(path):
            return RunDirectory(path.resolve())
    known = run_names(root)
    raise UsageError(
        f"there is no run {name!r}",
        where=str(root),
        nearest=nearest(name, known) or known[-3:],
        hint="see the runs there are: higgsdemo status",
    )


def run_names(root: Path) -> list[str]:
    """Return the runs under `root`, oldest first."""
    if not root.is_dir():
        return []
    # run.json is written once; the folder itself changes as long as the run is worked on.
    made = [
        ((path / "run.json").stat().st_mtime_ns, path.name)
        for path in root.iterdir()
        if _is_run(path)
    ]
    return [name for _, name in sorted(made)]


def _is_run(path: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):  # e.g. a name too long for the file system
        return not path.name.startswith(_MAKING) and (path / "run.json").is_file()
    return False
