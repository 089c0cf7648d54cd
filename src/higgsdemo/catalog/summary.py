"""Sample sets as rows and documents: for `higgsdemo samples list` and `samples show`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from higgsdemo.catalog.builtin import builtin_names, load_builtin, published_entry
from higgsdemo.model.sample import Sample, SampleSet


@dataclass(frozen=True, slots=True)
class SetSummary:
    """A sample set in one row. `size_bytes` is None where a size is not known."""

    name: str
    title: str
    description: str
    samples: int
    files: int
    size_bytes: int | None
    years: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SampleSummary:
    """A sample in one row. Units as in `higgsdemo.model.Sample`.

    `published_files` is how many files its dataset has on CERN Open Data, `name_2019` its name
    in the KubeCon 2019 demo; None where nothing is published.
    """

    name: str
    group: str
    year: int | None
    format: str
    channels: tuple[str, ...]
    files: int
    published_files: int | None
    size_bytes: int | None
    cross_section_pb: float | None
    scale_factor: float
    generated_events: int | None
    normalise_with: str | None
    luminosity_pb: float | None
    record: int | None
    dataset: str | None
    name_2019: str | None


def list_sets() -> list[SetSummary]:
    """Return a row for each built-in set."""
    return [summarise_set(load_builtin(name)) for name in builtin_names()]


def summarise_set(samples: SampleSet) -> SetSummary:
    """Return a set in one row."""
    sizes = [size_bytes(sample) for sample in samples.samples]
    known = [size for size in sizes if size is not None]
    return SetSummary(
        name=samples.name,
        title=samples.title,
        description=samples.description,
        samples=len(samples.samples),
        files=sum(len(sample.files) for sample in samples.samples),
        size_bytes=sum(known) if len(known) == len(sizes) else None,
        years=tuple(sorted({each.year for each in samples.samples if each.year is not None})),
    )


def summarise_samples(samples: SampleSet) -> list[SampleSummary]:
    """Return a row for each sample."""
    return [_row(sample) for sample in samples.samples]


def size_bytes(sample: Sample) -> int | None:
    """Return the bytes of all files; None where there is none, or a size is not known."""
    known = [file.size_bytes for file in sample.files if file.size_bytes is not None]
    return sum(known) if known and len(known) == len(sample.files) else None


def to_json(samples: SampleSet) -> dict[str, Any]:
    """Return everything about a set as a JSON-ready document, sources and files included."""
    return dataclasses.asdict(samples) | {"demo": samples.demo}


def _row(sample: Sample) -> SampleSummary:
    published = published_entry(sample)
    return SampleSummary(
        name=sample.name,
        group=sample.group,
        year=sample.year,
        format=sample.format,
        channels=sample.channels,
        files=len(sample.files),
        published_files=published.published_files if published else None,
        size_bytes=size_bytes(sample),
        cross_section_pb=sample.cross_section_pb,
        scale_factor=sample.scale_factor,
        generated_events=sample.generated_events,
        normalise_with=sample.normalise_with,
        luminosity_pb=sample.luminosity_pb,
        record=sample.record,
        dataset=sample.dataset,
        name_2019=published.name_2019 if published else None,
    )
