"""A sample set as YAML, to be kept, changed and given to `load_set` again."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from pathlib import Path
from typing import Any

import yaml

from higgsdemo.catalog.names import is_url, logical_name
from higgsdemo.catalog.schema import FileEntry, SampleEntry
from higgsdemo.errors import UsageError
from higgsdemo.model.sample import InputFile, Sample, SampleSet

_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # libyaml where it is built in
_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Sample)}


def set_to_yaml(samples: SampleSet) -> str:
    """Return the YAML from which `load_set` makes this set again."""
    document: dict[str, Any] = {"name": samples.name}
    document |= {
        key: value
        for key, value in (("title", samples.title), ("description", samples.description))
        if value
    }
    if samples.demo:
        document["demo"] = True
    document["samples"] = [_sample(sample) for sample in samples.samples]
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
    return text


def write_set(samples: SampleSet, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a set as YAML, in one step, and return where.

    Raises UsageError where the file exists (unless `overwrite`) or cannot be written.
    """
    path = Path(path).expanduser()
    if path.exists() and not overwrite:
        raise UsageError("the sample set is there already", where=str(path), hint="name another")
    partial = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(set_to_yaml(samples))
        Path(partial).chmod(0o644)
        Path(partial).replace(path)
    except OSError as error:
        if partial is not None:
            with contextlib.suppress(OSError):
                Path(partial).unlink()
        raise UsageError(
            "cannot write the sample set", why=error.strerror or str(error), where=str(path)
        ) from error
    return path


def _sample(sample: Sample) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": sample.name, "group": sample.group}
    for key in SampleEntry.model_fields:
        value = getattr(sample, key, None)
        if key in entry or key in ("files", "sources") or value in (None, _DEFAULTS.get(key)):
            continue
        entry[key] = list(value) if isinstance(value, tuple) else value
    if sample.sources:
        entry["sources"] = dict(sample.sources)
    if sample.files:
        entry["files"] = [_file(file) for file in sample.files]
    return entry


def _file(file: InputFile) -> dict[str, Any]:
    values = {key: getattr(file, key) for key in FileEntry.model_fields} | {
        "replicas": list(file.replicas) or None,
        "name": None if _says_name(file) else file.name,
    }
    return {key: value for key, value in values.items() if value is not None}


def _says_name(file: InputFile) -> bool:
    """Whether the place of a file says its logical name."""
    said = logical_name(file.url, "/") if is_url(file.url) else file.url
    return file.name == said or Path(file.url).is_absolute()
