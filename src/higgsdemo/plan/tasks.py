"""Samples into tasks, and what they hold in bytes and events.

Luminosity and generated events are shared out here, so that each task carries what it stands
for and a partial run is normalised right at every moment (promise P5).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from higgsdemo import storage, workflows
from higgsdemo.columns import open_events
from higgsdemo.errors import HiggsdemoError, UsageError
from higgsdemo.model import DEMO_MARK, InputFile, Sample, SampleSet, Task, TaskFile

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


@dataclass(frozen=True, slots=True)
class _Probed:
    """A file with what opening it told: entries and where it may be split."""

    file: InputFile
    entries: int | None = None
    boundaries: Sequence[int] = ()
    demo: bool = False  # the file says that it was generated
    generated_events: float | None = None  # what a file of a skim stands for

    def of(self, luminosity_pb: float) -> _Probed:
        """Return the same with a luminosity. Not by `replace`: 26,920 of them take it a second."""
        old = self.file
        file = InputFile(
            old.name, old.url, old.size_bytes, luminosity_pb, old.checksum, old.replicas
        )
        return _Probed(file, self.entries, self.boundaries, self.demo, self.generated_events)


def make_plan(
    samples: SampleSet,
    settings: Settings,
    progress: Callable[[int, int], None] | None = None,
    *,
    only_forecast: bool = False,
) -> Plan:
    """Turn samples into tasks.

    With `only_forecast` also those that the workflow cannot read: a plan that nobody executes.

    Local files are opened for their number of entries; one that cannot be opened becomes a
    task all the same, which fails with the true reason (nothing is lost silently).
    """
    if settings.events_per_task < 0 or settings.files_per_task < 1:
        raise UsageError("events per task must be at least 0 and files per task at least 1")
    if not only_forecast:
        check_formats(samples, settings.workflow)
    count = sum(len(sample.files) for sample in samples.samples)
    if count == 0:
        raise UsageError(
            f"sample set {samples.name} has no files",
            hint="see what it holds: higgsdemo samples show " + samples.name,
        )
    _refuse_twice(samples)
    _check_urls(samples)
    probing = count <= PROBED_FILES
    done = 0
    planned_samples, tasks = [], []
    for sample in samples.samples:
        files = []
        for file in sample.files:
            files.append(_probe(file) if probing else _Probed(file))
            done += 1
            if progress and (probing or done == count):
                progress(done, count)
        generated = any(probed.demo for probed in files) and not sample.demo
        known = _as_demo(sample) if generated else sample
        shared = _share(known, files)
        planned_samples.append(dataclasses.replace(known, files=tuple(p.file for p in shared)))
        tasks.append(_tasks(known, shared, settings))
    return Plan(tuple(planned_samples), _interleaved(tasks))


def _interleaved(by_sample: list[list[Task]]) -> tuple[Task, ...]:
    """Order the tasks so that samples grow together: a run in progress shows all of them."""
    placed = [
        ((index + 0.5) / len(tasks), not task.is_data, number, task)
        for number, tasks in enumerate(by_sample)
        for index, task in enumerate(tasks)
    ]
    return tuple(task for *_, task in sorted(placed, key=lambda one: one[:3]))


def _refuse_twice(samples: SampleSet) -> None:
    """Raise UsageError where a file would count twice: its tasks would have one id."""
    seen: set[tuple[str, ...]] = set()
    for sample in samples.samples:
        for key in ((sample.name,), *((sample.name, file.name) for file in sample.files)):
            if key in seen:
                raise UsageError(
                    f"{': '.join(key)} is there twice",
                    where=f"sample set {samples.name}",
                    hint="samples need names of their own, and so do the files of a sample",
                )
            seen.add(key)


def check_formats(samples: SampleSet, workflow: str) -> None:
    """Raise UsageError for samples that a workflow cannot read."""
    formats = workflows.load(workflow).formats
    wrong = [sample.name for sample in samples.samples if sample.format not in formats]
    if wrong:
        raise UsageError(
            f"workflow {workflow} reads {' or '.join(formats)} only",
            where=f"sample set {samples.name}: {len(wrong)} samples, e.g. {wrong[0]}",
            hint="choose another workflow with --workflow, or other samples with --filter",
        )


def _check_urls(samples: SampleSet) -> None:
    """Raise UsageError for a URL that nothing opens, or with a password or signature in it.

    The manifest would keep it.
    """
    for sample in samples.samples:
        for url in (url for file in sample.files for url in (file.url, *file.replicas)):
            storage.check_scheme(url)
            if storage.has_secret(url):
                raise UsageError(
                    "a URL carries a secret",
                    where=f"{sample.name}: {storage.redact(url)}",
                    hint="give it by the environment: see the documentation on remote files",
                )


def _probe(file: InputFile) -> _Probed:
    path = Path(file.url)
    if not path.is_file():
        return _Probed(file)
    try:
        with open_events(file.url) as events:
            return _Probed(file, events.entries, events.boundaries, events.holds(DEMO_MARK))
    except HiggsdemoError:
        return _Probed(file)


def _as_demo(sample: Sample) -> Sample:
    """Say what the files say: generated, and so no part of the luminosity that CMS recorded."""
    return dataclasses.replace(
        sample, demo=True, luminosity_pb=None, generated_events=None, record=None, dataset=None
    )


def _share(sample: Sample, files: list[_Probed]) -> list[_Probed]:
    """Give each file its part of the whole, by events, bytes, or equally.

    Data files share the luminosity, unless a table gives each its own; files of a skim share
    the events that were generated. Other simulated files count the events that are read.
    """
    shares = _fractions(files)
    total, generated = sample.luminosity_pb, sample.generated_events
    if sample.is_data and total is not None:
        if any(p.file.luminosity_pb is not None for p in files):
            return files
        return [p.of(luminosity_pb=total * share) for p, share in zip(files, shares, strict=True)]
    if sample.skimmed and not sample.is_data and generated is not None:
        return [
            dataclasses.replace(p, generated_events=generated * share)
            for p, share in zip(files, shares, strict=True)
        ]
    return files


def _fractions(files: list[_Probed]) -> list[float]:
    for sizes in ([p.entries for p in files], [p.file.size_bytes for p in files]):
        known = [size for size in sizes if size is not None]
        total = sum(known)
        if len(known) == len(files) and total > 0:
            return [size / total for size in known]
    return [1 / len(files) for _ in files]


def _tasks(sample: Sample, files: list[_Probed], settings: Settings) -> list[Task]:
    tasks = []
    pending: list[_Probed] = []
    for probed in files:
        spans = _spans(probed, settings.events_per_task)
        if settings.files_per_task > 1 and len(spans) <= 1:
            pending.append(probed)
            if len(pending) == settings.files_per_task:
                tasks.append(_task(sample, pending, None, settings))
                pending = []
        else:
            tasks += [_task(sample, [probed], span, settings) for span in spans]
    if pending:
        tasks.append(_task(sample, pending, None, settings))
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
) -> Task:
    entries = [p.entries for p in files if p.entries is not None]
    events = sum(entries) if len(entries) == len(files) else None
    stands_for = 1.0
    if span is not None and events:
        stands_for = (span[1] - span[0]) / events
        events = span[1] - span[0]
    luminosity = [p.file.luminosity_pb for p in files]
    generated = [p.generated_events for p in files]
    return Task(
        sample=sample.name,
        files=tuple(
            TaskFile(p.file.name, p.file.url, p.file.size_bytes, p.file.checksum, p.file.replicas)
            for p in files
        ),
        workflow=settings.workflow,
        options=settings.options,
        start=None if span is None else span[0],
        stop=None if span is None else span[1],
        events=events,
        channels=sample.channels,
        is_data=sample.is_data,
        certified=settings.certified if sample.is_data else None,
        luminosity_pb=_total(luminosity, stands_for) if sample.is_data else None,
        generated_events=_total(generated, stands_for),
    )


def _total(parts: Sequence[float | None], stands_for: float) -> float | None:
    known = [part for part in parts if part is not None]
    return math.fsum(known) * stands_for if len(known) == len(parts) else None
