"""The run directory: `runs/<run-id>/`, made whole or not at all, driven by one process at a time.

run.json            settings, versions, code digest
manifest.jsonl.gz   a header, then one task a line
ledger.sqlite       every task, attempt and result
plots/ logs/
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from higgsdemo.errors import RunError, UsageError, nearest
from higgsdemo.ledger.database import Ledger
from higgsdemo.ledger.manifest import Manifest, read_manifest, write_manifest
from higgsdemo.model import Sample, Task

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True)
class RunDirectory:
    """A run on disk."""

    path: Path

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
        """The content of run.json."""
        return dict(json.loads((self.path / "run.json").read_text()))

    def manifest(self) -> Manifest:
        """Read the manifest."""
        return read_manifest(self.path / "manifest.jsonl.gz")

    def ledger(self) -> Ledger:
        """Open the ledger; close it after use (it is a context manager)."""
        return Ledger.open(self.path / "ledger.sqlite")

    @contextlib.contextmanager
    def driving(self) -> Iterator[None]:
        """Hold the run: only one process may drive it. Freed by the system if we are killed."""
        with (self.path / "lock").open("a+") as lock:
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
            yield


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
        making = Path(tempfile.mkdtemp(prefix=f".making-{name}-", dir=root))
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
    except FileExistsError:
        raise RunError(f"run {name} exists", where=str(final), hint=hint) from None
    except OSError as error:
        if final.exists():
            raise RunError(f"run {name} exists", where=str(final), hint=hint) from None
        raise RunError(
            f"run {name} cannot be written",
            where=str(root),
            why=error.strerror or str(error),
            hint="free some space or choose another folder with --runs",
        ) from error
    return RunDirectory(final)


def open_run(root: Path, name: str) -> RunDirectory:
    """Find a run by name, or by the path of its folder; RunError with the nearest names."""
    for path in (root / name, Path(name)):
        if (path / "run.json").is_file():
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
    found = [path for path in root.iterdir() if (path / "run.json").is_file()]
    return [path.name for path in sorted(found, key=lambda path: path.stat().st_ctime_ns)]
