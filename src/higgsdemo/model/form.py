"""What results of one kind have in common: their form, told once beside the numbers.

Of 26,920 results all have the same axes and the same steps of the cutflow, many times as long as
their numbers. A packed result names its form by digest, so what travels, is kept and is read for
each result are numbers. A form is a document of its own, of histograms that are empty.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from higgsdemo.model.histogram import Axis
from higgsdemo.model.text import canonical, parse_json

MOST_COUNTS = 1_000_000  # of a result: sums have room for all of them


@dataclass(frozen=True, eq=False)
class Form:
    """Which histograms ("channel/variable") and which cutflow (per channel) a result has.

    Two forms are the same if their `digest` is. Raises ValueError if there are more than
    `MOST_COUNTS` bins and steps, or a step has no name, or one that another of the channel has.
    """

    axes: Mapping[str, Axis]
    steps: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        counts = self.bins + sum(map(len, self.steps.values()))
        if counts > MOST_COUNTS:
            raise ValueError(f"{counts:,} bins and steps in all, more than {MOST_COUNTS:,}")
        for channel, steps in self.steps.items():
            if {*map(type, steps)} - {str}:
                raise ValueError(f"a step of the cutflow of {channel} has no name")
            if len({*steps}) != len(steps):
                raise ValueError(f"two steps of the cutflow of {channel} have the same name")

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, Form) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    @functools.cached_property
    def places(self) -> Mapping[str, slice]:
        """Where the counts of each histogram are in a row of all, under- and overflow included.

        Histograms are in the order of their names.
        """
        found, begin = {}, 0
        for key, axis in sorted(self.axes.items()):
            found[key] = slice(begin, begin + axis.bins + 2)
            begin += axis.bins + 2
        return found

    @functools.cached_property
    def bins(self) -> int:
        """The number of all counts of histograms."""
        return sum(axis.bins + 2 for axis in self.axes.values())

    @functools.cached_property
    def flow(self) -> tuple[tuple[str, str], ...]:
        """The (channel, step) of the counts of the cutflow in a row, channels in order."""
        return tuple((key, step) for key, steps in sorted(self.steps.items()) for step in steps)

    @functools.cached_property
    def text(self) -> bytes:
        """The form as canonical JSON."""
        return canonical(self.to_json())

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of `text`."""
        return hashlib.sha256(self.text).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return the form as a JSON-ready document."""
        return {
            "histograms": {key: axis.to_uhi() for key, axis in self.axes.items()},
            "cutflow": {channel: list(steps) for channel, steps in self.steps.items()},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read a form written by `to_json`; ValueError if it is none."""
        try:
            return cls(
                {key: Axis.from_uhi(one) for key, one in document["histograms"].items()},
                {channel: tuple(steps) for channel, steps in document["cutflow"].items()},
            )
        except (AttributeError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"not the form of a result: {type(error).__name__}") from error

    @classmethod
    def from_text(cls, text: bytes) -> Self:
        """Read a form from its `text`; ValueError if it is none, or is written otherwise."""
        try:
            document = parse_json(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"not the form of a result: {error}") from error
        form = cls.from_json(document)
        if form.text != text:
            raise ValueError("not the form of a result as it is written")
        return form
