"""From the YAML form of a sample set to samples: files found, numbers put in their places."""

from __future__ import annotations

import dataclasses
import glob
import os
from collections.abc import Iterator
from pathlib import Path

from higgsdemo.catalog.indexes import LuminosityTable, merge_indexes, read_index
from higgsdemo.catalog.names import bucket_url, input_file, is_url, local_path, unique
from higgsdemo.catalog.schema import FileEntry, SampleEntry, SetEntry
from higgsdemo.errors import UsageError
from higgsdemo.model.sample import CHANNELS, InputFile, Sample, SampleSet

# Proton-proton collisions at the LHC, TeV by year.
_SQRT_S_TEV = (
    dict.fromkeys((2010, 2011), 7.0)
    | {2012: 8.0}
    | dict.fromkeys(range(2015, 2019), 13.0)
    | dict.fromkeys(range(2022, 2027), 13.6)
)
REPEATED = "repeated lines"  # the key of `Sample.sources` that says which index lines repeat


def sqrt_s_tev(year: int | None) -> float | None:
    """Return the collision energy of a year of the LHC, TeV; None where it is not known."""
    return None if year is None else _SQRT_S_TEV.get(year)


def sample_set(entry: SetEntry, folder: Path, fallback: str) -> SampleSet:
    """Return the set that a checked document stands for.

    `folder` is where the document lies: relative paths begin there. `fallback` is the name of
    a set that gives itself none. Raises UsageError for files that cannot be listed.
    """
    name = entry.name or fallback
    samples = tuple(_sample(sample, folder, entry.demo) for sample in entry.samples)
    seen: set[str] = set()
    for each in samples:
        if each.name in seen:
            raise UsageError(
                f"two samples are called {each.name!r}",
                where=f"sample set {name!r}",
                hint="give each sample a name of its own",
            )
        seen.add(each.name)
    return SampleSet(name, samples, entry.title, entry.description)


def with_files(sample: Sample, files: tuple[InputFile, ...]) -> Sample:
    """Return the sample with these files; where all have a luminosity and it none: their sum."""
    total = sample.luminosity_pb
    known = [file.luminosity_pb for file in files if file.luminosity_pb is not None]
    if sample.is_data and total is None and files and len(known) == len(files):
        total = sum(known)
    return dataclasses.replace(sample, files=files, luminosity_pb=total)


def with_repeated(sample: Sample, repeated: str) -> Sample:
    """Return the sample with a note on the index lines that were there again."""
    if not repeated:
        return sample
    return dataclasses.replace(sample, sources=sample.sources | {REPEATED: repeated})


def expand(text: str, folder: Path, place: str) -> list[str]:
    """Return the files that `text` means: itself, or those that fit a local glob, sorted.

    ``s3/BUCKET/path`` is a URL, see `bucket_url`.

    Raises UsageError for a glob that fits nothing, or one on a server, where nothing lists.
    """
    text = bucket_url(text, folder)
    if is_url(text):
        if "*" in text:
            raise UsageError(
                "a glob cannot be expanded on a server",
                where=f"{place}: {text}",
                hint="list the files in a file index, one URL a line",
            )
        return [text]
    if not glob.has_magic(text) or os.path.lexists(local_path(text, folder)):
        return [text]
    wanted = local_path(text, glob.escape(str(folder.absolute())))
    found = sorted(glob.glob(wanted, recursive=True))  # noqa: PTH207 (`wanted` is absolute)
    if not found:
        raise UsageError("no file fits the glob", where=f"{place}: {text}", why=f"in {folder}")
    return found


def _sample(entry: SampleEntry, folder: Path, demo: bool) -> Sample:
    listed = unique(_listed(entry, folder), entry.name)
    place = f"sample {entry.name!r}, index"
    paths = [Path(path) for text in entry.index for path in _local(text, folder, place)]
    indexes = [read_index(path, folder) for path in paths]
    files, repeated = merge_indexes(indexes, entry.name, listed)
    if entry.luminosity is not None:
        (path,) = _local(entry.luminosity, folder, f"sample {entry.name!r}, luminosity")
        table = LuminosityTable(Path(path))
        files = tuple(
            file
            if file.luminosity_pb is not None
            else dataclasses.replace(file, luminosity_pb=table[file.name])
            for file in files
        )
    sample = Sample(
        name=entry.name,
        group=entry.group,
        files=(),
        year=entry.year,
        sqrt_s_tev=entry.sqrt_s_tev or sqrt_s_tev(entry.year),
        format=entry.format,
        channels=tuple(entry.channels) if entry.channels else CHANNELS,
        dataset=entry.dataset,
        record=entry.record,
        cross_section_pb=entry.cross_section_pb,
        scale_factor=entry.scale_factor,
        generated_events=entry.generated_events,
        skimmed=entry.skimmed,
        luminosity_pb=entry.luminosity_pb,
        normalise_with=entry.normalise_with,
        demo=demo,
        sources=dict(entry.sources),
    )
    return with_repeated(with_files(sample, files), repeated)


def _local(text: str, folder: Path, place: str) -> list[str]:
    """Return the absolute paths that `text` means; a sample set is read from local files."""
    if is_url(text):
        raise UsageError("not a local file", where=f"{place}: {text}", hint="download it first")
    return [local_path(path, folder) for path in expand(text, folder, place)]


def _listed(entry: SampleEntry, folder: Path) -> Iterator[tuple[InputFile, str]]:
    home = os.path.abspath(folder)  # noqa: PTH100
    for number, item in enumerate(entry.files):
        place = f"sample {entry.name!r}, files[{number}]"
        urls = expand(item.url, folder, place)
        _refuse_shared_numbers(item, urls, place)
        for url in urls:
            file = input_file(url, folder, home, item.size_bytes, item.luminosity_pb)
            copies = tuple(
                input_file(bucket_url(copy, folder), folder, home).url for copy in item.replicas
            )
            file = dataclasses.replace(
                file, name=item.name or file.name, checksum=item.checksum, replicas=copies
            )
            yield file, place


def _refuse_shared_numbers(item: FileEntry, urls: list[str], place: str) -> None:
    """Refuse what is of one file given for a glob: it would count once for each file."""
    numbers = (
        *(item.name, item.luminosity_pb, item.size_bytes, item.checksum),
        item.replicas or None,
    )
    if len(urls) > 1 and any(number is not None for number in numbers):
        raise UsageError(
            "one name, size, checksum, luminosity or replica is given for several files",
            where=f"{place}: {item.url}",
            why=f"the glob fits {len(urls)} files",
            hint="list the files one by one, or give a table: `luminosity: table.json`",
        )
