"""Samples of which only names and files are known: what the names say.

No file is opened. What is published about a file is taken over where it is recognised; the
rest follows the naming habits of CMS. A name that says nothing is data without luminosity: it
is drawn as points, and nothing is normalised to it.
"""

from __future__ import annotations

import dataclasses
import re

from higgsdemo.catalog.builtin import published_entry, published_sample
from higgsdemo.catalog.entries import sqrt_s_tev, with_files
from higgsdemo.catalog.names import dataset_of
from higgsdemo.model.sample import CHANNELS, Group, InputFile, Sample

_YEAR = re.compile(r"(?<!\d)(20[123]\d)(?!\d)")
# Streams of CMS: in which an event of a channel is looked for, so that none counts twice.
_STREAMS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile("DoubleMu", re.IGNORECASE), ("4mu", "2mu2e")),
    (re.compile("DoubleEl|DoubleEG", re.IGNORECASE), ("4e",)),
)
# Names that CMS gives to simulated samples only.
_SIMULATED: tuple[tuple[re.Pattern[str], Group], ...] = (
    (re.compile(r"SMHiggsTo|HToZZ", re.IGNORECASE), "higgs"),
    (re.compile(r"(?<![A-Za-z])(GluGluTo|GGTo)?ZZTo", re.IGNORECASE), "zz"),
    (re.compile(r"(?<![A-Za-z])(ttbar|TTJets|TTTo)", re.IGNORECASE), "ttbar"),
    (re.compile(r"(?<![A-Za-z])DY(\d*Jets|To)", re.IGNORECASE), "dy"),
)


def bare_sample(name: str, files: tuple[InputFile, ...]) -> Sample:
    """Return the sample of these files, described as far as its name and theirs do it."""
    folders = {file.name.rpartition("/")[0] for file in files}
    datasets = {dataset_of(folder + "/") for folder in folders}
    dataset = datasets.pop() if len(datasets) == 1 else None
    known = published_sample(dataset=dataset) if dataset else published_sample(name=name)
    if known is not None:
        return with_files(_taken_over(known, name, files), files)
    found = _YEAR.search(f"{name} {dataset or ''}")
    year = int(found[1]) if found else None
    return Sample(
        name=name,
        group=_group(name),
        files=files,
        year=year,
        sqrt_s_tev=sqrt_s_tev(year),
        format="aod" if dataset else "nanoaod",
        channels=_channels(name),
        dataset=dataset,
        sources={"group": "the name"} | ({"year": "the name"} if found else {}),
    )


def published_name(file_name: str) -> str | None:
    """Return the name of the published AOD sample that a logical file name belongs to."""
    dataset = dataset_of(file_name)
    known = published_sample(dataset=dataset) if dataset else None
    return known.name if known else None


def _taken_over(known: Sample, name: str, files: tuple[InputFile, ...]) -> Sample:
    """Return the published sample, with only those numbers that hold for these files.

    Event count and luminosity are those of the whole sample. Where the files may be a part of
    it, the events read are counted instead, and an AOD sample has no luminosity: a table gives
    it (docs/samples.md). A reduced-NanoAOD file keeps it: copies of it are not cut by file.
    """
    if _whole(known, files):
        return dataclasses.replace(known, name=name)
    taken = dataclasses.replace(known, name=name, generated_events=None)
    if known.generated_events is not None:
        said = {"generated_events": "the events read: these files may be a part of the sample"}
        return dataclasses.replace(taken, sources=known.sources | said)
    if known.is_data and known.format == "aod":
        said = {"luminosity_pb": "none: these files are a part of the sample"}
        return dataclasses.replace(taken, luminosity_pb=None, sources=known.sources | said)
    return taken


def _whole(known: Sample, files: tuple[InputFile, ...]) -> bool:
    """Whether these are the published files: the same names or sizes, or as many."""
    if not known.files:
        published = published_entry(known)
        return published is not None and len(files) == published.published_files
    names = {file.name for file in known.files}
    sizes = sorted(file.size_bytes or 0 for file in known.files)
    return {file.name for file in files} == names or (
        all(sizes) and sorted(file.size_bytes or 0 for file in files) == sizes
    )


def _group(name: str) -> Group:
    if any(pattern.search(name) for pattern, _ in _STREAMS) or re.search(r"Run20\d\d", name):
        return "data"
    return next((group for pattern, group in _SIMULATED if pattern.search(name)), "data")


def _channels(name: str) -> tuple[str, ...]:
    return next((channels for pattern, channels in _STREAMS if pattern.search(name)), CHANNELS)
