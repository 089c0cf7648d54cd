"""What is copied whither: a place for each file of a sample set, and the set of the copies."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from higgsdemo.catalog.names import ROOTS
from higgsdemo.errors import UsageError
from higgsdemo.model.sample import InputFile, SampleSet


@dataclass(frozen=True, slots=True)
class Item:
    """A file to copy; `path` is the place of its copy below the folder or prefix."""

    sample: str
    file: InputFile
    path: str

    @property
    def urls(self) -> tuple[str, ...]:
        """Where it lies, the copies to try in this order."""
        return (self.file.url, *self.file.replicas)


def items_of(samples: SampleSet, *, public_paths: bool = False) -> list[Item]:
    """Return the files of a set, each with its place: ``SAMPLE/NAME.root``.

    Where two files of a sample have one base name, all of it keep their logical path below the
    sample. With `public_paths` files of CERN Open Data and of CMS keep their whole path
    (``eos/opendata/cms/...``), as in the bucket of the 2019 demo. Raises UsageError for a set
    without files, and for names that lead out of a folder.
    """
    found = []
    for sample in samples.samples:
        names = [file.name.rpartition("/")[2] for file in sample.files]
        flat = len(set(names)) == len(names)
        for file, name in zip(sample.files, names, strict=True):
            path = f"{sample.name}/{name if flat else file.name.lstrip('/')}"
            if public_paths and file.name.startswith(ROOTS):
                path = file.name.lstrip("/")
            if any(part in ("", ".", "..") for part in path.split("/")) or "\0" in path:
                raise UsageError("no copy can have this name", where=f"{file.url}: {path}")
            found.append(Item(sample.name, file, path))
    if not found:
        raise UsageError(
            f"set {samples.name!r} lists no files",
            hint="higgsdemo samples fetch gets the lists of the CERN Open Data portal",
        )
    return found


def copied_set(
    samples: SampleSet, items: Iterable[Item], place: Callable[[Item], InputFile]
) -> SampleSet:
    """Return the set with each file at its new `place`; its logical names stay.

    So tasks over the copies are the very same tasks, with the same ids, as over the originals.
    """
    by_sample: dict[str, list[InputFile]] = {}
    for item in items:
        by_sample.setdefault(item.sample, []).append(place(item))
    return dataclasses.replace(
        samples,
        samples=tuple(
            dataclasses.replace(sample, files=tuple(by_sample.get(sample.name, ())))
            for sample in samples.samples
        ),
    )
