"""Looking into documents that came from elsewhere before they become part of a run.

What is not of this run, of another schema or workflow version, or not of the right form is
refused with a reason. A result that passes can be merged: the sums never meet a surprise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from higgsdemo.ledger.database import Ledger
from higgsdemo.ledger.manifest import Manifest
from higgsdemo.ledger.tally import EXACT, Tally, tally_of
from higgsdemo.model import Axis, Form, Task
from higgsdemo.model.result import RESULT_SCHEMA
from higgsdemo.sinks import Parcel, ParcelError

_MOST_SPANS = 100_000  # ranges of luminosity sections of one task; a file of CMS has some ten
_KEYS = frozenset(
    {
        *("schema", "task", "sample", "workflow", "version", "files", "events", "digest"),
        *("form", "places", "counts", "passed", "sections_seen", "sections_used"),
        *("provenance", "counters"),
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
        self._met: set[tuple[str, Form]] = set()  # forms of the results of a sample
        self._axes: dict[tuple[str, str], Axis] = {}  # (sample, histogram) -> its axis
        for document in ledger.examples():
            self._versions[document["workflow"]] = document["version"]
            self._meet(document["sample"], ledger.form(document["form"]))

    def task_of(self, parcel: Parcel) -> Task:
        """Return the task a parcel is about; ParcelError if it is not of this run."""
        if parcel.run_id != self._run_id:
            raise ParcelError(f"it is of run {parcel.run_id!r}")
        task = self._tasks.get(parcel.document["task"])
        if task is None:
            raise ParcelError(f"this run has no task {parcel.document['task']!r}")
        return task

    def inspect(self, parcel: Parcel) -> Tally:
        """Look into a result, and hold later ones to what it has; return what sums take of it.

        ParcelError says why it cannot be one of this run.
        """
        document, task = parcel.document, self.task_of(parcel)
        if repr(document.get("schema")) != repr(RESULT_SCHEMA):  # 2.0 is another
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
            if not _is_well_formed(document):
                raise ValueError("something in it is of the wrong kind")
            if parcel.form is None:
                raise ValueError("it has no form")
            tally = tally_of(document, parcel.form)
            self._meet(task.sample, parcel.form)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ParcelError(f"not a result: {error!r}") from error
        self._versions.setdefault(task.workflow, version)
        return tally

    def _meet(self, sample: str, form: Form) -> None:
        """Hold the results of a sample to the axes of those before."""
        if (sample, form) in self._met:
            return
        for key, axis in form.axes.items():
            if self._axes.get((sample, key), axis) != axis:
                raise ValueError(f"histogram {key!r} has another axis than before")
        self._axes.update(((sample, key), axis) for key, axis in form.axes.items())
        self._met.add((sample, form))


def _is_well_formed(document: Mapping[str, Any]) -> bool:
    return (
        _is_count(document["files"])
        and _is_count(document["events"])
        and _is_sections(document["sections_seen"])
        and _is_sections(document["sections_used"])
        and isinstance(document["provenance"], dict)
        and all(
            type(value) in (int, float) and math.isfinite(value)
            for value in document["counters"].values()
        )
    )


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < EXACT


def _is_sections(sections: Mapping[str, Any] | None) -> bool:
    if sections is None:
        return True
    return sum(map(len, sections.values())) <= _MOST_SPANS and all(
        _is_run(run) and _is_count(low) and _is_count(high) and low <= high
        for run, spans in sections.items()
        for low, high in spans
    )


def _is_run(run: str) -> bool:
    """Whether this is a number as it is written: up to 32 bits, as in the branch `run`."""
    return run.isdecimal() and len(run) <= 10 and str(int(run)) == run
