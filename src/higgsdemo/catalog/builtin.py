"""The built-in sample sets: YAML files in `data/`, every number with its source."""

from __future__ import annotations

import functools
from importlib import resources
from pathlib import Path

from higgsdemo.catalog.entries import sample_set
from higgsdemo.catalog.schema import PublishedEntry, PublishedSet, read_yaml
from higgsdemo.model.sample import Sample, SampleSet

_NAMES = ("nanoaod-2012", "aod-2011-2012")


def builtin_names() -> tuple[str, ...]:
    """Return the names of the built-in sample sets."""
    return _NAMES


@functools.cache
def load_builtin(name: str) -> SampleSet:
    """Return the built-in set `name`; KeyError where there is none."""
    return sample_set(published_set(name), Path.cwd(), name)


@functools.cache
def published_set(name: str) -> PublishedSet:
    """Return the document of the built-in set `name`; KeyError where there is none."""
    if name not in _NAMES:
        raise KeyError(name)
    with resources.as_file(resources.files("higgsdemo.catalog") / "data" / f"{name}.yaml") as path:
        return read_yaml(path, PublishedSet)


def published_entry(sample: Sample) -> PublishedEntry | None:
    """Return what is published about a sample: the entry of its dataset and format."""
    return _by_dataset().get((sample.dataset, sample.format))


def published_sample(*, dataset: str | None = None, name: str | None = None) -> Sample | None:
    """Return the AOD sample of a CMS dataset, or the reduced-NanoAOD sample of a name."""
    for sample in load_builtin("nanoaod-2012" if dataset is None else "aod-2011-2012").samples:
        if (sample.name == name) if dataset is None else (sample.dataset == dataset):
            return sample
    return None


@functools.cache
def _by_dataset() -> dict[tuple[str | None, str], PublishedEntry]:
    return {
        (entry.dataset, entry.format): entry
        for name in _NAMES
        for entry in published_set(name).samples
    }
