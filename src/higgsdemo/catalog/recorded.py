"""The luminosity of what a run has processed, from tables given afterwards.

Two kinds of table: by luminosity section (`catalog.luminosity`), which says it exactly, and by
file (`catalog.indexes.LuminosityTable`). Where both cover a sample they are compared.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from higgsdemo.catalog.indexes import LuminosityTable
from higgsdemo.catalog.luminosity import (
    SampleLuminosity,
    SectionTable,
    processed_luminosity,
    read_section_table,
)
from higgsdemo.model.task import Task
from higgsdemo.model.totals import Totals


@dataclass(frozen=True)
class Tables:
    """Tables of luminosity, of either kind."""

    by_section: SectionTable | None
    by_file: tuple[LuminosityTable, ...]


@dataclass(frozen=True)
class Recorded:
    """The recorded luminosity of what is in of a data sample, pb^-1.

    `by_section` and `by_file` are None where no table covers the sample; `used_pb` is what the
    simulation is scaled to, None where none of them, nor the plan, knows it.
    """

    by_section: SampleLuminosity
    by_file_pb: float | None
    used_pb: float | None
    source: str  # "section", "file", "plan" or "none"

    @property
    def sample(self) -> str:
        """The name of the sample."""
        return self.by_section.sample

    def lines(self) -> list[str]:
        """Return what there is to say, the numbers first."""
        said = self.by_section.lines()
        processed = self.by_section.processed
        if self.by_file_pb is not None:
            line = f"by file: {self.by_file_pb:.6g} pb^-1 in the same tasks"
            if processed is not None and self.by_file_pb:
                line += f"; by section {processed.recorded_pb / self.by_file_pb - 1:+.3%} of it"
            said.append(line)
        used = "unknown" if self.used_pb is None else f"{self.used_pb:.6g} pb^-1, by {self.source}"
        return [*said, f"used here: {used}"]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON-ready document."""
        processed = self.by_section.processed
        return {
            "sample": self.sample,
            "used_pb": self.used_pb,
            "source": self.source,
            "by_section_pb": processed.recorded_pb if processed else None,
            "by_section_delivered_pb": processed.delivered_pb if processed else None,
            "sections": processed.sections if processed else None,
            "sections_missing": processed.sections_missing if processed else None,
            "by_file_pb": self.by_file_pb,
            "by_plan_pb": self.by_section.counted_pb,
            "lines": self.lines(),
        }


def read_tables(paths: Sequence[str | Path]) -> Tables:
    """Read tables of either kind, told apart by their content.

    Raises UsageError, with the line, for what is neither.
    """
    given = [Path(path).expanduser() for path in paths]
    by_section = [path for path in given if not _is_json(path)]
    return Tables(
        read_section_table(by_section) if by_section else None,
        tuple(LuminosityTable(path) for path in given if path not in by_section),
    )


def _is_json(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"["))
    except OSError:
        return path.suffix == ".json"  # whoever reads it says why it cannot be


def luminosity_by_file(
    tables: Iterable[LuminosityTable], tasks: Iterable[Task], done: Collection[str]
) -> dict[str, float]:
    """Return the luminosity, pb^-1, of the tasks `done` (ids) of each data sample.

    A task that reads a part of a file has the share of its events. Samples with a file that no
    table has, or with parts of unknown size, are left out.
    """
    known = list(tables)
    events: dict[str, int | None] = defaultdict(int)  # of each file that is read in parts
    mine = [task for task in tasks if task.is_data]
    for task in mine:
        if task.start is not None:
            (file,) = task.files
            so_far = events[file.name]
            known_so_far = so_far is not None and task.events is not None
            events[file.name] = (so_far or 0) + (task.events or 0) if known_so_far else None
    sums: dict[str, list[float] | None] = {}
    for task in mine:
        parts = sums.setdefault(task.sample, [])
        if task.id not in done or parts is None:
            continue
        for file in task.files:
            value = next((v for one in known if (v := one[file.name]) is not None), None)
            if value is not None and task.start is not None:
                whole = events[file.name]
                value = value * task.events / whole if whole and task.events is not None else None
            if value is None:
                sums[task.sample] = None
                break
            parts.append(value)
    return {name: math.fsum(parts) for name, parts in sums.items() if parts is not None}


def with_luminosity(
    totals: Totals, tables: Tables, by_file_pb: Mapping[str, float]
) -> tuple[Totals, tuple[Recorded, ...]]:
    """Return the totals with the luminosity that the tables give, and what they say.

    By section counts before by file, and that before what the plan counts. Not counted is a sum
    by section of a skim (it is a lower bound), or of sections of which the table has none.
    """
    empty = _no_sections() if tables.by_section is None else tables.by_section
    told = []
    samples = dict(totals.samples)
    for one in processed_luminosity(totals, empty):
        if tables.by_section is None:
            one = dataclasses.replace(one, processed=None, why=one.why or "no such table is given")
        of_files = None if totals.samples[one.sample].sample.demo else by_file_pb.get(one.sample)
        used, source = one.counted_pb, "plan" if one.counted_pb is not None else "none"
        if of_files is not None and not _masked(totals, one.sample):
            used, source = of_files, "file"
        if one.processed is not None and one.processed.sections and not one.sparse:
            used, source = one.processed.recorded_pb, "section"
        told.append(Recorded(one, of_files, used, source))
        before = samples[one.sample]
        planned = used if before.complete else before.luminosity_planned_pb
        samples[one.sample] = dataclasses.replace(
            before, luminosity_pb=used, luminosity_planned_pb=planned
        )
    return dataclasses.replace(totals, samples=samples), tuple(told)


def _masked(totals: Totals, name: str) -> bool:
    """Whether a mask left out sections: then whole files are more than what was processed."""
    one = totals.samples[name]
    return one.sections_used != one.sections_seen


def _no_sections() -> SectionTable:
    """Return a table of no section."""
    import numpy as np

    nothing = np.zeros(0)
    return SectionTable(np.zeros(0, dtype=np.int64), nothing, nothing)
