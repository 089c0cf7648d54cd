"""What the portal has said, kept on disk: one JSON file a record.

`~/.cache/higgsdemo/portal/v1/SERVER/NUMBER.json`, or below `XDG_CACHE_HOME`. A file is put in
place in one step, so readers and killed writers leave no half of one. Whatever cannot be read
back counts as not there: it can be had again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import tempfile
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from higgsdemo.catalog.portal.record import Record, RecordFile
from higgsdemo.errors import UsageError

CACHE_SCHEMA = 1


def default_folder() -> Path:
    """Return where the cache is: below `XDG_CACHE_HOME` where that is absolute, or ~/.cache.

    Raises UsageError where this user has no home folder, as in some containers.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():  # the XDG specification has relative paths ignored
        try:
            base = Path("~/.cache").expanduser()
        except RuntimeError as error:
            raise UsageError(
                "there is no place for the cache",
                why="this user has no home folder",
                hint="name a folder in XDG_CACHE_HOME",
            ) from error
    return base / "higgsdemo" / "portal"


@dataclass(frozen=True, slots=True)
class RecordCache:
    """The records kept below `folder`."""

    folder: Path = field(default_factory=default_folder)

    def path(self, server: str, number: int) -> Path:
        """Return the file in which this record is kept."""
        host = re.sub(r"[^A-Za-z0-9.]+", "-", server)
        return self.folder / f"v{CACHE_SCHEMA}" / host / f"{number}.json"

    def read(self, server: str, number: int) -> Record | None:
        """Return the record as it was fetched last; None where it was not, or is unreadable."""
        try:
            document = json.loads(self.path(server, number).read_bytes())
            if document.pop("schema") != CACHE_SCHEMA:
                return None
            document["fetched"] = datetime.fromisoformat(document["fetched"])
            document["files"] = tuple(RecordFile(*file) for file in document["files"])
            record = Record(**document)
            right = (record.server, record.number) == (server, number)
            return record if right and record.files and record.fetched.tzinfo else None
        except (OSError, ValueError, AttributeError, KeyError, TypeError):
            return None

    def write(self, record: Record) -> None:
        """Keep a record; OSError where that is not possible."""
        path = self.path(record.server, record.number)
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {
            field.name: getattr(record, field.name)
            for field in dataclasses.fields(Record)
            if field.name != "note"
        }
        document |= {
            "schema": CACHE_SCHEMA,
            "fetched": record.fetched.isoformat(),
            "files": [dataclasses.astuple(file) for file in record.files],
        }
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "w") as stream:
                json.dump(document, stream)
                stream.flush()
                os.fsync(stream.fileno())
            Path(partial).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(partial).unlink()
            raise
