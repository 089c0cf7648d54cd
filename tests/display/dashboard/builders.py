"""Small runs of the real shape: both data streams of 2012 and the simulation, three channels."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from higgsdemo.ledger import RunDirectory, create_run
from higgsdemo.model import CHANNELS, Axis, Histogram, Output, Result, Sample, Task, TaskFile

M4L = Axis(37, 70.0, 181.0, "m4l", "GeV")
FILES = 4  # of each sample
SAMPLES = (
    Sample("DoubleMu", "data", (), year=2012, sqrt_s_tev=8.0, channels=("4mu", "2mu2e"),
           luminosity_pb=8000.0),
    Sample("DoubleElectron", "data", (), year=2012, sqrt_s_tev=8.0, channels=("4e",),
           luminosity_pb=8000.0),
    Sample("Higgs", "higgs", (), year=2012, sqrt_s_tev=8.0, cross_section_pb=0.0065,
           generated_events=4000),
    Sample("ZZ4mu", "zz", (), year=2012, sqrt_s_tev=8.0, channels=("4mu",), cross_section_pb=0.077,
           generated_events=4000),
    Sample("ZZ4e", "zz", (), year=2012, sqrt_s_tev=8.0, channels=("4e",), cross_section_pb=0.077,
           generated_events=4000),
    Sample("ZZ2mu2e", "zz", (), year=2012, sqrt_s_tev=8.0, channels=("2mu2e",),
           cross_section_pb=0.18, generated_events=4000),
)  # fmt: skip


def tasks_of(samples: tuple[Sample, ...] = SAMPLES, files: int = FILES) -> tuple[Task, ...]:
    return tuple(
        Task(
            sample.name,
            (TaskFile(f"{sample.name}/{number}.root", f"/data/{number}.root", 10**9),),
            events=1000,
            channels=sample.channels,
            is_data=sample.is_data,
            luminosity_pb=sample.luminosity_pb / files if sample.luminosity_pb else None,
            generated_events=sample.generated_events / files if sample.generated_events else None,
        )
        for number in range(files)
        for sample in samples
    )


def result_of(task: Task, group: str) -> Result:
    """A result that is the same every time."""
    random = np.random.default_rng(int(task.id, 16) % 2**32)
    histograms = {}
    for channel in task.channels:
        if group == "higgs":
            values = random.normal(125, 2.5, 150)
        elif group == "zz":
            values = np.append(random.normal(91, 3, 60), random.uniform(100, 181, 90))
        else:
            values = np.append(random.normal(91, 3, 2), random.uniform(110, 181, 2))
            values = np.append(values, random.normal(125, 2, random.poisson(1.0)))
        histograms[f"{channel}/m4l"] = Histogram.of(M4L, values)
    cutflow = dict.fromkeys(task.channels, (("all events", 1000),))
    output = Output(1000, histograms, cutflow, bytes_read=10**8)
    counters = {"cpu_s": 0.9, "wall_s": 1.0}
    return Result(task.id, task.sample, "h4l", "1", 1, output, {}, counters)


def results(tasks: tuple[Task, ...], samples: tuple[Sample, ...] = SAMPLES) -> dict[str, Result]:
    groups = {sample.name: sample.group for sample in samples}
    return {task.id: result_of(task, groups[task.sample]) for task in tasks}


def make_run(
    folder: Path,
    name: str = "higgs",
    samples: tuple[Sample, ...] = SAMPLES,
    title: str = "",
    **record: object,
) -> RunDirectory:
    if title:
        record["samples"] = {"title": title}
    return create_run(folder, name, record=record, samples=samples, tasks=tasks_of(samples))


def deliver(run: RunDirectory, *wanted: str) -> None:
    """Deliver the results of some samples (none named: of all)."""
    manifest = run.manifest()
    made = results(manifest.tasks, manifest.samples)
    with run.ledger() as ledger:
        for task in manifest.tasks:
            if not wanted or task.sample in wanted:
                ledger.start(task.id, f"cluster-{len(task.sample) % 2}/job/1")
                ledger.deliver(made[task.id])


@dataclass
class Served:
    """A dashboard that runs as a process of its own."""

    process: subprocess.Popen[str]
    url: str
    said: str

    @property
    def port(self) -> int:
        found = re.search(r":(\d+)/", self.url)
        assert found is not None
        return int(found[1])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def dashboard(
    run: RunDirectory,
    *words: object,
    environment: Mapping[str, str] | None = None,
    named: bool = True,
    port: bool = True,
) -> Iterator[Served]:
    """Start `higgsdemo dashboard` and wait for the address it prints."""
    which = [run.path] if named else []
    more = [] if "--port" in words or not port else ["--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "higgsdemo", "dashboard", *which, "--no-open", *more,
         *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=None if environment is None else dict(environment),
    )  # fmt: skip
    assert process.stdout is not None
    try:
        said = ""
        while "Ctrl-C" not in said:
            line = process.stdout.readline()
            if not line:
                raise AssertionError(f"the dashboard did not start: {said}")
            said += line
        found = re.search(r"http://\S+", said)
        assert found is not None, said
        yield Served(process, found[0], said)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


__all__ = ["CHANNELS", "M4L", "SAMPLES", "dashboard", "deliver", "make_run", "results", "tasks_of"]
