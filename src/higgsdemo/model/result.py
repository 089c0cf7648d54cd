"""Results and failures: what one attempt at a task gives, and their JSON form.

The content of a result (what its digest covers) does not depend on where or when it was made;
`provenance` and `counters` do, and are outside the digest. A result has two documents: the packed
one, of numbers alone, is what the digest covers, what travels and what a ledger keeps; it names
its form (`Form`) by digest. The other one, for people and their programs, explains itself.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from higgsdemo.errors import Cause
from higgsdemo.model.form import Form
from higgsdemo.model.histogram import Histogram
from higgsdemo.model.text import canonical

RESULT_SCHEMA = 2

Cutflow = tuple[tuple[str, int], ...]
Sections = dict[int, list[list[int]]]  # run -> inclusive ranges of luminosity sections


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
    def digest(self) -> str:
        """SHA-256 of the content: equal for any two right executions of the task."""
        return hashlib.sha256(canonical(self.content)).hexdigest()

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
            sections_seen=_sections_from_json(document["sections_seen"]),
            sections_used=_sections_from_json(document["sections_used"]),
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
            "sections_seen": _sections_to_json(self.output.sections_seen),
            "sections_used": _sections_to_json(self.output.sections_used),
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


MOST_MESSAGE, MOST_TRACEBACK = 20_000, 200_000
"""Characters of a failure that are kept: a million log lines are no message."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt: the cause, the message for people, and the traceback of a bug.

    Of words without end, begin and end are kept, and it is said how much was left out.
    """

    task_id: str
    cause: Cause
    message: str
    traceback: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, most in (("message", MOST_MESSAGE), ("traceback", MOST_TRACEBACK)):
            text = getattr(self, name)
            if isinstance(text, str) and len(text) > most:
                object.__setattr__(self, name, _shortened(text, most))

    def to_json(self) -> dict[str, Any]:
        """Return the failure as a JSON-ready document."""
        return {
            "task": self.task_id,
            "cause": str(self.cause),
            "message": self.message,
            "traceback": self.traceback,
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Failure:
        """Read a failure written by `to_json`; ValueError if it is not one."""
        try:
            return cls(
                document["task"],
                Cause(document["cause"]),
                document["message"],
                document["traceback"],
                dict(document["provenance"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a failure: {error!r}") from error


def _shortened(text: str, most: int) -> str:
    """Return the begin and, of a traceback the more telling part, the end of a long text."""
    begin, end = text[: most // 4], text[-(most - most // 4 - 100) :]
    left_out = len(text) - len(begin) - len(end)
    lines = text.count("\n", len(begin), len(text) - len(end))
    return f"{begin}\n... {left_out:,} characters, {lines:,} line ends left out ...\n{end}"


def sections_of(runs: np.ndarray[Any, Any], sections: np.ndarray[Any, Any]) -> Sections:
    """Pack (run, luminosity section) pairs, any order and repeated, into inclusive ranges.

    Both are unsigned 32-bit numbers, as in the branches `run` and `luminosityBlock`.
    """
    if runs.size == 0:
        return {}
    keys = (runs.astype(np.uint64) << np.uint64(32)) | sections.astype(np.uint64)
    changed = np.flatnonzero(keys[1:] != keys[:-1]) + 1
    keys = np.unique(keys[np.append(0, changed)])
    # The last section there can be and section 0 of the next run are neighbours in `keys` only.
    same_run = keys[1:] >> np.uint64(32) == keys[:-1] >> np.uint64(32)
    cuts = np.flatnonzero((np.diff(keys) != 1) | ~same_run) + 1
    packed: Sections = {}
    begins, ends = keys[np.append(0, cuts)], keys[np.append(cuts, keys.size) - 1]
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        packed.setdefault(begin >> 32, []).append([begin & 0xFFFFFFFF, end & 0xFFFFFFFF])
    return packed


def merge_sections(one: Sections | None, other: Sections | None) -> Sections | None:
    """Return the union of two sets of sections; None (unknown) gives way."""
    if one is None or other is None:
        return other if one is None else one
    merged: Sections = {}
    for run in sorted({*one, *other}):
        spans = join_spans([], [*one.get(run, []), *other.get(run, [])])
        if spans:  # there may be none, as in certified-sections files
            merged[run] = spans
    return merged


def join_spans(joined: list[list[int]], more: Iterable[list[int]]) -> list[list[int]]:
    """Return inclusive ranges, in order and apart, with more of them: a few cost little.

    Ranges of `joined` that stay are the same lists; neither argument is changed.
    """
    spans, more = [*joined], sorted(more)
    if len(more) > len(spans) // 8:  # putting them in one by one would cost more than all anew
        spans, more = [], sorted([*spans, *more])
    for low, high in more:
        first = bisect.bisect_left(spans, [low])
        if first and spans[first - 1][1] + 1 >= low:
            first -= 1
        last = first
        while last < len(spans) and spans[last][0] <= high + 1:
            low, high = min(low, spans[last][0]), max(high, spans[last][1])
            last += 1
        spans[first:last] = [[low, high]]
    return spans


def count_sections(sections: Sections | None) -> int:
    """Return how many luminosity sections there are."""
    return sum(high - low + 1 for spans in (sections or {}).values() for low, high in spans)


def _sections_to_json(sections: Sections | None) -> dict[str, list[list[int]]] | None:
    if sections is None:
        return None
    return {str(run): spans for run, spans in sorted(sections.items())}


def _sections_from_json(document: Mapping[str, list[list[int]]] | None) -> Sections | None:
    if document is None:
        return None
    return {int(run): spans for run, spans in document.items()}
