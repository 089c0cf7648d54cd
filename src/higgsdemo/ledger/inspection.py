"""Looking into documents that came from elsewhere before they become part of a run.

What is not of this run, of another schema or workflow version, or not of the right form is
refused with a reason. A result that passes can be merged: the sums never meet a surprise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from higgsdemo.ledger.database import Ledger
from higgsdemo.ledger.manifest import Manifest
from higgsdemo.model import Histogram, Task
from higgsdemo.model.histogram import whole_numbers
from higgsdemo.model.result import RESULT_SCHEMA
from higgsdemo.sinks import Parcel, ParcelError

_EXACT = 2**53  # counts up to here are exact in every program that reads them
_KEYS = frozenset(
    {
        *("schema", "task", "sample", "workflow", "version", "files", "events", "digest"),
        *("histograms", "cutflow", "sections_seen", "sections_used", "provenance", "counters"),
    }
)


class Inspector:
    """Knows what results of a run must look like, from its manifest and those it has.

    `versions` are the workflow versions expected while the ledger has no result yet; without
    them, the first result decides.
    """

    def __init__(
        self, manifest: Manifest, ledger: Ledger, versions: Mapping[str, str] | None = None
    ) -> None:
        self._run_id = manifest.run_id
        self._tasks = {task.id: task for task in manifest.tasks}
        self._versions = dict(versions or {})
        self._axes: dict[tuple[str, str], Any] = {}  # (sample, histogram) -> its axes
        for document in ledger.examples():
            self._versions[document["workflow"]] = document["version"]
            self.accept(document)

    def accept(self, document: Mapping[str, Any]) -> None:
        """Hold later results to what this one has: workflow version, axes."""
        self._versions.setdefault(document["workflow"], document["version"])
        for key, stored in document["histograms"].items():
            self._axes.setdefault((document["sample"], key), stored["axes"])

    def task_of(self, parcel: Parcel) -> Task:
        """Return the task a parcel is about; ParcelError if it is not of this run."""
        if parcel.run_id != self._run_id:
            raise ParcelError(f"it is of run {parcel.run_id!r}")
        task = self._tasks.get(parcel.document["task"])
        if task is None:
            raise ParcelError(f"this run has no task {parcel.document['task']!r}")
        return task

    def inspect(self, parcel: Parcel) -> None:
        """Look into a result; ParcelError says why it cannot be one of this run."""
        document, task = parcel.document, self.task_of(parcel)
        if document.get("schema") != RESULT_SCHEMA:
            raise ParcelError(f"result schema {document.get('schema')!r}, not {RESULT_SCHEMA}")
        if document.keys() != _KEYS:
            raise ParcelError(f"not a result: {sorted(document.keys() ^ _KEYS)}")
        for key, planned in (("sample", task.sample), ("workflow", task.workflow)):
            if document[key] != planned:
                raise ParcelError(f"{key} {document[key]!r}, planned is {planned!r}")
        version = self._versions.get(task.workflow, document["version"])
        if document["version"] != version or not isinstance(version, str):
            raise ParcelError(
                f"version {document['version']!r} of workflow {task.workflow}, not {version!r}"
            )
        try:
            well_formed = _is_well_formed(document)
            values: list[int] = []
            for key, stored in document["histograms"].items():
                values += self._values_of(task.sample, key, stored)
            _check_counts(values)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ParcelError(f"not a result: {error!r}") from error
        if not well_formed:
            raise ParcelError("not a result: something in it is of the wrong kind")

    def _values_of(self, sample: str, key: str, stored: Mapping[str, Any]) -> list[int]:
        axes = self._axes.get((sample, key))
        if axes is None:
            Histogram.from_uhi(stored)
        elif stored["axes"] != axes:
            raise ValueError(f"histogram {key!r} has another axis than before")
        storage = stored["storage"]
        values: list[int] = storage["values"]
        bins = stored["axes"][0]["bins"]
        if (stored["uhi_schema"], storage["type"], len(values)) != (1, "int", bins + 2):
            raise ValueError(f"histogram {key!r} has no integer counts")
        return values


def _check_counts(values: list[int]) -> None:
    """All bins of all histograms at once: a call of numpy costs as much as a hundred bins."""
    counts = whole_numbers(values or [0])
    if counts.dtype == np.uint8:
        return  # bytes: none is negative, and so many that they add up to 2^53 fit nowhere
    if counts.dtype != np.int64 or counts.ndim != 1 or counts.min() < 0:
        raise ValueError("a histogram has no integer counts")
    if counts.sum(dtype=np.float64) >= _EXACT:
        raise ValueError("the counts of the histograms are too large")


def _is_well_formed(document: Mapping[str, Any]) -> bool:
    return (
        _is_count(document["files"])
        and _is_count(document["events"])
        and _is_cutflow(document["cutflow"])
        and _is_sections(document["sections_seen"])
        and _is_sections(document["sections_used"])
        and isinstance(document["provenance"], dict)
        and all(type(value) in (int, float) for value in document["counters"].values())
    )


def _is_cutflow(flow: Mapping[str, Any]) -> bool:
    steps = [step for one in flow.values() for step in one]
    counts = [count for _, count in steps]
    return (
        {type(name) for name, _ in steps} <= {str}
        and {*map(type, counts)} <= {int}
        and all(0 <= end < _EXACT for end in (min(counts, default=0), max(counts, default=0)))
    )


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < _EXACT


def _is_sections(sections: Mapping[str, Any] | None) -> bool:
    return sections is None or all(
        run.isdecimal() and _is_count(low) and _is_count(high) and low <= high
        for run, spans in sections.items()
        for low, high in spans
    )
