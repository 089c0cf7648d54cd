"""Opening the ledger's file: to write, or only to look, also where nothing may be written."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path

_COPIES = 5  # a copy is taken again if the file changed meanwhile

_Signature = tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True)
class Still:
    """What a ledger looked like when a picture of it was taken that does not follow it."""

    path: Path
    signature: _Signature
    copy: Path | None = None  # the folder of the picture

    @property
    def outdated(self) -> bool:
        """Whether the ledger has changed since."""
        return _signature(self.path) != self.signature

    def discard(self) -> None:
        """Remove the picture."""
        if self.copy is not None:
            shutil.rmtree(self.copy, ignore_errors=True)


def connect(path: Path) -> sqlite3.Connection:
    """Open a ledger's file to read and write; it is made if it is not there."""
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    try:
        # WAL lets readers look on while the driver writes; a kill -9 loses nothing committed.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_look(path: Path) -> tuple[sqlite3.Connection, Still | None]:
    """Open a ledger's file to read it while others write.

    Readers of a file in write-ahead mode share an index beside it. Where it is not there and the
    folder cannot be written, nobody writes to the ledger from here: what is returned is then a
    still picture, which says when it is outdated.
    """
    try:
        return _open(path, "mode=rw"), None
    except sqlite3.OperationalError:
        signature = _signature(path)
        if signature[1] is None or signature[1][1] == 0:  # no log beside it: the file is all
            return _open(path, "mode=ro&immutable=1"), Still(path, signature)
    return _open_copy(path)


def _open(path: Path, how: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{how}"
    connection = sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None)
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _open_copy(path: Path) -> tuple[sqlite3.Connection, Still]:
    """Copy the file with its log, which may hold what the file does not have yet."""
    folder = Path(tempfile.mkdtemp(prefix="higgsdemo-look-"))
    try:
        for _ in range(_COPIES):
            signature = _signature(path)
            for file in (path, _log(path)):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(file, folder / file.name)
            if _signature(path) == signature:
                break
        return _open(folder / path.name, "mode=rw"), Still(path, signature, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _signature(path: Path) -> _Signature:
    found: list[tuple[int, int] | None] = []
    for file in (path, _log(path)):
        try:
            about = file.stat()
            found.append((about.st_mtime_ns, about.st_size))
        except FileNotFoundError:
            found.append(None)
    return tuple(found)
