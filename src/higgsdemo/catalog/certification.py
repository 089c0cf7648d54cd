"""Certified luminosity sections: the "golden JSON" files of CMS, as a mask over events.

A golden JSON names, run by run, the luminosity sections (about 23 s of data taking each) in
which all of the detector worked: ``{"190645": [[10, 110]], "190704": [[1, 3], [5, 9]]}``,
ranges inclusive. Those of 2011 and 2012 are CERN Open Data records 1001 and 1002.

Workers import this module: numpy and the standard library only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from higgsdemo.errors import UsageError
from higgsdemo.model.sections import Sections, merge_sections

_LARGEST = 2**31 - 1  # run and luminosityBlock fit an Int_t in every CMS tree
_SHAPE = 'a golden JSON looks like {"190645": [[10, 110]], "190704": [[1, 3], [5, 9]]}'


def load_sections(path: str | Path) -> Sections:
    """Read a golden JSON: run -> inclusive ranges of luminosity sections.

    The ranges come back sorted, and joined where they touch or overlap. An empty document
    certifies nothing. Raises UsageError where the file cannot be read or is anything else.
    """
    path = Path(path).expanduser()
    try:
        document = json.loads(path.read_bytes(), object_pairs_hook=_unique)
    except OSError as error:
        raise UsageError(
            "cannot read the certified luminosity sections",
            why=error.strerror or str(error),
            where=str(path),
        ) from error
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, a run twice
        raise _not_golden(path, str(error)) from error
    if not isinstance(document, dict):
        raise _not_golden(path, f"it holds a {type(document).__name__}, not an object")
    certified = {_run(path, key): _ranges(path, key, document[key]) for key in document}
    # a run without ranges certifies nothing
    return merge_sections({run: spans for run, spans in certified.items() if spans}, {}) or {}


def mask(
    sections: Sections, runs: npt.NDArray[Any], lumis: npt.NDArray[Any]
) -> npt.NDArray[np.bool_]:
    """Return which events lie in certified sections.

    `runs` and `lumis` are integer arrays of shape (events,): the branches `run` and
    `luminosityBlock`, in any order. The result has their shape.
    """
    if runs.shape != lumis.shape:
        raise ValueError(f"runs have shape {runs.shape}, luminosity sections {lumis.shape}")
    if runs.size == 0:
        return np.zeros(runs.shape, dtype=np.bool_)
    # Events of one section follow each other in CMS files: look every stretch up once.
    changed = (runs[1:] != runs[:-1]) | (lumis[1:] != lumis[:-1])
    starts = np.concatenate([[0], np.flatnonzero(changed) + 1])
    keys = runs[starts].astype(np.int64) * 2**32 + lumis[starts].astype(np.int64)
    lower, upper = _bounds(sections)
    found = np.searchsorted(lower, keys, side="right") - 1
    certified = (found >= 0) & (keys <= upper[found])
    return np.repeat(certified, np.diff(starts, append=runs.size))


def _bounds(sections: Sections) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first and last key of every range, sorted; never empty."""
    listed = {run: spans for run, spans in sections.items() if spans}
    tidy = merge_sections(listed, {}) or {0: [[-1, -1]]}  # a range no event can be in
    ranges = [(run, low, high) for run, spans in tidy.items() for low, high in spans]
    table = np.asarray(ranges, dtype=np.int64)
    base = table[:, 0] * 2**32
    return base + table[:, 1], base + table[:, 2]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"run {key} is there twice")
        found[key] = value
    return found


def _run(path: Path, key: str) -> int:
    plain = key.isascii() and key.isdigit() and len(key) <= 10 and not key.startswith("0")
    if not plain or int(key) > _LARGEST:
        raise _not_golden(path, f"{key!r} is not a run number")
    return int(key)


def _ranges(path: Path, key: str, spans: Any) -> list[list[int]]:
    if not isinstance(spans, list) or not all(_is_range(span) for span in spans):
        raise _not_golden(path, f"run {key} has no list of [first, last] pairs of whole numbers")
    return spans


def _is_range(span: Any) -> bool:
    return (
        isinstance(span, list)
        and len(span) == 2
        and all(type(number) is int for number in span)
        and 0 <= span[0] <= span[1] <= _LARGEST
    )


def _not_golden(path: Path, why: str) -> UsageError:
    return UsageError(
        "not a file of certified luminosity sections", why=why, where=str(path), hint=_SHAPE
    )
