"""From records of the portal to samples: files, sizes and checksums put in their places."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Literal

from higgsdemo.catalog.bare import bare_sample
from higgsdemo.catalog.builtin import builtin_names, load_builtin, published_sample
from higgsdemo.catalog.load import load_set
from higgsdemo.catalog.names import logical_name
from higgsdemo.catalog.portal.cache import RecordCache
from higgsdemo.catalog.portal.client import Portal
from higgsdemo.catalog.portal.record import PortalBusyError, PortalError, Record
from higgsdemo.errors import UsageError
from higgsdemo.model.sample import InputFile, Sample, SampleSet

Protocol = Literal["root", "http"]
DAY_S = 86400.0
_EOS = "root://eospublic.cern.ch/"  # what the portal's own server stands for over HTTP
_FILES = "files"  # the key of `Sample.sources` that says where the list is from, and how old


def fetch_set(
    wanted: str | int | SampleSet | Sequence[int],
    *,
    portal: Portal | None = None,
    cache: RecordCache | None = None,
    refresh: bool = False,
    offline: bool = False,
    max_age_s: float = 7 * DAY_S,
    protocol: Protocol = "root",
    online_only: bool = False,
) -> SampleSet:
    """Return a sample set with the files that the portal lists for its records.

    `wanted` is a built-in set, a YAML file or a `SampleSet` whose samples name records, or
    record numbers themselves. Each file gets its size and checksum. Samples without a record
    stay as they are. `Sample.sources["files"]` says which record was read, when, whether that
    was the cache, and how many files are on tape.

    A record in the cache younger than `max_age_s` is not asked for again, unless `refresh`; an
    older one is used where the portal cannot be reached, and `sources` says so. `offline` asks
    nothing. `protocol` chooses root:// or http(s):// URLs. `online_only` leaves out files on
    tape; numbers that belong to the whole sample are then left out too.

    Raises PortalError (PortalBusyError where nothing in the cache can stand in), and
    UsageError for what `load_set` does not know, a set without records, or repeated names.
    """
    samples, bare = _set_of(wanted)
    numbers = [sample.record for sample in samples.samples if sample.record is not None]
    if not numbers:
        raise UsageError(
            f"no sample of set {samples.name!r} names a record of the portal",
            hint="give a sample its `record` number, or name record numbers themselves",
        )
    fetched = fetch_records(
        numbers,
        portal=portal,
        cache=cache,
        refresh=refresh,
        offline=offline,
        max_age_s=max_age_s,
    )
    filled = []
    for sample in samples.samples:
        if sample.record is None:
            filled.append(sample)
            continue
        record = fetched[sample.record]
        files = _files(record, sample, protocol, online_only)
        described = _described(record, files) if record.number in bare else sample
        filled.append(_filled(described, record, files))
    _refuse_shared_names(samples.name, filled)
    return dataclasses.replace(samples, samples=tuple(filled))


def fetch_records(
    numbers: Sequence[int],
    *,
    portal: Portal | None = None,
    cache: RecordCache | None = None,
    refresh: bool = False,
    offline: bool = False,
    max_age_s: float = 7 * DAY_S,
) -> dict[int, Record]:
    """Return records by number, from the cache or the portal; arguments as in `fetch_set`."""
    portal = portal or Portal()
    cache = cache or RecordCache()
    if refresh and offline:
        raise UsageError("to refresh is to ask the portal: it cannot be done offline")
    found: dict[int, Record] = {}
    away: PortalBusyError | None = None
    for number in dict.fromkeys(numbers):
        kept = cache.read(portal.server, number)
        # A clock that was put back makes the age negative: then it is not known.
        if kept and not refresh and (offline or 0 <= kept.age_s() < max_age_s):
            found[number] = kept
            continue
        if offline:
            raise PortalError(
                f"record {number} is not in the cache",
                where=str(cache.path(portal.server, number)),
                hint="fetch it once where the portal can be reached",
            )
        if away is None or kept is None or refresh:
            try:
                found[number] = _kept(cache, portal.record(number))
                continue
            except PortalBusyError as error:
                if kept is None or refresh:
                    raise
                away = error  # one such wait is enough: the other records are not asked for
        found[number] = dataclasses.replace(kept, note=away.why or away.what)
    return found


def _kept(cache: RecordCache, record: Record) -> Record:
    try:
        cache.write(record)
    except OSError as error:  # a full or read-only disk takes nothing away from the answer
        why = f"not kept in the cache: {error.strerror or error}"
        return dataclasses.replace(record, note=why)
    return record


def _set_of(wanted: str | int | SampleSet | Sequence[int]) -> tuple[SampleSet, frozenset[int]]:
    """Return the set that is wanted, and the records of it of which only the number is known."""
    if isinstance(wanted, SampleSet):
        return wanted, frozenset()
    if isinstance(wanted, str):
        if not wanted.isdecimal():
            return load_set(wanted), frozenset()
        wanted = int(wanted)
    numbers = [wanted] if isinstance(wanted, int) else list(dict.fromkeys(wanted))
    if not numbers or min(numbers) < 1:
        raise UsageError(
            "no record of the portal has this number",
            where=", ".join(str(number) for number in numbers) or "no number is given",
            hint="records are numbered from 1, see https://opendata.cern.ch",
        )
    known = {
        sample.record: sample for name in builtin_names() for sample in load_builtin(name).samples
    }
    samples = tuple(
        known.get(number) or Sample(f"record_{number}", "other", (), record=number)
        for number in numbers
    )
    name = "records" if len(numbers) > 1 else f"record-{numbers[0]}"
    bare = frozenset(numbers) - {number for number in known if number is not None}
    return SampleSet(name, samples, "CERN Open Data"), bare


def _files(
    record: Record, sample: Sample, protocol: Protocol, online_only: bool
) -> tuple[InputFile, ...]:
    """Return the files of a record; a luminosity that the sample had for one is kept."""
    luminosities = {file.name: file.luminosity_pb for file in sample.files}
    listed = [file for file in record.files if file.online or not online_only]
    if not listed:
        raise PortalError(
            f"all {len(record.files)} files of record {record.number} are on tape",
            where=f"{record.server}/record/{record.number}",
            hint="ask for them on the record's page, and come back when they are on disk",
        )
    files = []
    for file in listed:
        name = logical_name(file.uri, "/")
        url = file.uri.replace(_EOS, record.server, 1) if protocol == "http" else file.uri
        known = luminosities.get(name)
        files.append(InputFile(name, url, file.size_bytes, known, file.checksum))
    return tuple(files)


def _filled(sample: Sample, record: Record, files: tuple[InputFile, ...]) -> Sample:
    """Return the sample with these files of its record, and where they are from."""
    sources = sample.sources | {_FILES: _said(record, len(files)), "size_bytes": "the record"}
    filled = dataclasses.replace(sample, files=files, sources=sources)
    return filled if len(files) == len(record.files) else _part(filled)


def _described(record: Record, files: tuple[InputFile, ...]) -> Sample:
    """Return the sample of a record of which nothing is published here."""
    words = record.title.strip("/").split("/")
    dataset = record.title if record.title.startswith("/") and len(words) == 3 else None
    if dataset:
        name = f"{words[0]}_{words[1]}"
    elif len(files) == 1:
        name = PurePosixPath(files[0].name).stem
    else:
        name = f"record_{record.number}"
    known = published_sample(dataset=dataset) if dataset else None
    sample = known or bare_sample(name, files)
    # The names of few simulated samples say what they are; the record does.
    group = "other" if record.simulated and sample.is_data else sample.group
    sources = sample.sources | {"record": record.title}
    sample = dataclasses.replace(
        sample, record=record.number, dataset=dataset, group=group, sources=sources
    )
    if record.events and group != "data" and sample.generated_events is None:
        said = sources | {"generated_events": f"CERN Open Data record {record.number}"}
        return dataclasses.replace(sample, generated_events=record.events, sources=said)
    return sample


def _part(sample: Sample) -> Sample:
    """Return the sample without the numbers that belong to all of its files."""
    sources = dict(sample.sources)
    total = None
    if sample.is_data:
        known = [file.luminosity_pb for file in sample.files if file.luminosity_pb is not None]
        if len(known) == len(sample.files):
            total = sum(known)
        sources["luminosity_pb"] = "the files on disk" if total is not None else "none: a part"
    else:
        sources["generated_events"] = "the events read: these files are a part of the sample"
    return dataclasses.replace(sample, luminosity_pb=total, generated_events=None, sources=sources)


def _said(record: Record, taken: int) -> str:
    """Return where a list of files is from, how old it is, and what must be known about it."""
    doi = f" (DOI {record.doi})" if record.doi else ""
    said = [f"CERN Open Data record {record.number}{doi} at {record.server}"]
    age_s = record.age_s(datetime.now(UTC))
    said.append(f"asked {record.fetched:%Y-%m-%d %H:%M} UTC, {_ago(age_s)}")
    if record.note:
        said.append(record.note)
    tape = sum(not file.online for file in record.files)
    if taken < len(record.files):
        said.append(f"{tape} of {len(record.files)} files are on tape and left out")
    elif tape:
        said.append(f"{tape} of {len(record.files)} files are on tape: ask for them there first")
    return "; ".join(said)


def _ago(age_s: float) -> str:
    if age_s < 0:
        return "at a time that this machine's clock has not reached"
    for unit, length_s in (("days", DAY_S), ("hours", 3600.0), ("minutes", 60.0)):
        if age_s >= length_s:
            return f"{age_s / length_s:.1f} {unit} ago"
    return "just now"


def _refuse_shared_names(name: str, samples: Sequence[Sample]) -> None:
    seen: dict[str, int | None] = {}
    for sample in samples:
        if sample.name in seen:
            raise UsageError(
                f"two samples are called {sample.name!r}",
                where=f"sample set {name!r}, records {seen[sample.name]} and {sample.record}",
                hint="describe them in a samples.yaml, each with a name of its own",
            )
        seen[sample.name] = sample.record
