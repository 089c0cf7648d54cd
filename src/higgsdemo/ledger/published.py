"""A run's plan in the sink of its results: for who follows the run where its folder is not.

A plan is gzip of lines of JSON: a header with what the record of the run tells (no secrets, nothing
by which the run could be driven), then the manifest. Who finds it makes a run directory of it, a
copy to look at; its ledger fills from the sink.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from higgsdemo.errors import RunError, TransientError, UsageError, nearest
from higgsdemo.ledger.manifest import Manifest, manifest_text, parse_manifest
from higgsdemo.ledger.rundir import RunDirectory, create_run, open_run, run_names
from higgsdemo.model.text import parse_json
from higgsdemo.sinks import Sink

PLAN_SCHEMA = 1
COPY = "copy_of"
"""Where the record of a copy says which sink it is from."""

_TOLD = ("created", "samples", "workflow", "options", "certified_sections", "versions", "forecast")
_MOST_BYTES = 256 * 1024 * 1024  # unpacked; that of 26,920 tasks has 10 MB


class NameTakenError(UsageError):
    """The sink has another run of this name."""


def publish(run: RunDirectory, sinks: Iterable[Sink]) -> None:
    """Put the plan of a run into sinks. Raises what they raise, and as `refuse_taken`."""
    manifest = run.manifest()
    record = {key: run.record[key] for key in _TOLD if key in run.record}
    text = manifest_text(manifest)
    digest = hashlib.sha256(text).hexdigest()
    header = {"plan": PLAN_SCHEMA, "run": run.id, "manifest": digest, "record": record}
    packed = gzip.compress(json.dumps(header).encode() + b"\n" + text, compresslevel=6, mtime=0)
    for sink in sinks:
        kept = sink.publish(run.id, packed)
        if kept != packed:
            _refuse_another(run.id, digest, kept, sink.url)


def refuse_taken(manifest: Manifest, sinks: Iterable[Sink]) -> None:
    """Raise NameTakenError if a sink has another run of this name: its results would be of both."""
    digest = hashlib.sha256(manifest_text(manifest)).hexdigest()
    for sink in sinks:
        kept = sink.plan(manifest.run_id)
        if kept is not None:
            _refuse_another(manifest.run_id, digest, kept, sink.url)


def find_run(root: Path, name: str | None, sinks: Sequence[Sink]) -> RunDirectory:
    """Return the run that results in `sinks` are of; one that is not under `root` is copied there.

    Without a name: the newest under `root` if the sinks have it or tell of none, else the only one
    they have. UsageError, with the names there are, if that does not say which.
    """
    here = run_names(root)
    if name is not None and (name in here or (Path(name) / "run.json").is_file() or not sinks):
        return open_run(root, name)
    there = _there(sinks, needed=name is not None or not here)
    if name is None:
        name = _only(here, there, sinks)
    if name in here:
        return open_run(root, name)
    for sink in sinks:
        plan = sink.plan(name) if name in there else None
        if plan is not None:
            return _copy(root, name, plan, sink.url)
    raise UsageError(
        f"there is no run {name!r}",
        where=f"{root}; {', '.join(sink.url for sink in sinks)}",
        nearest=nearest(name, [*here, *there]) or there[-3:],
        hint="a run is known where it was submitted, and by the plan that was put into its sink",
    )


def _there(sinks: Sequence[Sink], *, needed: bool) -> list[str]:
    """Return the runs that sinks have; of one that is silent none, if we can do without."""
    found: set[str] = set()
    for sink in sinks:
        try:
            found.update(sink.runs())
        except TransientError:
            if needed:
                raise
    return sorted(found)


def _only(here: Sequence[str], there: Sequence[str], sinks: Sequence[Sink]) -> str:
    if here and (here[-1] in there or not there):
        return here[-1]
    if len(there) == 1:
        return there[0]
    where = ", ".join(sink.url for sink in sinks)
    if not there:
        raise UsageError(
            "there is no run yet",
            where=where,
            hint="name the folder of runs where it was submitted: --runs FOLDER",
        )
    raise UsageError(
        f"the sink has {len(there)} runs: which one?",
        where=where,
        hint=f"name one: {', '.join(there[-8:])}",
    )


def _copy(root: Path, name: str, packed: bytes, url: str) -> RunDirectory:
    header, manifest = _read(packed, name, url)
    record = {key: header["record"][key] for key in _TOLD if key in header["record"]}
    return create_run(
        root,
        name,
        record={**record, COPY: url},
        samples=manifest.samples,
        tasks=manifest.tasks,
    )


def _read(packed: bytes, name: str, url: str) -> tuple[dict[str, Any], Manifest]:
    where = f"{url}: the plan of {name}"
    try:
        head, _, text = _unpacked(packed).partition(b"\n")
        header = parse_json(head)
        if header["plan"] != PLAN_SCHEMA:
            raise ValueError(f"plan schema {header['plan']!r}, not {PLAN_SCHEMA}")
        if header["run"] != name or hashlib.sha256(text).hexdigest() != header["manifest"]:
            raise ValueError("it is not what its header says")
        if not isinstance(header["record"], dict):
            raise TypeError("its record is no object")
    except (zlib.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError("the plan of a run cannot be read", where=where, why=str(error)) from error
    manifest = parse_manifest(text, where)
    if manifest.run_id != name:
        raise RunError("the plan is of another run", where=where, why=repr(manifest.run_id))
    return header, manifest


def _unpacked(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    text = unpacker.decompress(packed, _MOST_BYTES)
    if not unpacker.eof:
        raise ValueError("it is truncated, or larger than any plan")
    return text


def _refuse_another(name: str, digest: str, kept: bytes, url: str) -> None:
    header, _ = _read(kept, name, url)
    if header["manifest"] != digest:
        raise NameTakenError(
            f"the sink has another run of the name {name}",
            where=url,
            why="results of both would be in one place",
            hint="give this one another name: --run NAME",
        )
