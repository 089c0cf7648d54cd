"""What can be said about a sample set before it runs: for `higgsdemo samples check`."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from higgsdemo.catalog.builtin import published_entry, published_sample
from higgsdemo.catalog.entries import REPEATED
from higgsdemo.catalog.names import is_url
from higgsdemo.model.sample import Sample, SampleSet

Level = Literal["error", "warning", "note"]
_MAGIC = b"root"
_LARGE_FILE = 1_000_000  # from this version number on, ROOT's header has 8-byte addresses


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to know about a sample set.

    ``error``: the run will stop there. ``warning``: it will run, and a number is missing or
    may be wrong. ``note``: good to know.
    """

    level: Level
    sample: str | None
    message: str
    where: str | None = None


def check_set(samples: SampleSet) -> list[Finding]:
    """Return what is wrong or missing, sample by sample, in their order.

    Of local files the size and the first bytes are read: missing, unreadable, empty, not ROOT
    or truncated ones are errors. Files on servers are not asked for.
    """
    findings: list[Finding] = []
    owners: dict[str, str] = {}
    for sample in samples.samples:
        findings += _numbers(sample)
        findings += _files(sample)
        findings += _published(sample)
        for file in sample.files:
            owner = owners.setdefault(file.url, sample.name)
            if owner != sample.name:
                said = f"this file is also one of sample {owner!r}: its events count twice"
                findings.append(Finding("warning", sample.name, said, file.url))
    return findings


def _numbers(sample: Sample) -> Iterator[Finding]:
    name = sample.name
    if sample.year is None:
        yield Finding("note", name, "no year")
    if not sample.is_data:
        if sample.cross_section_pb is None:
            yield Finding("warning", name, "no cross section: it cannot be normalised")
        if sample.generated_events is None:
            yield Finding("note", name, "no number of generated events: the events read count")
        return
    known = [file.luminosity_pb for file in sample.files if file.luminosity_pb is not None]
    if sample.luminosity_pb is None:
        yield Finding("warning", name, "no luminosity: simulation is not normalised to it")
    if known and len(known) < len(sample.files):
        missing = [file.url for file in sample.files if file.luminosity_pb is None]
        said = f"{len(missing)} of {len(sample.files)} files have no luminosity"
        yield Finding("warning", name, said, missing[0])
    elif known and sample.luminosity_pb is not None:
        total = math.fsum(known)
        if not math.isclose(total, sample.luminosity_pb, rel_tol=1e-3, abs_tol=1e-6):
            yield Finding(
                "warning",
                name,
                f"its files add up to {total:.6g} pb^-1, the sample says "
                f"{sample.luminosity_pb:.6g} pb^-1",
            )


def _files(sample: Sample) -> Iterator[Finding]:
    if not sample.files:
        yield Finding("error", sample.name, "no files: give it `files` or an `index`")
    if repeated := sample.sources.get(REPEATED):
        yield Finding("note", sample.name, f"repeated index lines count once: {repeated}")
    remote = 0
    for file in sample.files:
        if is_url(file.url):
            remote += 1
        elif problem := _problem(file.url):
            yield Finding("error", sample.name, problem, file.url)
    if remote:
        yield Finding("note", sample.name, f"{remote} files on servers were not looked at")


def _problem(path: str) -> str | None:
    """Return what is wrong with a local file, as far as its size and header tell."""
    try:
        with open(path, "rb") as stream:  # noqa: PTH123
            head = stream.read(20)
            size = os.fstat(stream.fileno()).st_size
    except FileNotFoundError:
        return "there is no such file"
    except (OSError, ValueError) as error:
        return f"cannot be read: {getattr(error, 'strerror', None) or error}"
    if size == 0:
        return "empty: 0 bytes"
    if not head.startswith(_MAGIC) or len(head) < 20:
        return "not a ROOT file"
    # TFile header: magic, fVersion, fBEGIN (4 bytes each), fEND (4 or 8), big-endian.
    wide = int.from_bytes(head[4:8], "big") >= _LARGE_FILE
    end = int.from_bytes(head[12:20] if wide else head[12:16], "big")
    return f"truncated: {size} of {end} bytes" if size < end else None


def _published(sample: Sample) -> Iterator[Finding]:
    """Compare with what is published about the same dataset."""
    entry = published_entry(sample)
    if entry is None or not sample.files:
        return
    if entry.published_files is not None and len(sample.files) != entry.published_files:
        said = f"{len(sample.files)} files; {entry.published_files} are published"
        yield Finding("note", sample.name, said)
    if sample.format != "nanoaod" or sample.demo or len(sample.files) != 1:
        return
    known = published_sample(name=entry.name)
    size = known.files[0].size_bytes if known and known.files else None
    if size is not None and sample.files[0].size_bytes not in (size, None):
        number = "luminosity" if sample.is_data else "number of generated events"
        yield Finding(
            "warning",
            sample.name,
            f"{sample.files[0].size_bytes} bytes; the published file has {size}: if this is a "
            f"part or a skim of it, give its own {number} in a samples.yaml",
            sample.files[0].url,
        )
