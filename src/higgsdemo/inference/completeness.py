"""How much of a run is in: what is missing costs luminosity (data) or precision (simulation)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from higgsdemo.model import CHANNELS, Group, Sample, SampleTotals, Totals

Category = tuple[str, int | None]  # channel and year


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many; `planned` is None where the plan could not know."""

    done: float
    planned: float | None

    @property
    def fraction(self) -> float | None:
        """Done over planned; None if the plan is unknown; 1 if nothing was planned."""
        if self.planned is None:
            return None
        return self.done / self.planned if self.planned > 0 else 1.0

    def to_json(self) -> dict[str, float | None]:
        """Return the share as a JSON-ready document."""
        return {"done": self.done, "planned": self.planned}


@dataclass(frozen=True, slots=True)
class Luminosity:
    """The recorded luminosity, pb^-1, that a channel of a year stands on.

    `pb.done` is what the data that are in were recorded with. `unknown` names data samples
    whose events are in but whose luminosity nobody gave.
    """

    channel: str
    year: int | None
    sqrt_s_tev: float | None
    pb: Share
    unknown: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the luminosity as a JSON-ready document."""
        return {
            "channel": self.channel,
            "year": self.year,
            "sqrt_s_tev": self.sqrt_s_tev,
            "done_pb": self.pb.done,
            "planned_pb": self.pb.planned,
            "samples_of_unknown_luminosity": list(self.unknown),
        }


@dataclass(frozen=True, slots=True)
class SampleShare:
    """What is in of one sample: files, events read and, for data, luminosity in pb^-1."""

    sample: str
    group: Group
    year: int | None
    files: Share
    events: Share
    luminosity_pb: Share | None  # None for simulation, and for data of unknown luminosity
    skipped: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the share as a JSON-ready document."""
        return {
            "sample": self.sample,
            "group": self.group,
            "year": self.year,
            "files": self.files.to_json(),
            "events": self.events.to_json(),
            "luminosity_pb": self.luminosity_pb.to_json() if self.luminosity_pb else None,
            "skipped": list(self.skipped),
        }


@dataclass(frozen=True, slots=True)
class Completeness:
    """What is in of a run, data and simulation apart.

    A missing data file makes `luminosity` smaller, and the simulation follows it; a missing
    simulated file only makes the simulation less precise.
    """

    complete: bool
    data_files: Share
    simulated_files: Share
    luminosity: tuple[Luminosity, ...]
    samples: tuple[SampleShare, ...]
    skipped: tuple[str, ...]

    @property
    def files(self) -> Share:
        """Files of all kinds."""
        return _add([self.data_files, self.simulated_files])

    def to_json(self) -> dict[str, Any]:
        """Return the completeness as a JSON-ready document."""
        return {
            "complete": self.complete,
            "data_files": self.data_files.to_json(),
            "simulated_files": self.simulated_files.to_json(),
            "luminosity": [luminosity.to_json() for luminosity in self.luminosity],
            "samples": [share.to_json() for share in self.samples],
            "skipped": list(self.skipped),
        }


def fills(sample: Sample, channel: str) -> bool:
    """Whether the events of `sample` count in `channel`.

    `Sample.channels` keeps an event that fires two data streams from counting twice. It speaks
    of the four-lepton final states; channels of other workflows are not restricted.
    """
    return channel in sample.channels or channel not in CHANNELS


def luminosity_of(totals: Totals, channel: str, year: int | None) -> Luminosity | None:
    """Return the luminosity of a channel and year; None if the run plans no data there."""
    data = [
        one
        for one in totals.samples.values()
        if one.sample.is_data and one.sample.year == year and fills(one.sample, channel)
    ]
    if not data:
        return None
    energies = [one.sample.sqrt_s_tev for one in data if one.sample.sqrt_s_tev is not None]
    return Luminosity(
        channel=channel,
        year=year,
        sqrt_s_tev=energies[0] if energies else None,
        pb=_add(Share(one.luminosity_pb or 0.0, one.luminosity_planned_pb) for one in data),
        unknown=tuple(
            one.sample.name for one in data if one.tasks > 0 and one.luminosity_pb is None
        ),
    )


def completeness_of(totals: Totals, luminosity: Iterable[Luminosity]) -> Completeness:
    """Return what is in of a run."""
    shares = tuple(_share(one) for one in totals.samples.values())
    return Completeness(
        complete=totals.complete and not totals.skipped,
        data_files=_add(share.files for share in shares if share.group == "data"),
        simulated_files=_add(share.files for share in shares if share.group != "data"),
        luminosity=tuple(luminosity),
        samples=shares,
        skipped=totals.skipped,
    )


def _share(one: SampleTotals) -> SampleShare:
    sample = one.sample
    planned = one.events_planned
    if planned is None and not sample.is_data:
        planned = sample.generated_events
    luminosity = None
    if sample.is_data and one.luminosity_pb is not None:
        luminosity = Share(one.luminosity_pb, one.luminosity_planned_pb)
    return SampleShare(
        sample=sample.name,
        group=sample.group,
        year=sample.year,
        files=Share(one.files, one.files_planned),
        events=Share(one.events, planned),
        luminosity_pb=luminosity,
        skipped=one.skipped,
    )


def _add(shares: Iterable[Share]) -> Share:
    parts = list(shares)
    known = [part.planned for part in parts if part.planned is not None]
    planned = sum(known) if len(known) == len(parts) else None
    return Share(sum(part.done for part in parts), planned)
