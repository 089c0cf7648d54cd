"""From the datasets of a mapping to samples, and to which cluster works on which file."""

from __future__ import annotations

import dataclasses
import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from higgsdemo.catalog import builtin_names, filter_set, load_set
from higgsdemo.catalog.indexes import read_index
from higgsdemo.clusters.mapping import ClusterEntry
from higgsdemo.errors import UsageError, nearest
from higgsdemo.model.sample import Sample, SampleSet

_FULL = "datasets_s3"  # the demo's folder of whole file lists; min_datasets_s3 has shortened ones


@dataclass(frozen=True)
class Resolved:
    """All samples of a mapping, and the cluster of each file (by logical name).

    One sample may be spread over several clusters: its numbers are those of the whole.
    `repeated` says what was listed more than once and counts once.
    """

    samples: SampleSet
    owners: Mapping[str, str]
    repeated: tuple[str, ...] = ()

    def share(self, cluster: str) -> SampleSet:
        """Return the samples with the files of one cluster; the numbers stay those of the whole."""
        parts = []
        for sample in self.samples.samples:
            files = tuple(file for file in sample.files if self.owners[file.name] == cluster)
            if files:
                parts.append(dataclasses.replace(sample, files=files))
        return dataclasses.replace(self.samples, samples=tuple(parts))


def resolve(
    entries: Sequence[ClusterEntry], index_folder: Path | None = None, name: str = "mapping"
) -> Resolved:
    """Find the file indexes of a mapping and read them.

    A dataset is the path or name of a file index in `index_folder` (by default here), a pattern
    of such, or samples of a built-in set: ``nanoaod-2012/ZZTo*``. A file listed for several
    clusters goes to the first. Nothing on a server is opened. Raises UsageError, with the nearest
    names, for what is not found.
    """
    folder = (index_folder or Path.cwd()).absolute()
    if not folder.is_dir():
        raise UsageError("there is no folder of file indexes", where=str(folder))
    indexes: dict[Path, str] = {}  # who works on it
    sets: list[tuple[SampleSet, str]] = []
    repeated = [f"{entry.name}: {each}" for entry in entries for each in entry.repeated]
    for entry in entries:
        for dataset in entry.datasets:
            paths = _paths(dataset, folder)
            if not paths:
                sets.append((_of_catalogue(dataset, folder, entry), entry.name))
            for path in paths:
                owner = indexes.setdefault(path, entry.name)
                if owner != entry.name:
                    repeated.append(f"{entry.name}: {path.name} ({owner} has it)")
    samples: list[Sample] = []
    owners: dict[str, str] = {}
    again = 0
    if indexes:
        samples += load_set([str(path) for path in indexes]).samples
        base = Path.cwd() if len(indexes) > 1 else next(iter(indexes)).parent
        for path, owner in indexes.items():
            for file in read_index(path, base).files:
                again += owners.setdefault(file.name, owner) != owner
    for found, owner in sets:
        for sample in found.samples:
            samples.append(_unique(sample, samples))
            owners.update((file.name, owner) for file in sample.files)
    if again:
        repeated.append(f"{again} files are listed for a second cluster; each goes to the first")
    if not samples:
        raise UsageError("the mapping has no datasets", hint="give its entries file indexes")
    return Resolved(SampleSet(name, tuple(samples)), owners, tuple(repeated))


def _paths(dataset: str, folder: Path) -> list[Path]:
    """Return the file indexes that a dataset names; of `datasets_s3/` also without that folder."""
    names = [dataset]
    first, _, rest = dataset.partition("/")
    if first == _FULL and rest:
        names.append(rest)
    for name in names:
        if not glob.has_magic(name):
            found = [folder / name] if (folder / name).is_file() else []
        else:
            pattern = str(Path(glob.escape(str(folder)), name))
            found = [Path(path) for path in sorted(glob.glob(pattern))]  # noqa: PTH207
        if found:
            return [path for path in found if path.is_file()]
    return []


def _of_catalogue(dataset: str, folder: Path, entry: ClusterEntry) -> SampleSet:
    """Return samples of a built-in set; UsageError for a dataset that is nowhere."""
    name, _, pattern = dataset.partition("/")
    if name in builtin_names() and pattern:
        found = filter_set(load_set(name), [f"sample={pattern}"], None)
        if all(sample.files for sample in found.samples):
            return found
    shortened = name.startswith("min_")
    raise UsageError(
        f"no file index {dataset!r}",
        where=f"cluster {entry.name!r} of the mapping; looked in {folder}",
        nearest=nearest(Path(dataset).name, _names(folder)),
        hint="the demo's min_ folders hold shortened lists, which are not the whole ones of the "
        "same name: give the folder that has them as --dataset-index"
        if shortened
        else "give the folder of file indexes: --dataset-index FOLDER",
    )


def _names(folder: Path) -> Iterator[str]:
    return (path.name for path in folder.iterdir() if path.suffix == ".txt")


def _unique(sample: Sample, known: Sequence[Sample]) -> Sample:
    if any(each.name == sample.name for each in known):
        raise UsageError(
            f"the sample {sample.name!r} is there twice",
            hint="a mapping takes a sample from file indexes or from a built-in set, not both",
        )
    return sample
