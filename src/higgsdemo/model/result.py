"""Results: what a task gives, and its JSON forms.

The content of a result (what its digest covers) does not depend on where or when it was made;
`provenance` and `counters` do, and are outside the digest. A result has two documents: the packed
one, of numbers alone, is what the digest covers, what travels and what a ledger keeps; it names
its form (`Form`) by digest. The other one, for people and their programs, explains itself.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from higgsdemo.model.form import Form
from higgsdemo.model.histogram import Histogram
from higgsdemo.model.sections import Sections, sections_from_json, sections_to_json
from higgsdemo.model.text import canonical

RESULT_SCHEMA = 2

Cutflow = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Output:
    """What a workflow makes of a task's events.

    `events` were read; `histograms` are keyed "channel/variable"; `cutflow` per channel: the
    events left after each step, in order. `sections_seen` and `sections_used` are the
    luminosity sections met, and those left by the certified-sections mask (None: the input
    has no run and luminosityBlock, or is simulated). `bytes_read` is what was fetched.

    Raises ValueError if a count is negative, or see `Form`.
    """

    events: int
    histograms: Mapping[str, Histogram]
    cutflow: Mapping[str, Cutflow]
    sections_seen: Sections | None = None
    sections_used: Sections | None = None
    bytes_read: int = 0

    def __post_init__(self) -> None:
        _ = self.form  # what is wrong with it is told where it is made
        least = [one.counts.min() for one in self.histograms.values()]
        least += [count for flow in self.cutflow.values() for _, count in flow]
        if min(least, default=0) < 0:
            raise ValueError("a count is negative")

    @functools.cached_property
    def form(self) -> Form:
        """What the numbers are numbers of."""
        return Form(
            {key: histogram.axis for key, histogram in self.histograms.items()},
            {channel: tuple(step for step, _ in flow) for channel, flow in self.cutflow.items()},
        )


@dataclass(frozen=True)
class Result:
    """A finished task. `version` is the workflow's; `files` were read to the end."""

    task_id: str
    sample: str
    workflow: str
    version: str
    files: int
    output: Output
    provenance: Mapping[str, Any] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)

    @functools.cached_property
    def content(self) -> dict[str, Any]:
        """The part of the packed document that the digest covers.

        `places` and `counts` are those counts of histograms that are not zero, in a row of all
        (`Form.places`); `passed` are the counts of the cutflow (`Form.flow`).
        """
        output, form = self.output, self.output.form
        rows = [output.histograms[key].counts for key in form.places]
        counts = np.concatenate([np.zeros(0, np.int64), *rows])
        (places,) = np.nonzero(counts)
        return {
            **self._named,
            "form": form.digest,
            "places": places.tolist(),
            "counts": counts[places].tolist(),
            "passed": [count for _, flow in sorted(output.cutflow.items()) for _, count in flow],
            **self._sections,
        }

    @functools.cached_property
    def text(self) -> bytes:
        """The content as canonical JSON."""
        return canonical(self.content)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of `text`: equal for any two right executions of the task."""
        return hashlib.sha256(self.text).hexdigest()

    @property
    def about(self) -> dict[str, Any]:
        """The part of the documents that the digest does not cover, and the digest."""
        return {
            "digest": self.digest,
            "provenance": dict(self.provenance),
            "counters": {**self.counters, "bytes_read": self.output.bytes_read},
        }

    def pack(self) -> dict[str, Any]:
        """Return the packed document, ready for JSON; `unpack` reads it."""
        return {**self.content, **self.about}

    def to_json(self) -> dict[str, Any]:
        """Return the result as a JSON-ready document that explains itself; `from_json` reads it."""
        output = self.output
        return {
            **self._named,
            "histograms": {
                key: histogram.to_uhi() for key, histogram in sorted(output.histograms.items())
            },
            "cutflow": {
                channel: [list(step) for step in steps]
                for channel, steps in sorted(output.cutflow.items())
            },
            **self._sections,
            **self.about,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Result:
        """Read a result written by `to_json`.

        Raises ValueError if it is not one, is of another schema, or its digest does not fit.
        """
        with _reading(document):
            histograms = {
                key: Histogram.from_uhi(one) for key, one in document["histograms"].items()
            }
            cutflow = {
                channel: tuple((step, int(count)) for step, count in steps)
                for channel, steps in document["cutflow"].items()
            }
            return cls._read(document, histograms, cutflow)

    @classmethod
    def unpack(cls, document: Mapping[str, Any], form: Form) -> Result:
        """Read a document written by `pack`; ValueError as of `from_json`."""
        with _reading(document):
            counts = np.zeros(form.bins, np.int64)
            counts[document["places"]] = document["counts"]
            histograms = {
                key: Histogram(form.axes[key], counts[part]) for key, part in form.places.items()
            }
            flows: dict[str, list[tuple[str, int]]] = {channel: [] for channel in form.steps}
            for (channel, step), count in zip(form.flow, document["passed"], strict=True):
                flows[channel].append((step, int(count)))
            cutflow = {channel: tuple(flow) for channel, flow in flows.items()}
            return cls._read(document, histograms, cutflow)

    @classmethod
    def _read(
        cls,
        document: Mapping[str, Any],
        histograms: Mapping[str, Histogram],
        cutflow: Mapping[str, Cutflow],
    ) -> Result:
        counters = dict(document["counters"])
        output = Output(
            events=document["events"],
            histograms=histograms,
            cutflow=cutflow,
            sections_seen=sections_from_json(document["sections_seen"]),
            sections_used=sections_from_json(document["sections_used"]),
            bytes_read=int(counters.pop("bytes_read", 0)),
        )
        result = cls(
            task_id=document["task"],
            sample=document["sample"],
            workflow=document["workflow"],
            version=document["version"],
            files=document["files"],
            output=output,
            provenance=dict(document["provenance"]),
            counters=counters,
        )
        if result.digest != document["digest"]:
            raise ValueError(f"result of task {result.task_id}: content and digest differ")
        return result

    @property
    def _named(self) -> dict[str, Any]:
        return {
            "schema": RESULT_SCHEMA,
            "task": self.task_id,
            "sample": self.sample,
            "workflow": self.workflow,
            "version": self.version,
            "files": self.files,
            "events": self.output.events,
        }

    @property
    def _sections(self) -> dict[str, Any]:
        return {
            "sections_seen": sections_to_json(self.output.sections_seen),
            "sections_used": sections_to_json(self.output.sections_used),
        }


@contextlib.contextmanager
def _reading(document: Mapping[str, Any]) -> Iterator[None]:
    """Check the schema; tell whatever else is wrong with a document as ValueError."""
    try:
        if document["schema"] != RESULT_SCHEMA:
            raise ValueError(f"result schema {document['schema']!r}, not {RESULT_SCHEMA}")
        yield
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError) as error:
        raise ValueError(f"not a result: {error!r}") from error
