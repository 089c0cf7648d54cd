"""File indexes (a text file, one URL a line) and tables of luminosity per file."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from higgsdemo.catalog.names import BUCKET_SPELLINGS, input_file, logical_name
from higgsdemo.errors import UsageError
from higgsdemo.model.sample import InputFile

_SHOWN = 5  # repeated lines named
MICROBARN_PER_PICOBARN = 1e-6  # 1 ub^-1 = 1e-6 pb^-1


@dataclass(frozen=True, slots=True)
class FileIndex:
    """A file index that was read: its files, and the line of each."""

    path: Path
    files: tuple[InputFile, ...]
    lines: tuple[int, ...]


def read_index(path: Path, base: Path) -> FileIndex:
    """Read a file index of the sample set in the folder `base`.

    Blank lines, lines that begin with ``#``, CRLF ends and a byte-order mark are tolerated.
    ``s3/BUCKET/path``, the spelling of the 2019 demo, means ``s3://BUCKET/path`` unless a
    folder ``s3`` lies beside the index; ``gs`` alike. Paths are relative to the index. Raises
    UsageError where the index cannot be read or lists nothing.
    """
    home = os.path.abspath(base)  # noqa: PTH100
    folder = path.parent
    buckets = tuple(spelt for spelt in BUCKET_SPELLINGS if not (folder / spelt).is_dir())
    files = []
    numbers = []
    for number, line in enumerate(_lines(path), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if text.startswith(buckets):
            text = f"{text[:2]}://{text[3:]}"
        files.append(input_file(text, folder, home))
        numbers.append(number)
    if not files:
        raise UsageError("the file index lists no file", where=str(path))
    return FileIndex(path, tuple(files), tuple(numbers))


def merge_indexes(
    indexes: Iterable[FileIndex], sample: str, listed: Mapping[str, InputFile]
) -> tuple[tuple[InputFile, ...], str]:
    """Return the files of one sample, and which lines repeat an earlier one word by word.

    `listed` are files that the sample has besides, by logical name; they come first. Repeated
    lines count once. Raises UsageError where two different lines have one logical name.
    """
    kept = list(listed.values())
    owners = [Path("files")] * len(kept)
    lines = [0] * len(kept)
    seen = {name: position for position, name in enumerate(listed)}
    repeated: list[str] = []
    for index in indexes:
        for file, line in zip(index.files, index.lines, strict=True):
            earlier = seen.setdefault(file.name, len(kept))
            if earlier == len(kept):
                kept.append(file)
                owners.append(index.path)
                lines.append(line)
                continue
            where, number = owners[earlier], lines[earlier]
            if kept[earlier].url != file.url or not number:
                raise UsageError(
                    f"sample {sample!r} has the file {file.name} twice",
                    where=f"{where}{f':{number}' if number else ''} and {index.path}:{line}",
                    why=f"{kept[earlier].url} and {file.url}",
                    hint="take one of the two away; its events would count twice",
                )
            repeated.append(f"{index.path.name}:{line} repeats {where.name}:{number}")
    told = "; ".join(repeated[:_SHOWN])
    return tuple(kept), f"{len(repeated)} in all: {told}" if repeated else ""


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise UsageError(
            "cannot read the file index", why=error.strerror or str(error), where=str(path)
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            "not a file index: a text file, one URL a line",
            why="it is not UTF-8 text",
            where=str(path),
        ) from error


class LuminosityTable:
    """Recorded luminosity of each file of a data sample, read from JSON ``{URL: ub^-1}``.

    Files are looked up by logical name, so a table made for one server serves copies on
    another; then by base name, where that is unique in the table. ``null`` means not known.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        document = read_json(path, "luminosity table")
        if not isinstance(document, dict):
            raise self._wrong(f"it holds a {type(document).__name__}, not an object")
        base = os.path.abspath(path.parent)  # noqa: PTH100
        self._by_name: dict[str, float] = {}
        self._by_base_name: dict[str, float | None] = {}
        for url, value in document.items():
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise self._wrong(f"the value of {url} is not a number: {value!r}")
            if not math.isfinite(value) or value < 0:
                raise self._wrong(f"the value of {url} is not a luminosity: {value!r}")
            name = logical_name(url, base)
            if name in self._by_name:
                raise self._wrong(f"{name} is there twice")
            luminosity_pb = value * MICROBARN_PER_PICOBARN
            self._by_name[name] = luminosity_pb
            last = name.rpartition("/")[2]
            # a base name that two files have says nothing
            self._by_base_name[last] = None if last in self._by_base_name else luminosity_pb

    def __getitem__(self, name: str) -> float | None:
        """Return the luminosity of the file with this logical name, pb^-1; None if unknown."""
        exact = self._by_name.get(name)
        return exact if exact is not None else self._by_base_name.get(name.rpartition("/")[2])

    def _wrong(self, why: str) -> UsageError:
        return UsageError(
            "not a luminosity table",
            why=why,
            where=str(self.path),
            hint='a luminosity table looks like {"root://.../file.root": 2736092.2}, in ub^-1',
        )


def read_json(path: Path, kind: str) -> object:
    """Read a JSON file; UsageError where that fails, or an object has a key twice."""

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) != len(pairs):
            keys = [key for key, _ in pairs]
            raise ValueError(f"{next(key for key in keys if keys.count(key) > 1)!r} is there twice")
        return found

    try:
        document: object = json.loads(path.read_bytes(), object_pairs_hook=unique)
    except OSError as error:
        raise UsageError(
            f"cannot read the {kind}", why=error.strerror or str(error), where=str(path)
        ) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not a {kind}", why=f"not JSON: {error}", where=str(path)) from error
    return document
