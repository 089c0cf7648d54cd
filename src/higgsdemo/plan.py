"""The plan: samples into tasks, and what they will cost in bytes and time.

Luminosity and generated events are shared out here, so that each task carries what it stands
for and a partial run is normalised right at every moment (promise P5).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from higgsdemo.columns import open_events
from higgsdemo.errors import HiggsdemoError, UsageError
from higgsdemo.model import InputFile, Sample, SampleSet, Task, TaskFile

EVENTS_PER_TASK = 1_000_000
PROBED_FILES = 500  # more local files than this are not opened while planning
# For the forecast before anything was measured: compressed bytes a core gets through, about a
# third of what `make bench` shows on one core, because other machines are slower.
BYTES_PER_CORE_SECOND = 60e6
START_S = 1.5  # workers start and import


@dataclass(frozen=True)
class Settings:
    """How samples become tasks.

    `events_per_task` splits larger files at cluster boundaries (0: never split);
    `files_per_task` puts several files into a task; `certified` is the path of a
    certified-sections JSON for the data.
    """

    workflow: str = "h4l"
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    events_per_task: int = EVENTS_PER_TASK
    files_per_task: int = 1
    certified: str | None = None


@dataclass(frozen=True)
class Plan:
    """Tasks in the order they are run, and the samples they are of."""

    samples: tuple[Sample, ...]
    tasks: tuple[Task, ...]

    @property
    def size_bytes(self) -> int | None:
        """The bytes of all files, where all are known."""
        sizes = {
            (task.sample, file.name): file.size_bytes for task in self.tasks for file in task.files
        }
        known = [size for size in sizes.values() if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    @property
    def events(self) -> int | None:
        """The events of all tasks, where all are known."""
        known = [task.events for task in self.tasks if task.events is not None]
        return sum(known) if len(known) == len(self.tasks) else None

    def seconds(self, cores: int) -> float | None:
        """Estimate the wall time on `cores` cores, s."""
        if self.size_bytes is None:
            return None
        return START_S + self.size_bytes / BYTES_PER_CORE_SECOND / max(1, cores)


@dataclass(frozen=True)
class _Probed:
    """A file with what opening it told: entries and where it may be split."""

    file: InputFile
    entries: int | None = None
    boundaries: Sequence[int] = ()


def make_plan(
    samples: SampleSet,
    settings: Settings,
    progress: Callable[[int, int], None] | None = None,
) -> Plan:
    """Turn samples into tasks.

    Local files are opened for their number of entries; one that cannot be opened becomes a
    task all the same, which fails with the true reason (nothing is lost silently).
    """
    if settings.events_per_task < 0 or settings.files_per_task < 1:
        raise UsageError("events per task must be at least 0 and files per task at least 1")
    count = sum(len(sample.files) for sample in samples.samples)
    if count == 0:
        raise UsageError(
            f"sample set {samples.name} has no files",
            hint="see what it holds: higgsdemo samples show " + samples.name,
        )
    probing = count <= PROBED_FILES
    done = 0
    planned_samples, tasks = [], []
    for sample in samples.samples:
        files = []
        for file in sample.files:
            files.append(_probe(file) if probing else _Probed(file))
            done += 1
            if progress:
                progress(done, count)
        shared = _share(sample, files)
        planned_samples.append(dataclasses.replace(sample, files=tuple(p.file for p in shared)))
        tasks += _tasks(sample, shared, settings, _skim_factor(sample, files))
    return Plan(tuple(planned_samples), tuple(tasks))


def _probe(file: InputFile) -> _Probed:
    path = Path(file.url)
    if not path.is_file():
        return _Probed(file)
    try:
        with open_events(file.url) as events:
            return _Probed(file, events.entries, events.boundaries)
    except HiggsdemoError:
        return _Probed(file)


def _share(sample: Sample, files: list[_Probed]) -> list[_Probed]:
    """Give each data file its luminosity: its own, or a share by events, bytes, or equally."""
    total = sample.luminosity_pb
    if total is None or any(p.file.luminosity_pb is not None for p in files):
        return files
    shares = _fractions(files)
    return [
        dataclasses.replace(p, file=dataclasses.replace(p.file, luminosity_pb=total * share))
        for p, share in zip(files, shares, strict=True)
    ]


def _fractions(files: list[_Probed]) -> list[float]:
    for sizes in ([p.entries for p in files], [p.file.size_bytes for p in files]):
        known = [size for size in sizes if size is not None]
        if len(known) == len(files) and sum(known) > 0:
            return [size / sum(known) for size in known]
    return [1 / len(files) for _ in files]


def _skim_factor(sample: Sample, files: list[_Probed]) -> float | None:
    """Return generated events per entry of a skim; None where the entries are all there were."""
    known = [p.entries for p in files if p.entries is not None]
    entries = sum(known)
    generated = sample.generated_events
    if sample.is_data or not generated or len(known) != len(files) or not 0 < entries < generated:
        return None
    return generated / entries


def _tasks(
    sample: Sample, files: list[_Probed], settings: Settings, skim: float | None
) -> list[Task]:
    tasks = []
    pending: list[_Probed] = []
    for probed in files:
        spans = _spans(probed, settings.events_per_task)
        if settings.files_per_task > 1 and len(spans) <= 1:
            pending.append(probed)
            if len(pending) == settings.files_per_task:
                tasks.append(_task(sample, pending, None, settings, skim))
                pending = []
        else:
            tasks += [_task(sample, [probed], span, settings, skim) for span in spans]
    if pending:
        tasks.append(_task(sample, pending, None, settings, skim))
    return tasks


def _spans(probed: _Probed, events_per_task: int) -> list[tuple[int, int] | None]:
    """Split a file at its cluster boundaries into about equal ranges of about that many."""
    entries = probed.entries
    if entries is None or not events_per_task or entries <= events_per_task:
        return [None]
    pieces = math.ceil(entries / events_per_task)
    cuts = [0]
    for piece in range(1, pieces):
        target = entries * piece / pieces
        cut = min(probed.boundaries, key=lambda edge: abs(edge - target))
        if cuts[-1] < cut < entries:
            cuts.append(cut)
    if len(cuts) == 1:
        return [None]
    return list(zip(cuts, [*cuts[1:], entries], strict=True))


def _task(
    sample: Sample,
    files: list[_Probed],
    span: tuple[int, int] | None,
    settings: Settings,
    skim: float | None,
) -> Task:
    entries = [p.entries for p in files if p.entries is not None]
    events = sum(entries) if len(entries) == len(files) else None
    stands_for = 1.0
    if span is not None and events:
        stands_for = (span[1] - span[0]) / events
        events = span[1] - span[0]
    luminosity = generated = None
    if sample.is_data:
        shares = [p.file.luminosity_pb for p in files if p.file.luminosity_pb is not None]
        luminosity = math.fsum(shares) * stands_for if len(shares) == len(files) else None
    elif skim is not None and events is not None:
        generated = skim * events
    return Task(
        sample=sample.name,
        files=tuple(TaskFile(p.file.name, p.file.url, p.file.size_bytes, p.file.checksum) for p in files),
        workflow=settings.workflow,
        options=settings.options,
        start=None if span is None else span[0],
        stop=None if span is None else span[1],
        events=events,
        channels=sample.channels,
        is_data=sample.is_data,
        certified=settings.certified if sample.is_data else None,
        luminosity_pb=luminosity,
        generated_events=generated,
    )
