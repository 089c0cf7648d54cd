"""The workflow `h4l`: from open files to histograms, cutflow, luminosity sections, event dump."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from higgsdemo.catalog import certification
from higgsdemo.columns import Chunk, EventFile, Wanted, open_events
from higgsdemo.errors import InputError, UsageError, nearest
from higgsdemo.model import (
    CHANNELS,
    Axis,
    Histogram,
    Output,
    Sections,
    Task,
    TaskFile,
    merge_sections,
    sections_of,
)
from higgsdemo.storage import Source
from higgsdemo.workflows.base import Option, check_options
from higgsdemo.workflows.h4l import default, dump, published
from higgsdemo.workflows.h4l.candidates import Candidates, Steps
from higgsdemo.workflows.h4l.leptons import ELECTRON, MUON, Bools, require_finite

AXES: Mapping[str, Axis] = {
    "m4l": Axis(37, 70.0, 181.0, "m4l", "GeV"),
    "m4l_published": Axis(36, 70.0, 180.0, "m4l", "GeV"),
    "m4l_wide": Axis(300, 0.0, 900.0, "m4l", "GeV"),
    "mZ1": Axis(120, 0.0, 120.0, "mZ1", "GeV"),
    "mZ2": Axis(120, 0.0, 120.0, "mZ2", "GeV"),
}
_FLAVOURS = {"4mu": (MUON,), "4e": (ELECTRON,), "2mu2e": (MUON, ELECTRON)}
_SECTION = ("run", "luminosityBlock")


class Selection(Protocol):
    """How a selection is called: see `default.select`."""

    def __call__(
        self,
        chunk: Chunk,
        channels: Sequence[str],
        certified: Bools | None,
        steps: Mapping[str, Steps],
    ) -> Iterator[tuple[str, Candidates]]:
        """Apply it to a chunk."""


SELECTIONS: Mapping[str, Selection] = {"default": default.select, "published": published.select}


class H4l:
    """H -> ZZ -> 4 leptons; see the package for what it fills."""

    name = "h4l"
    version = "1"
    title = "H -> ZZ -> 4 leptons on reduced NanoAOD: 4mu, 4e, 2mu2e"
    formats = ("nanoaod",)
    options: Mapping[str, Option] = {
        "selection": Option(
            "default",
            choices=tuple(SELECTIONS),
            help="default, or published: the public tutorial df103, its slips included",
        ),
        "events": Option(
            "none",
            parser=dump.folder,
            help="folder for Parquet files of the selected events, one a task, or none",
        ),
    }

    def process(self, task: Task, sources: Sequence[Source]) -> Output:
        """Select the events of the task; `sources` are `task.files`, opened.

        Raises
        ------
        UsageError
            an unknown channel or option, a certified-sections file that is none, or an event
            dump without pyarrow
        InputError
            a file is damaged or lacks a branch, a lepton branch holds NaN or infinite values,
            the file has fewer entries than the task, or no `run` and `luminosityBlock` to apply
            the certified sections to
        TransientError
            the storage failed, or the event dump could not be written
        """
        options = check_options(self, task.options)
        return _Pass(task, options["selection"], options["events"]).over(sources)


class _Pass:
    """One pass over the files of a task, and what it has gathered so far."""

    def __init__(self, task: Task, selection: str, events: str) -> None:
        _check_channels(task)
        self._task = task
        self._selection = selection
        self._dump = None if events == dump.NONE else dump.Dump(events, task, selection)
        self._certified = (
            certification.load_sections(task.certified)
            if task.is_data and task.certified is not None
            else None
        )
        self._events = 0
        self._cutflow: dict[str, Steps] = {channel: Steps() for channel in task.channels}
        self._masses = {
            f"{channel}/{variable}": Histogram.zeros(axis)
            for channel in task.channels
            for variable, axis in AXES.items()
        }
        self._seen: Sections | None = None
        self._used: Sections | None = None
        # The cutflow names every step even where no event was read.
        self._select(_no_events(self._wanted()), None, TaskFile("", ""))

    def over(self, sources: Sequence[Source]) -> Output:
        """Read the sources to the end of the task."""
        before = sum(source.bytes_read for source in sources)
        # Values beyond any detector's may overflow on the way to failing a cut; SIP can be 0/0.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for file, source in zip(self._task.files, sources, strict=True):
                with open_events(source) as events:
                    for chunk in self._chunks(events):
                        certified = self._sections(chunk, file.url)
                        self._events += chunk.size
                        self._select(chunk, certified, file)
                        del chunk  # its memory serves the next one
        if self._dump is not None:
            self._dump.write()
        return Output(
            events=self._events,
            histograms=self._masses,
            cutflow={
                channel: tuple(steps.counts.items()) for channel, steps in self._cutflow.items()
            },
            sections_seen=self._seen,
            sections_used=self._used,
            bytes_read=sum(source.bytes_read for source in sources) - before,
        )

    def _wanted(self, *, muons_too: bool = False) -> Wanted:
        """Return the branches that the channels need, and no other."""
        flavours = {flavour for channel in self._task.channels for flavour in _FLAVOURS[channel]}
        if muons_too:
            flavours.add(MUON)
        optional: list[str] = []
        if self._task.is_data or self._dump is not None:
            optional += _SECTION
        if self._dump is not None:
            optional.append("event")
        if self._selection == "default" and MUON not in flavours:
            optional.append("nMuon")
        return Wanted(
            collections={
                flavour.collection: flavour.attributes
                for flavour in (MUON, ELECTRON)
                if flavour in flavours
            },
            optional=tuple(optional),
        )

    def _chunks(self, events: EventFile) -> Iterator[Chunk]:
        start, stop = self._task.start or 0, self._task.stop
        if stop is not None and stop > events.entries:
            raise InputError(
                "the file has fewer entries than the task",
                where=events.url,
                why=f"entries {start} to {stop} were planned, it has {events.entries}",
                hint="it changed since the plan was made: plan again",
            )
        wanted = self._wanted()
        for chunk in events.chunks(wanted, start, stop):
            alone = self._selection == "default" and "Muon" not in wanted.collections
            if alone and default.needs_muons(chunk):
                more = self._wanted(muons_too=True)
                yield from events.chunks(more, chunk.start, chunk.stop, events=chunk.size)
            else:
                yield chunk
            del chunk  # or it would live until the next one is read

    def _sections(self, chunk: Chunk, where: str) -> Bools | None:
        """Record the luminosity sections of data; return which events are certified."""
        if not self._task.is_data:
            return None
        missing = [name for name in _SECTION if name not in chunk.scalars]
        if missing:
            if self._certified is None:
                return None
            raise InputError(
                f"missing branch{'es' if len(missing) > 1 else ''}: {', '.join(missing)}",
                where=where,
                why="certified luminosity sections cannot be told from others without",
                hint="leave out the certified-sections file, if its cut was already made",
            )
        runs, sections = (chunk.scalars[name] for name in _SECTION)
        # Events of one section follow each other: look every stretch up once.
        changed = (runs[1:] != runs[:-1]) | (sections[1:] != sections[:-1])
        starts = np.concatenate([[0], np.flatnonzero(changed) + 1])
        runs, sections = runs[starts], sections[starts]
        self._seen = merge_sections(self._seen, sections_of(runs, sections))
        if self._certified is None:
            self._used = self._seen
            return None
        good = certification.mask(self._certified, runs, sections)
        self._used = merge_sections(self._used, sections_of(runs[good], sections[good]))
        if good.all():
            return np.ones(chunk.size, dtype=np.bool_)
        return np.repeat(good, np.diff(starts, append=chunk.size))

    def _select(self, chunk: Chunk, certified: Bools | None, file: TaskFile) -> None:
        for flavour in (MUON, ELECTRON):
            if flavour.collection in chunk.counts:
                require_finite(chunk, flavour, file.url)
        for steps in self._cutflow.values():
            steps.add("all events", chunk.size)
            if self._certified is not None:
                steps.add("certified sections", chunk.size if certified is None else certified)
        select = SELECTIONS[self._selection]
        for channel, found in select(chunk, self._task.channels, certified, self._cutflow):
            self._fill(channel, found)
            if self._dump is not None:
                self._dump.add(file.name, chunk, channel, found)

    def _fill(self, channel: str, candidates: Candidates) -> None:
        masses = {"mZ1": candidates.m_z1, "mZ2": candidates.m_z2}
        for variable, axis in AXES.items():
            key = f"{channel}/{variable}"
            self._masses[key] += Histogram.of(axis, masses.get(variable, candidates.m_4l))


def _check_channels(task: Task) -> None:
    unknown = [channel for channel in task.channels if channel not in CHANNELS]
    if unknown or not task.channels:
        raise UsageError(
            f"unknown channel {unknown[0]!r}" if unknown else "no channels to fill",
            where=f"sample {task.sample}",
            nearest=nearest(unknown[0], CHANNELS) if unknown else (),
            hint=f"the channels are {', '.join(CHANNELS)}",
        )


def _no_events(wanted: Wanted) -> Chunk:
    return Chunk(
        0,
        0,
        scalars={name: np.zeros(0, dtype=np.int64) for name in wanted.optional},
        counts={name: np.zeros(0, dtype=np.int64) for name in wanted.collections},
        values={
            f"{name}_{field}": np.zeros(0, dtype=np.int32 if field == "charge" else np.float32)
            for name, fields in wanted.collections.items()
            for field in fields
        },
    )
