"""What is analysed where: samples, file indexes, and mappings of them to clusters."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from higgsdemo.cli.parts.planning import load_samples
from higgsdemo.clusters.mapping import ClusterEntry
from higgsdemo.errors import UsageError
from higgsdemo.model import InputFile, SampleSet

DatasetMapping = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Which cluster works on which file indexes (config/)."),
]
DatasetIndex = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Where the file indexes are.", show_default="here"),
]
DatasetPattern = Annotated[
    str, typer.Option(metavar="GLOB", help="Only file indexes that match, e.g. '*Higgs*'.")
]
ClusterPrefix = Annotated[
    str, typer.Option(help="Begins the names of a mapping's clusters; a number ends them.")
]


def given_words(
    samples: list[str] | None, mapping: Path | None, index: Path | None, pattern: str
) -> list[str]:
    """Return what a user named, for the record. Raises UsageError if that is nothing, or both."""
    if samples and mapping:
        raise UsageError("--samples and --dataset-mapping exclude each other")
    if not samples and not mapping and not pattern and index is None:
        raise UsageError(
            "nothing to analyse is named",
            hint="--samples nanoaod-2012, --dataset-mapping FILE, or --dataset-pattern GLOB",
        )
    parts = [*(samples or []), str(mapping or ""), str(index or ""), pattern]
    return [part for part in parts if part]


def find_datasets(
    samples: list[str] | None,
    entries: tuple[ClusterEntry, ...],
    folder: Path | None,
    pattern: str,
    *,
    mapped: set[str],
) -> tuple[SampleSet, dict[str, str] | None, tuple[str, ...]]:
    """Return the samples, the cluster of each file where a mapping decides, and what is said."""
    if samples:
        return load_samples(samples, None, None), None, ()
    if not entries:
        paths = sorted((folder or Path.cwd()).glob(pattern or "*.txt"))
        if not paths:
            where = str(folder or Path.cwd())
            raise UsageError(f"no file index matches {pattern or '*.txt'!r}", where=where)
        return load_samples([str(path) for path in paths], None, None), None, ()
    from higgsdemo.clusters.datasets import resolve

    if pattern:
        entries = tuple(
            dataclasses.replace(
                entry,
                datasets=tuple(
                    one for one in entry.datasets if fnmatch.fnmatch(Path(one).name, pattern)
                ),
            )
            for entry in entries
        )
    resolved = resolve(entries, folder)
    names = {entry.name for entry in entries}
    # Clusters named beside a mapping that is not of them: its files, shared out among these.
    owners = dict(resolved.owners) if names <= mapped else None
    return resolved.samples, owners, resolved.repeated


def moved(found: SampleSet, bucket: str, storage_type: str) -> SampleSet:
    """Return the samples as they lie in another bucket, or kind of store, under the same keys."""
    if not bucket and storage_type == "s3":
        return found
    scheme = "gs" if storage_type == "gcs" else "s3"

    def elsewhere(file: InputFile) -> InputFile:
        old, _, rest = file.url.partition("://")
        if old not in ("s3", "gs"):
            if not bucket:
                return file
            raise UsageError("--bucket is for files in buckets", where=file.url)
        there, _, key = rest.partition("/")
        return dataclasses.replace(file, url=f"{scheme}://{bucket or there}/{key}")

    return _with_files(found, elsewhere)


def sized(found: SampleSet, size_bytes: int) -> SampleSet:
    """Return the samples with this size for files of which it is not known."""

    def filled(file: InputFile) -> InputFile:
        if file.size_bytes is not None:
            return file
        return dataclasses.replace(file, size_bytes=size_bytes)

    return _with_files(found, filled)


def _with_files(found: SampleSet, change: Callable[[InputFile], InputFile]) -> SampleSet:
    """Return the samples with each of their files changed."""
    return dataclasses.replace(
        found,
        samples=tuple(
            dataclasses.replace(sample, files=tuple(map(change, sample.files)))
            for sample in found.samples
        ),
    )
