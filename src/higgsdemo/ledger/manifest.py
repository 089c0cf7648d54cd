"""The manifest: what a run is to do. A header with the samples, then one task a line."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from higgsdemo.errors import RunError
from higgsdemo.model import Sample, Task
from higgsdemo.model.text import parse_json

MANIFEST_SCHEMA = 1


@dataclass(frozen=True)
class Manifest:
    """The samples of a run (without their file lists) and its tasks, in order.

    `digest` is that of the file it was read from.
    """

    run_id: str
    samples: tuple[Sample, ...]
    tasks: tuple[Task, ...]
    digest: str | None = field(default=None, compare=False)


def manifest_text(manifest: Manifest) -> bytes:
    """Return the manifest as text; its digest is the SHA-256 of this."""
    header = {
        "schema": MANIFEST_SCHEMA,
        "run": manifest.run_id,
        "samples": [_sample_to_json(sample) for sample in manifest.samples],
        "tasks": len(manifest.tasks),
    }
    lines = [json.dumps(header), *(json.dumps(task.to_json()) for task in manifest.tasks)]
    return ("\n".join(lines) + "\n").encode()


def write_manifest(path: Path, manifest: Manifest) -> str:
    """Write the manifest and return its digest."""
    text = manifest_text(manifest)
    path.write_bytes(gzip.compress(text, compresslevel=6, mtime=0))
    return hashlib.sha256(text).hexdigest()


def read_manifest(path: Path) -> Manifest:
    """Read a manifest; RunError if it is damaged or newer than this program."""
    try:
        text = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise RunError("the manifest cannot be read", where=str(path), why=str(error)) from error
    return parse_manifest(text, str(path))


def parse_manifest(text: bytes, where: str) -> Manifest:
    """Read the text of a manifest; RunError if it is damaged or newer than this program."""
    try:
        head, *lines = text.splitlines()
        header = parse_json(head)
        if header["schema"] > MANIFEST_SCHEMA:
            raise RunError(
                "the manifest is newer than this program",
                where=where,
                why=f"schema {header['schema']}, this program knows {MANIFEST_SCHEMA}",
                hint="update higgsdemo",
            )
        tasks = tuple(Task.from_json(parse_json(line)) for line in lines)
        if len(tasks) != header["tasks"]:
            raise ValueError(f"{len(tasks)} tasks, the header says {header['tasks']}")
        samples = tuple(_sample_from_json(sample) for sample in header["samples"])
        return Manifest(header["run"], samples, tasks, hashlib.sha256(text).hexdigest())
    except (AttributeError, ValueError, KeyError, TypeError) as error:
        raise RunError("the manifest cannot be read", where=where, why=str(error)) from error


def _sample_to_json(sample: Sample) -> dict[str, Any]:
    document = dataclasses.asdict(dataclasses.replace(sample, files=()))
    del document["files"]
    return document


def _sample_from_json(document: dict[str, Any]) -> Sample:
    return Sample(files=(), **{**document, "channels": tuple(document["channels"])})
