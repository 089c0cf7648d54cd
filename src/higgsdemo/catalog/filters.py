"""Part of a sample set: by name, group, year or channel, and the first files of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from higgsdemo.errors import UsageError, nearest
from higgsdemo.model.sample import InputFile, Sample, SampleSet

# What each key of a filter looks at.
_KEYS: dict[str, Callable[[Sample], tuple[str, ...]]] = {
    "sample": lambda sample: (sample.name,),
    "group": lambda sample: (sample.group,),
    "year": lambda sample: (str(sample.year),),
    "channel": lambda sample: sample.channels,
    "dataset": lambda sample: (sample.dataset or "",),
}


def filter_set(samples: SampleSet, patterns: Sequence[str], limit: int | None) -> SampleSet:
    """Return the samples that fit, with the first `limit` files of each (None: all).

    A pattern is ``KEY=GLOB``, KEY one of sample, group, year, channel, dataset. Patterns of one
    key are alternatives; different keys must all fit. ``channel`` keeps samples that fill that
    channel, with all their channels. Luminosity and event count shrink with the files, see
    `first_files`.

    Raises UsageError for a pattern that fits no sample of the set, and where nothing is left.
    """
    if limit is not None and limit < 1:
        raise UsageError("the limit of files is at least 1", where=f"limit {limit}")
    globs: dict[str, list[str]] = {}
    for pattern in patterns:
        key, wanted = _parsed(pattern)
        if not any(_fits(sample, key, [wanted]) for sample in samples.samples):
            known = sorted({value for each in samples.samples for value in _KEYS[key](each)})
            raise UsageError(
                f"no {key} of sample set {samples.name!r} fits {wanted!r}",
                where=f"filter {pattern!r}",
                nearest=nearest(wanted, known),
                hint=f"there are: {', '.join(known)}",
            )
        globs.setdefault(key, []).append(wanted)
    kept = [
        sample
        for sample in samples.samples
        if all(_fits(sample, key, wanted) for key, wanted in globs.items())
    ]
    if not kept:
        raise UsageError(
            f"no sample of set {samples.name!r} fits all filters",
            where=", ".join(patterns),
            hint=f"there are: {', '.join(sample.name for sample in samples.samples)}",
        )
    if limit is not None:
        kept = [first_files(sample, limit) for sample in kept]
    return dataclasses.replace(samples, samples=tuple(kept))


def first_files(sample: Sample, count: int) -> Sample:
    """Return the sample with its first `count` files, and the numbers that belong to them.

    The luminosity of data is the sum over the files kept, where each file's is known.
    Otherwise it, and the generated events of simulation, are shares of the whole: by bytes,
    where all sizes are known, else by number of files. `sources` says so.
    """
    kept = sample.files[:count]
    if len(kept) == len(sample.files):
        return sample
    kind, share = _share(kept, sample.files)
    said = f"{100 * share:.3g} % of the whole: the share of {len(kept)} of {len(sample.files)} "
    sources = dict(sample.sources)
    luminosity_pb, generated = sample.luminosity_pb, sample.generated_events
    known = [file.luminosity_pb for file in kept if file.luminosity_pb is not None]
    if sample.is_data and len(known) == len(kept):
        luminosity_pb = sum(known)
        sources["luminosity_pb"] = f"sum over the {len(kept)} files kept"
    elif luminosity_pb is not None:
        luminosity_pb *= share
        sources["luminosity_pb"] = f"{said}files, by {kind}"
    if generated is not None:
        generated = round(generated * share)
        sources["generated_events"] = f"{said}files, by {kind}"
    return dataclasses.replace(
        sample,
        files=kept,
        luminosity_pb=luminosity_pb,
        generated_events=generated,
        sources=sources,
    )


def _share(kept: Sequence[InputFile], files: Sequence[InputFile]) -> tuple[str, float]:
    sizes = [file.size_bytes for file in files if file.size_bytes is not None]
    if len(sizes) == len(files) and sum(sizes) > 0:
        return "bytes", sum(sizes[: len(kept)]) / sum(sizes)
    return "number", len(kept) / len(files)


def _parsed(pattern: str) -> tuple[str, str]:
    key, equals, wanted = pattern.partition("=")
    key, wanted = key.strip().lower(), wanted.strip()
    if not equals or not wanted:
        raise UsageError(
            f"not a filter: {pattern!r}", hint="write KEY=GLOB, for example sample='ZZ*'"
        )
    if key not in _KEYS:
        raise UsageError(
            f"a filter cannot look at {key!r}",
            where=f"filter {pattern!r}",
            nearest=nearest(key, _KEYS),
            hint=f"there are: {', '.join(_KEYS)}",
        )
    if key == "channel":
        wanted = wanted.replace("2e2mu", "2mu2e")
    return key, wanted


def _fits(sample: Sample, key: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(value, glob) for value in _KEYS[key](sample) for glob in globs)
