"""From what a user names to a sample set: a built-in one, YAML, JSON, a folder, files."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from higgsdemo.catalog.bare import bare_sample, published_name
from higgsdemo.catalog.builtin import builtin_names, load_builtin
from higgsdemo.catalog.entries import expand, sample_set, with_repeated
from higgsdemo.catalog.indexes import FileIndex, merge_indexes, read_index, read_json
from higgsdemo.catalog.names import bucket_url, input_file, is_url, local_path, unique
from higgsdemo.catalog.schema import SetEntry, read_yaml
from higgsdemo.errors import UsageError, nearest
from higgsdemo.model.sample import InputFile, SampleSet

_YAML = (".yaml", ".yml")
_HINT = "give a built-in name, a .yaml or .json file, a folder, or .root files or URLs"


def load_set(spec: str | Path | Sequence[str | Path]) -> SampleSet:
    """Return the sample set that `spec` names.

    `spec` is the name of a built-in set; a ``.yaml``/``.yml`` file; a ``.json`` file
    ``{"name": ["file", ...]}``; a folder; a ``.txt`` file index; or one or several ``.root``
    files or URLs. No data file is opened. Raises UsageError, with the nearest names, for
    anything else and for whatever is not right in it.
    """
    if isinstance(spec, str | Path):
        return _load_one(str(spec))
    given = [str(each) for each in spec]
    if not given:
        raise UsageError("no samples are named", hint=_HINT)
    if len(given) == 1:
        return _load_one(given[0])
    cwd = Path.cwd()
    files = [file for each in given for file in expand(each, cwd, "the command line")]
    for each in files:
        if not _path_of(each).endswith((".root", ".txt")):
            raise UsageError(
                "only .root files and file indexes can be given several at a time",
                where=each,
                hint="describe the samples in one YAML file, see docs/samples.md",
            )
    if all(_path_of(each).endswith(".txt") for each in files):
        return _of_indexes([Path(local_path(each, cwd)) for each in files], cwd, "files")
    return _of_files(files)


def _load_one(spec: str) -> SampleSet:
    if spec in builtin_names():
        return load_builtin(spec)
    spec = bucket_url(spec, Path.cwd())
    if is_url(spec):
        if not _path_of(spec).endswith(".root"):
            raise UsageError("not the URL of a .root file", where=spec, hint="download it first")
        return _of_files(expand(spec, Path.cwd(), "the command line"))
    path = Path(local_path(spec, Path.cwd()))
    if path.is_dir():
        return _of_folder(path)
    if not path.exists():
        if glob.has_magic(spec):
            return load_set(expand(spec, Path.cwd(), "the command line"))
        raise _unknown(spec, path)
    if path.suffix in _YAML:
        return sample_set(read_yaml(path, SetEntry), path.parent, _folder_name(path))
    if path.suffix == ".json":
        return _of_json(path)
    if path.suffix == ".root":
        return _of_files([spec])
    if path.suffix == ".txt":
        return _of_indexes([path], path.parent, path.stem)
    raise UsageError("not a sample set", where=str(path), hint=_HINT)


def _folder_name(path: Path) -> str:
    """Return the name of a set by its file: its folder's, for ``samples.yaml``."""
    return path.parent.name if path.stem == "samples" and path.parent.name else path.stem


def _unknown(spec: str, path: Path) -> UsageError:
    typed = os.path.dirname(spec)  # noqa: PTH120 (keeps what was typed, "./" included)
    known = [] if typed else list(builtin_names())
    if path.parent.is_dir():
        suffixes = (*_YAML, ".json", ".root", ".txt")
        known += [e.name for e in path.parent.iterdir() if e.is_dir() or e.suffix in suffixes]
    close = [name for name in known if name.startswith(path.name)] + nearest(path.name, known)
    return UsageError(
        f"no sample set {spec!r}",
        why="it is neither a built-in set nor a file or folder here",
        nearest=[os.path.join(typed, name) for name in dict.fromkeys(close)][:3],  # noqa: PTH118
        hint=f"{_HINT}; built-in: {', '.join(builtin_names())}",
    )


def _path_of(text: str) -> str:
    return text.partition("?")[0] if is_url(text) else text


def _of_folder(folder: Path) -> SampleSet:
    """Return the set of a folder: its samples.yaml, or its .root files, or its indexes."""
    for name in ("samples.yaml", "samples.yml"):
        if (folder / name).is_file():
            return sample_set(read_yaml(folder / name, SetEntry), folder, folder.name)
    found = sorted(_walk(folder))
    roots = [path for path in found if path.endswith(".root")]
    if roots:
        by_name: dict[str, list[tuple[InputFile, str]]] = {}
        for path in roots:
            below = Path(path).relative_to(folder)
            name = below.stem if len(below.parts) == 1 else below.parts[0]
            by_name.setdefault(name, []).append((input_file(path, folder, str(folder)), path))
        return _bare_set(by_name, folder.name)
    indexes = [Path(path) for path in found if path.endswith(".txt")]
    if indexes:
        return _of_indexes(indexes, folder, folder.name)
    raise UsageError(
        "nothing to analyse in the folder",
        where=str(folder),
        why="it holds no samples.yaml, no .root file and no file index (.txt)",
    )


def _walk(folder: Path) -> Iterator[str]:
    """Yield the files below a folder, links followed, nothing hidden, no folder twice."""
    visited = set()

    def unreadable(error: OSError) -> None:
        raise UsageError(
            "cannot list the folder", why=error.strerror, where=str(error.filename)
        ) from error

    for here, folders, files in os.walk(folder, followlinks=True, onerror=unreadable):
        status = os.stat(here)  # noqa: PTH116
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (
            os.path.join(here, name)  # noqa: PTH118
            for name in files
            if not name.startswith(".")
        )


def _of_files(given: Sequence[str]) -> SampleSet:
    """Return the set of some files: a sample a stem, named below their common folder."""
    cwd = Path.cwd()
    local = [os.path.dirname(local_path(each, cwd)) for each in given if not is_url(each)]  # noqa: PTH120
    base = os.path.commonpath(local) if local else str(cwd)
    by_name: dict[str, list[tuple[InputFile, str]]] = {}
    for each in given:
        stem = Path(_path_of(each)).stem
        by_name.setdefault(stem, []).append((input_file(each, cwd, base), each))
    return _bare_set(by_name, next(iter(by_name)) if len(by_name) == 1 else "files")


def _of_indexes(paths: Sequence[Path], base: Path, name: str) -> SampleSet:
    """Return the set of file indexes: one sample a CMS dataset, and one each for others."""
    by_name: dict[str, list[FileIndex]] = {}
    for path in paths:
        index = read_index(path, base)
        stem = path.stem.removesuffix("_file_index")
        by_name.setdefault(published_name(index.files[0].name) or stem, []).append(index)
    samples = []
    for sample, indexes in by_name.items():
        files, repeated = merge_indexes(indexes, sample, {})
        samples.append(with_repeated(bare_sample(sample, files), repeated))
    return SampleSet(name, tuple(samples))


def _of_json(path: Path) -> SampleSet:
    """Return the set of a document in HiggsDNA's form, ``{"name": ["file", ...]}``."""
    document = read_json(path, "sample set")
    hint = 'a JSON sample set looks like {"ZZTo4mu": ["a.root", "b.root"], ...}'
    if isinstance(document, dict) and "samplejson" in document:
        raise UsageError(
            "this is an analysis, not a sample set",
            where=str(path),
            hint=f"its sample set is {document['samplejson']!r}",
        )
    if not isinstance(document, dict) or not document:
        raise UsageError("not a sample set", where=str(path), hint=hint)
    by_name: dict[str, list[tuple[InputFile, str]]] = {}
    for name, files in document.items():
        if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
            raise UsageError(f"{name!r} has no list of files", where=str(path), hint=hint)
        by_name[name] = [
            (input_file(file, path.parent, str(path.parent)), f"{path}: {name}[{number}]")
            for number, text in enumerate(files)
            for file in expand(text, path.parent, f"{path}: {name}[{number}]")
        ]
    return _bare_set(by_name, path.stem)


def _bare_set(by_name: dict[str, list[tuple[InputFile, str]]], name: str) -> SampleSet:
    samples = [
        bare_sample(sample, tuple(unique(files, sample).values()))
        for sample, files in by_name.items()
    ]
    return SampleSet(name, tuple(samples))
