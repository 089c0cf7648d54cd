"""Integrated luminosity from tables by luminosity section, as brilcalc and lumiCalc2 write them.

CERN Open Data records 1051 (2011) and 1052 (2012) hold such tables, a line a section::

    #Data tag : v1 , Norm tag: None
    #run:fill,ls,time,beamstatus,E(GeV),delivered(/ub),recorded(/ub),avgpu,source
    194050:2621,52:52,05/13/12 02:33:24,STABLE BEAMS,4000,92142.123,88011.004,21.3,DT

A section is about 23 s of data taking (2^18 orbits). What was processed is known section by
section (`Output.sections_used`), so its luminosity is a sum over exactly these lines. Sections
that the table does not have count 0, as in the 2019 demo's per-file tables, and are told.
"""

from __future__ import annotations

import csv
import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from higgsdemo.errors import UsageError, nearest
from higgsdemo.model.sections import Sections, count_sections, merge_sections
from higgsdemo.model.totals import SampleTotals, Totals

Keys = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

_PER_PICOBARN = {"/mb": 1e-9, "/ub": 1e-6, "/nb": 1e-3, "/pb": 1.0, "/fb": 1e3}
_COLUMN = re.compile(r"(delivered|recorded)\s*\(\s*(.*?)\s*\)")
_WIDTH = 32  # characters of "run:fill" and "ls" kept; more is an error
_LARGEST = 2**31 - 1  # run and luminosityBlock fit an Int_t in every CMS tree
_DENSE = 10.0  # events per section from which on hardly any section (e^-10) has none
_HINT = (
    "a table by luminosity section has the header run:fill,ls,...,delivered(/ub),recorded(/ub); "
    "`brilcalc lumi --byls -o table.csv` writes it, CERN Open Data records 1051 and 1052 hold it"
)


@dataclass(frozen=True, slots=True, eq=False)
class SectionTable:
    """Delivered and recorded luminosity, pb^-1, of each luminosity section.

    `keys` are run * 2^32 + section, ascending, no two equal; all three have shape (sections,).
    """

    keys: Keys
    delivered_pb: Values
    recorded_pb: Values


@dataclass(frozen=True, slots=True)
class Luminosity:
    """The luminosity of some sections, pb^-1.

    `sections` of them are in the table; `missing` are the others, which count 0.
    """

    recorded_pb: float
    delivered_pb: float
    sections: int
    missing: Sections

    @property
    def sections_missing(self) -> int:
        """How many sections the table does not have."""
        return count_sections(self.missing)


@dataclass(frozen=True, slots=True)
class SampleLuminosity:
    """The luminosity of what was processed of a data sample, beside what the plan counts.

    `processed` is the sum over the sections used, None where `why` says so. `counted_pb` is
    what the very same tasks are credited with (from per-file tables, or as a share of the
    whole), `planned_pb` what all tasks together are; both pb^-1, None where unknown.
    """

    sample: str
    processed: Luminosity | None
    counted_pb: float | None
    planned_pb: float | None
    events_per_section: float | None = None
    why: str | None = None

    @property
    def difference_pb(self) -> float | None:
        """Processed minus counted, recorded pb^-1; None where one of them is not known."""
        if self.processed is None or self.counted_pb is None:
            return None
        return self.processed.recorded_pb - self.counted_pb

    @property
    def sparse(self) -> bool:
        """Whether so few events were read a section that others had none, and are not seen.

        True for skims: `processed` is then a lower bound.
        """
        return self.events_per_section is not None and self.events_per_section < _DENSE

    def lines(self) -> list[str]:
        """Return what there is to say, the numbers first."""
        if self.processed is None:
            return [f"{self.sample}: not known by section: {self.why}"]
        done = self.processed
        delivered = f"({done.delivered_pb:.6g} delivered)"
        amount = f"{done.recorded_pb:.6g} pb^-1 recorded {delivered}"
        said = [f"{self.sample}: {amount} in {done.sections} sections processed"]
        if self.counted_pb is not None and self.difference_pb is not None:
            relative = f" ({self.difference_pb / self.counted_pb:+.3%})" if self.counted_pb else ""
            said.append(
                f"the plan counts {self.counted_pb:.6g} pb^-1 for the same tasks: "
                f"difference {self.difference_pb:+.6g} pb^-1{relative}"
            )
        if self.planned_pb is not None:
            said.append(f"planned in all: {self.planned_pb:.6g} pb^-1")
        if done.missing:
            run = min(done.missing)
            first, last = done.missing[run][0]
            said.append(
                f"{done.sections_missing} sections processed are not in the table and count 0, "
                f"the first: run {run}, {first} to {last}"
            )
        if self.sparse:
            said.append(
                f"{self.events_per_section:.3g} events a section: sections without any were not "
                "seen, so this is a lower bound"
            )
        return said


def read_section_table(paths: str | Path | Sequence[str | Path]) -> SectionTable:
    """Read one or several tables by luminosity section (the years of a run, for example).

    Columns are found by the header, in any order; units are those in it (/ub, /nb, /pb, /fb).
    ``ls`` is a section or ``section:cms-section``, the second 0 where CMS did not record. Lines
    that begin with ``#`` (brilcalc's tag and summary), blank lines, any line end, and a header
    that is there again are tolerated; a line that is there again counts once.

    Raises UsageError, with the line, where a file cannot be read or is not such a table, and
    where one section has two luminosities.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    if not given:
        raise UsageError("no table of luminosity by section is named", hint=_HINT)
    files = [Path(path).expanduser() for path in given]
    parts = [_read(path) for path in files]
    keys, delivered, recorded = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.argsort(keys, kind="stable")
    keys, delivered, recorded = keys[order], delivered[order], recorded[order]
    again = keys[1:] == keys[:-1]
    other = again & ((delivered[1:] != delivered[:-1]) | (recorded[1:] != recorded[:-1]))
    if other.any():
        at = int(np.argmax(other))
        values = f"{recorded[at]:.9g} and {recorded[at + 1]:.9g} pb^-1 recorded"
        raise UsageError(
            "one luminosity section has two luminosities",
            why=f"run {int(keys[at]) >> 32}, section {int(keys[at]) & 0xFFFFFFFF}: {values}",
            where=", ".join(str(path) for path in files),
            hint="give one table for each period, made without --hltpath",
        )
    kept = np.concatenate([np.ones(min(1, keys.size), dtype=np.bool_), ~again])
    return SectionTable(keys[kept], delivered[kept], recorded[kept])


def integrated(
    table: SectionTable, sections: Sections, certified: Sections | None = None
) -> Luminosity:
    """Return the luminosity of these sections; of the certified ones only, where given.

    A section counts once, however often it is named, and 0 where the table has none. The sum
    is correctly rounded, so it depends on no order.
    """
    wanted = _tidy(sections) if certified is None else intersection(sections, certified)
    ranges = [(run, low, high) for run, spans in wanted.items() for low, high in spans]
    if not ranges:
        return Luminosity(0.0, 0.0, 0, {})
    spans = np.asarray(ranges, dtype=np.int64)
    base = spans[:, 0] * 2**32
    begins = np.searchsorted(table.keys, base + spans[:, 1], side="left")
    ends = np.searchsorted(table.keys, base + spans[:, 2], side="right")
    counts = ends - begins
    # The positions of all ranges one after the other: begin, begin + 1, ..., end - 1 of each.
    found = np.arange(counts.sum()) + np.repeat(begins - (np.cumsum(counts) - counts), counts)
    missing: Sections = {}
    for at in np.flatnonzero(counts < spans[:, 2] - spans[:, 1] + 1).tolist():
        run, low, high = ranges[at]
        present = (table.keys[begins[at] : ends[at]] & 0xFFFFFFFF).tolist()
        missing.setdefault(run, []).extend(_gaps(low, high, present))
    return Luminosity(
        recorded_pb=math.fsum(table.recorded_pb[found]),
        delivered_pb=math.fsum(table.delivered_pb[found]),
        sections=found.size,
        missing=missing,
    )


def intersection(one: Sections, other: Sections) -> Sections:
    """Return the luminosity sections that are in both, sorted, joined where they touch."""
    one, other = _tidy(one), _tidy(other)
    both: Sections = {}
    for run in sorted(one.keys() & other.keys()):
        left, right = one[run], other[run]
        i = j = 0
        while i < len(left) and j < len(right):
            low, high = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
            if low <= high:
                both.setdefault(run, []).append([low, high])
            if left[i][1] < right[j][1]:
                i += 1
            else:
                j += 1
    return both


def processed_luminosity(totals: Totals, table: SectionTable) -> tuple[SampleLuminosity, ...]:
    """Return, for each data sample of a run, the luminosity of the sections it has used.

    The sections are those of the tasks whose histograms are summed in `totals`, as is the
    luminosity that stands beside it. A section that two tasks share counts as soon as one of
    them is done. A section without an event in the input is not seen, see
    `SampleLuminosity.sparse`.
    """
    return tuple(
        _processed(name, one, table) for name, one in totals.samples.items() if one.sample.is_data
    )


def _processed(name: str, totals: SampleTotals, table: SectionTable) -> SampleLuminosity:
    why = None
    if totals.sample.demo:
        why = "SIMULATED DEMO DATA, not in any table"
    elif totals.sections_used is None:
        why = "the input has no runs and luminosity sections" if totals.tasks else "nothing is done"
    if why is not None or totals.sections_used is None:
        counted, planned = totals.luminosity_pb, totals.luminosity_planned_pb
        return SampleLuminosity(name, None, counted, planned, why=why)
    seen = count_sections(totals.sections_seen)
    return SampleLuminosity(
        sample=name,
        processed=integrated(table, totals.sections_used),
        counted_pb=totals.luminosity_pb,
        planned_pb=totals.luminosity_planned_pb,
        events_per_section=totals.events / seen if seen else None,
    )


def _tidy(sections: Sections) -> Sections:
    return merge_sections({run: spans for run, spans in sections.items() if spans}, {}) or {}


def _gaps(low: int, high: int, present: list[int]) -> list[list[int]]:
    """Return the ranges of [low, high] that have no number of `present`, which is sorted."""
    pairs = itertools.pairwise([low - 1, *present, high + 1])
    return [[before + 1, after - 1] for before, after in pairs if after - before > 1]


def _read(path: Path) -> tuple[Keys, Values, Values]:
    """Return the keys, and delivered and recorded pb^-1, of the lines of one table."""
    lines = _lines(path)
    at, names = _header(path, lines)
    columns, factors = _columns(path, at, names)
    rows = [number for number in range(at + 1, len(lines)) if lines[number][:1].isdigit()]
    if len(rows) < len(lines) - at - 1:
        _refuse_other_lines(path, lines, at, names)
    if not rows:
        raise _wrong(path, "it has a header and no luminosity section", at)
    kind = np.dtype([("run", f"U{_WIDTH}"), ("ls", f"U{_WIDTH}"), ("d", "f8"), ("r", "f8")])
    try:
        data = np.loadtxt(
            [lines[row] for row in rows],
            dtype=kind,
            delimiter=",",
            comments=None,
            usecols=columns,
            quotechar='"',
            ndmin=1,
        )
    except ValueError as error:
        _refuse_first_bad_row(path, lines, rows, columns)
        raise _wrong(path, str(error), at) from error
    run, _ = _pair(path, data["run"], rows)
    section, again = _pair(path, data["ls"], rows)
    unclear = (again != 0) & (again != section)
    if unclear.any():
        first = int(np.argmax(unclear))
        raise _wrong(path, f"ls {data['ls'][first]} names two luminosity sections", rows[first])
    for values in (data["d"], data["r"]):
        if not np.isfinite(values).all():
            first = int(np.argmin(np.isfinite(values)))
            raise _wrong(path, f"{values[first]} is not a luminosity", rows[first])
    return run * 2**32 + section, data["d"] * factors[0], data["r"] * factors[1]


def _refuse_first_bad_row(
    path: Path, lines: list[str], rows: list[int], columns: Sequence[int]
) -> None:
    """Say which line numpy could not read: it counts rows from 0 or 1, as the error may be."""
    for row in rows:
        cells = next(csv.reader([lines[row]]))
        if len(cells) <= max(columns):
            raise _wrong(path, f"it has {len(cells)} columns, fewer than the header", row)
        for column in columns[2:]:
            try:
                float(cells[column])
            except ValueError as error:
                raise _wrong(path, f"{cells[column]!r} is not a luminosity", row) from error


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(
            "cannot read the table of luminosity by section",
            why=error.strerror or str(error),
            where=str(path),
        ) from error
    except UnicodeDecodeError as error:
        raise _wrong(path, "it is not UTF-8 text") from error
    return [line.strip() for line in text.splitlines()]


def _header(path: Path, lines: list[str]) -> tuple[int, list[str]]:
    """Return the line of the header, counted from 0, and its column names in lower case."""
    for number, line in enumerate(lines):
        names = _names(line)
        if names[0] in ("run", "run:fill"):
            return number, names
        if line and not line.startswith("#"):
            break
    raise _wrong(path, "it has no header that begins with run:fill")


def _names(line: str) -> list[str]:
    (cells,) = csv.reader([line.lstrip("# ").lower()]) if line.strip("# ") else ([""],)
    return [cell.strip() for cell in cells]


def _columns(
    path: Path, at: int, names: list[str]
) -> tuple[tuple[int, int, int, int], tuple[float, float]]:
    """Return where run, section, delivered and recorded are, and the factors to pb^-1."""
    places: dict[str, tuple[int, float]] = {}
    for column, name in enumerate(names):
        if name == "ls":
            places["ls"] = (column, 1.0)
        elif found := _COLUMN.fullmatch(name):
            kind, unit = found.groups()
            if unit not in _PER_PICOBARN:
                known = ", ".join(_PER_PICOBARN)
                raise _wrong(path, f"{name}: the unit is none of {known}", at)
            places[kind] = (column, _PER_PICOBARN[unit])
    for wanted in ("ls", "delivered", "recorded"):
        if wanted not in places:
            near = nearest(wanted, names)
            raise _wrong(path, f"it has no column {wanted!r}: {', '.join(names)}", at, near)
    (ls, _), (delivered, per_d), (recorded, per_r) = (
        places[name] for name in ("ls", "delivered", "recorded")
    )
    return (0, ls, delivered, recorded), (per_d, per_r)


def _refuse_other_lines(path: Path, lines: list[str], at: int, names: list[str]) -> None:
    for number, line in enumerate(lines[at + 1 :], start=at + 1):
        if not line or line[:1].isdigit():
            continue
        other = _names(line)
        if other[0] in ("run", "run:fill") and other != names:
            raise _wrong(path, "a second header has other columns than the first", number)
        if not line.startswith("#") and other != names:
            raise _wrong(path, f"not a line of the table: {line[:60]!r}", number)


def _pair(path: Path, cells: npt.NDArray[np.str_], rows: list[int]) -> tuple[Keys, Keys]:
    """Return the numbers of cells ``a:b``; b is 0 where a cell is just ``a``."""
    first, colon, second = np.strings.partition(cells, ":")
    second = np.where(colon == "", "0", second)
    good = np.strings.isdecimal(first) & np.strings.isdecimal(second)
    good &= np.strings.str_len(cells) < _WIDTH
    if good.all():
        numbers = first.astype(np.int64), second.astype(np.int64)
        good = (numbers[0] <= _LARGEST) & (numbers[1] <= _LARGEST)
        if good.all():
            return numbers
    at = int(np.argmin(good))
    raise _wrong(path, f"{cells[at]!s} is not a number, or a pair of them", rows[at])


def _wrong(path: Path, why: str, line: int | None = None, near: Sequence[str] = ()) -> UsageError:
    return UsageError(
        "not a table of luminosity by section",
        why=why,
        where=str(path) if line is None else f"{path}:{line + 1}",
        nearest=near,
        hint=_HINT,
    )
