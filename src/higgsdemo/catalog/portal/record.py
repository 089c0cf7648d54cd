"""A record of the CERN Open Data portal: its ROOT files, and the portal's JSON read into it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from higgsdemo.errors import HiggsdemoError, UsageError

ON_TAPE = "on demand"  # the portal's word for files that must be staged from tape first
_BARE = re.compile(r"[0-9a-f]{1,8}", re.IGNORECASE)
_CHECKSUM = re.compile(r"[a-z0-9]+:[0-9a-f]+", re.IGNORECASE)


class PortalError(HiggsdemoError):
    """The portal has not what was asked for, or answers what is not understood."""


class PortalBusyError(PortalError):
    """The portal cannot be reached or is too busy: the same may work later."""

    retry_after_s: float = 0.0  # what the portal asks to wait, seconds


@dataclass(frozen=True, slots=True)
class RecordFile:
    """A ROOT file of a record.

    `uri` begins with root://, `checksum` is "adler32:1a2b3c4d" (None where the portal has
    none); `online` is False for files on tape, which must be asked for on the record's page.
    """

    uri: str
    size_bytes: int
    checksum: str | None = None
    online: bool = True


@dataclass(frozen=True, slots=True)
class Record:
    """A record as the portal at `server` described it at `fetched` (UTC).

    `note` says what must be known about how it was had: that the portal could not be asked
    again, or that the cache did not take it.
    """

    number: int
    server: str
    fetched: datetime
    title: str
    files: tuple[RecordFile, ...]
    doi: str | None = None
    events: int | None = None
    simulated: bool | None = None
    note: str | None = None

    def age_s(self, now: datetime | None = None) -> float:
        """Return how old this is, seconds; negative where a clock was put back."""
        return ((now or datetime.now(UTC)) - self.fetched).total_seconds()


def read_record(number: int, server: str, document: object) -> Record:
    """Return the record that the portal's answer to ``/api/records/NUMBER`` describes.

    cernopendata-client unwinds the file indexes. Files that are not ROOT files (indexes,
    programs, pictures) are left out. Raises PortalError where the answer has another form, is
    of another record, or lists no ROOT file.
    """
    where = f"{server}/api/records/{number}"
    client = _client()
    try:
        listed = client.get_files_list(
            server=server, record_json=document, protocol="xrootd", expand=True
        )
        metadata = _mapping(document, "metadata")
        _refuse_other_record(number, document, metadata)
        _refuse_short_indexes(metadata)
        tape = {file["uri"] for file in _entries(metadata) if file.get("availability") == ON_TAPE}
        files: dict[str, RecordFile] = {}
        for uri, size, checksum in listed:
            if not uri.endswith(".root"):
                continue
            file = RecordFile(uri, _size(uri, size), _checksum(uri, checksum), uri not in tape)
            if files.setdefault(uri, file) != file:
                raise ValueError(f"{uri} is there twice, with different sizes or checksums")
        kind = metadata.get("type") or {}
        secondary = kind.get("secondary") or []
        events = (metadata.get("distribution") or {}).get("number_events")
        record = Record(
            number=number,
            server=server,
            fetched=datetime.now(UTC),
            title=_text(metadata, "title"),
            files=tuple(files.values()),
            doi=_text(metadata, "doi") or None,
            events=events if type(events) is int and events > 0 else None,
            simulated="Simulated" in secondary if secondary else None,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PortalError(
            "the portal's answer has a form that is not known here",
            why=f"no {error}" if isinstance(error, KeyError) else str(error),
            where=where,
            hint="a newer cernopendata-client may know it: pip install -U cernopendata-client",
        ) from error
    if not record.files:
        raise PortalError(
            f"record {number} lists no ROOT file",
            why=f"it is {record.title!r}, with {len(listed)} files of other kinds",
            where=where,
            hint="take the record of a data set, not of a program or a document",
        )
    return record


def _client() -> Any:
    try:
        return importlib.import_module("cernopendata_client.searcher")
    except ModuleNotFoundError as error:
        raise UsageError(
            "the portal's records are read by cernopendata-client, which is not installed",
            why=str(error),
            hint="pip install 'higgsdemo[portal]'",
        ) from error


def _mapping(document: object, key: str) -> Mapping[str, Any]:
    found = document[key] if isinstance(document, Mapping) else None
    if not isinstance(found, Mapping):
        raise TypeError(f"{key!r} is no object with keys")
    return found


def _text(metadata: Mapping[str, Any], key: str) -> str:
    found = metadata.get(key) or ""
    if not isinstance(found, str):
        raise TypeError(f"{key!r} is no text: {found!r}")
    return found


def _entries(metadata: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from metadata.get("files", [])
    for index in metadata.get("_file_indices", []):
        yield from index["files"]


def _refuse_other_record(number: int, document: object, metadata: Mapping[str, Any]) -> None:
    """Compare the record's number; the portal writes 6004, "6004" or "cms-6004"."""
    given = metadata.get("recid", document.get("id") if isinstance(document, Mapping) else None)
    if given is not None and str(given).rpartition("-")[2] != str(number):
        raise ValueError(f"it is record {given}")


def _refuse_short_indexes(metadata: Mapping[str, Any]) -> None:
    for index in metadata.get("_file_indices", []):
        said = index.get("number_files")
        if said is not None and said != len(index["files"]):
            raise ValueError(f"{index.get('key')} has {said} files and lists {len(index['files'])}")


def _size(uri: str, size: object) -> int:
    if type(size) is not int or size < 0:
        raise TypeError(f"{uri} has the size {size!r}")
    return size


def _checksum(uri: str, checksum: object) -> str | None:
    """Return a checksum in one spelling; some old files have adler32 without its name."""
    if checksum is None or checksum == "":
        return None
    if isinstance(checksum, str) and _BARE.fullmatch(checksum):
        checksum = f"adler32:{checksum}"
    if not isinstance(checksum, str) or not _CHECKSUM.fullmatch(checksum):
        raise ValueError(f"{uri} has the checksum {checksum!r}")
    kind, _, digits = checksum.lower().partition(":")
    return f"{kind}:{digits.zfill(8)}"
