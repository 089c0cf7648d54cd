"""Merging the results of 26,920 tasks: `python benchmarks/merge.py [--tasks N] [--output FILE]`.

A run over the 22 AOD samples of 2011 and 2012 is made in a temporary folder, one task a file, and
results of the worker's own making are delivered to its ledger one by one, as an executor does.

1. Live: what a result costs, from the executor's hand to the sums of a live plot, among the first
   1000 and among the last.
2. At once: everything read from the ledger by a fresh process's means, normalised and drawn.
3. Against the method of the 2019 demo: at every redraw read all results and sum them again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import report
import tools
from shapes import SHAPES, ensure_tiny

from higgsdemo.catalog import load_set
from higgsdemo.display.plot import plot
from higgsdemo.ledger import Ledger, Manifest, Merger, RunDirectory, create_run
from higgsdemo.ledger.news import arrivals
from higgsdemo.model import Histogram, Result, Sample, Task, TaskFile
from higgsdemo.worker import run_task

TASKS = 26_920  # files of the KubeCon 2019 demo
PART = 1000
SECONDS = 10.0  # merging and redrawing, in all
GROWTH = 1.2  # last over first: 1 and some noise
FIRST_RUN, RUNS = 190_000, 300  # of made-up data: many files share a run


def planned(samples: tuple[Sample, ...], count: int) -> list[Task]:
    """Tasks for `count` files, shared among the samples in turn."""
    tasks = []
    for number in range(count):
        sample = samples[number % len(samples)]
        name = f"/eos/opendata/cms/{sample.name}/{number:06d}.root"
        share = len(samples) / count
        tasks.append(
            Task(
                sample.name,
                (TaskFile(name, f"root://eospublic.cern.ch/{name}", 3_000_000_000),),
                channels=sample.channels,
                is_data=sample.is_data,
                luminosity_pb=sample.luminosity_pb * share if sample.luminosity_pb else None,
                generated_events=(
                    sample.generated_events * share if sample.generated_events else None
                ),
            )
        )
    return tasks


def results(tasks: list[Task], templates: dict[bool, Result]) -> Iterator[Result]:
    """A result for each task: the worker's for a small file, its counts drawn anew."""
    rng = np.random.default_rng(26_920)
    for number, task in enumerate(tasks):
        template = templates[task.is_data]
        histograms = {
            key: Histogram(one.axis, rng.poisson(one.counts).astype(np.int64))
            for key, one in template.output.histograms.items()
        }
        first = 10 * (number // RUNS) + 1
        spans = {FIRST_RUN + number % RUNS: [[first, first + 3], [first + 5, first + 9]]}
        sections = spans if task.is_data else None
        output = dataclasses.replace(
            template.output,
            histograms=histograms,
            sections_seen=sections,
            sections_used=sections,
        )
        yield dataclasses.replace(template, task_id=task.id, sample=task.sample, output=output)


def worker_result(path: Path, *, is_data: bool) -> Result:
    return run_task(Task("template", (TaskFile(path.name, str(path)),), is_data=is_data))


def live(ledger: Ledger, manifest: Manifest, made: Iterator[Result]) -> list[float]:
    """Deliver the results one by one, each merged at once; return CPU seconds of each."""
    merger = Merger(manifest)
    costs = []
    for result in made:
        began = time.process_time()
        ledger.deliver(result)
        merger.update(ledger)
        costs.append(time.process_time() - began)
        if len(costs) % PART == 0:
            tools.progress(f"{len(costs):,} results")
    return costs


def at_once(run: RunDirectory) -> dict[str, float]:
    """Merge and draw what the run directory holds; wall seconds of each part, CPU seconds."""
    cpu, clock = time.process_time(), [time.perf_counter()]
    manifest = run.manifest()
    clock.append(time.perf_counter())
    with run.ledger() as ledger:
        merger = Merger(manifest)
        merger.update(ledger)
        clock.append(time.perf_counter())
        totals = merger.totals()
    plot(totals, run.plots / "m4l")
    clock.append(time.perf_counter())
    parts = dict(zip(("manifest", "merge", "draw"), np.diff(clock).tolist(), strict=True))
    return {**parts, "all": sum(parts.values()), "cpu": time.process_time() - cpu}


def read_all(run: RunDirectory, manifest: Manifest, count: int) -> float:
    """CPU seconds of the original's redraw when `count` results are there, without drawing."""
    merger = Merger(manifest)
    began = time.process_time()
    with run.ledger() as ledger:
        for taken in arrivals(ledger, until=count):
            merger.fold(taken.tally)
    merger.totals()
    return time.process_time() - began


def redraw(run: RunDirectory, manifest: Manifest, last: int) -> float:
    """CPU seconds of our redraw when `last` results came since the one before."""
    merger = Merger(manifest)
    with run.ledger() as ledger:
        tallies = [taken.tally for taken in arrivals(ledger)]
        for tally in tallies[:-last]:
            merger.fold(tally)
        merger.totals()
        began = time.process_time()
        for tally in tallies[-last:]:
            merger.fold(tally)
        merger.totals()
        return time.process_time() - began


def measure(count: int, folder: Path, cache: Path) -> dict[str, Any]:
    samples = load_set("aod-2011-2012").samples
    tasks = planned(samples, count)
    templates = {
        not shape.simulated: worker_result(
            ensure_tiny(shape, cache, None), is_data=not shape.simulated
        )
        for shape in SHAPES
    }
    began = time.perf_counter()
    run = create_run(folder, "merge", record={}, samples=samples, tasks=tasks)
    made = time.perf_counter() - began
    manifest = run.manifest()
    with run.ledger() as ledger:
        costs = live(ledger, manifest, results(tasks, templates))
    parts = at_once(run)
    counts = sorted({min(PART, count), count // 4, count // 2, count})
    return {
        "tasks": count,
        "make_run_s": made,
        "ledger_bytes": (run.path / "ledger.sqlite").stat().st_size,
        "first_cpu_s": statistics.median(costs[:PART]),
        "last_cpu_s": statistics.median(costs[-PART:]),
        "live_cpu_s": sum(costs),
        "at_once_s": parts,
        "read_all_cpu_s": {str(n): read_all(run, manifest, n) for n in counts},
        "redraw_cpu_s": redraw(run, manifest, min(100, count // 2)),
    }


def table(found: dict[str, Any]) -> str:
    parts = found["at_once_s"]
    again = ", ".join(
        f"{cpu:.2f} at {int(n):,} results" for n, cpu in found["read_all_cpu_s"].items()
    )
    return f"""\
{found["tasks"]:,} results, ledger of {found["ledger_bytes"] / 1e6:.0f} MB
  run directory made in {found["make_run_s"]:.2f} s
  a result, delivered and merged, median CPU ms:
    {1e3 * found["first_cpu_s"]:.2f} among the first {PART:,}, \
{1e3 * found["last_cpu_s"]:.2f} among the last; all {found["live_cpu_s"]:.1f} s
  all at once, wall s:
    manifest {parts["manifest"]:.2f}, merge {parts["merge"]:.2f}, \
PNG, PDF and SVG {parts["draw"]:.2f}; CPU s: {parts["cpu"]:.2f}
  sums for a redraw after 100 new results, CPU s: {found["redraw_cpu_s"]:.3f}
  the same by reading everything again: {again}"""


def goals(found: dict[str, Any]) -> list[report.Goal]:
    return [
        report.Goal("merge and redraw, wall s", found["at_once_s"]["all"], SECONDS, at_least=False),
        report.Goal(
            "a result among the last over the first",
            found["last_cpu_s"] / found["first_cpu_s"],
            GROWTH,
            at_least=False,
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Benchmark merging and redrawing.")
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="write all figures")
    parser.add_argument("--cache", type=Path, default=tools.cache_folder())
    parser.add_argument("--check", action="store_true", help="exit 1 if a goal is missed")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="higgsdemo-merge-") as folder:
        found = measure(chosen.tasks, Path(folder), chosen.cache)
    held = goals(found)
    print(table(found))
    print(report.verdicts(held))
    if chosen.output:
        chosen.output.write_text(json.dumps({**found, "goals": report.document(held)}) + "\n")
    return 1 if chosen.check and not all(goal.met for goal in held) else 0


if __name__ == "__main__":
    sys.exit(main())
