"""A run that comes in live: `python benchmarks/live.py [--tasks N] [--output FILE] [--check]`.

26,920 results of the worker's own making are pushed through a Redis as fast as it takes them, while
`higgsdemo dashboard` (one process on one core) collects them and keeps a page up to date that a
client looks at over the socket, as a browser does.

1. Exact: the ledger has every digest that was pushed, and the page's last numbers are those of a
   fresh merge.
2. Results a second of the dashboard's process, by the wall clock and by its CPU time (the machine
   may have other users), from the first push until the page has the last; the page's updates a
   second, when the first came, and the longest time between two; memory.
3. Beside it the method of the 2019 demo: at every redraw, read all results and sum them again.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import merge
import psutil
import report
import tools
from shapes import SHAPES, ensure_tiny
from tornado.websocket import websocket_connect

from higgsdemo.catalog import load_set
from higgsdemo.inference import normalise
from higgsdemo.ledger import Merger, RunDirectory, create_run
from higgsdemo.model import Result, Task
from higgsdemo.sinks import open_sink
from higgsdemo.sinks.parcel import pack

RATE = 3_000.0  # results a second of one core
UPDATES = 2.0  # of the page a second
PUSHED_AT_ONCE = 200
RUN = "live"


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Start a Redis on a free port; yield its URL."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        raise SystemExit("needs redis-server: scripts/install-test-services")
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    process = subprocess.Popen(
        [program, *words, "--appendonly", "yes", "--appendfsync", "everysec"],
        stdout=subprocess.DEVNULL,
    )
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()


def push(url: str, parcels: list[tuple[str, bytes]], told: dict[str, float]) -> None:
    """Put parcels in as fast as Redis takes them: the entries that workers' deliveries make."""
    import redis

    talk = redis.Redis.from_url(url)
    stream, names, epoch = (f"higgsdemo:{{{RUN}}}:{what}" for what in ("results", "names", "epoch"))
    talk.set(epoch, "benchmark", nx=True)
    began = time.perf_counter()
    for start in range(0, len(parcels), PUSHED_AT_ONCE):
        with talk.pipeline(transaction=False) as asked:
            for name, payload in parcels[start : start + PUSHED_AT_ONCE]:
                asked.xadd(stream, {"name": name, "parcel": payload})
                asked.hset(names, name, "x")
            asked.execute()
    told["push_s"] = time.perf_counter() - began
    talk.close()


@contextmanager
def dashboard(run: RunDirectory, url: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the dashboard on one core; yield its process and address."""
    command = [sys.executable, "-m", "higgsdemo", "dashboard", str(run.path), "--sink", url]
    core = str(max(os.sched_getaffinity(0)))
    process = subprocess.Popen(
        ["taskset", "--cpu-list", core, *command, "--port", "0", "--no-open"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"http://\S+", line):
                yield process, found[0]
                break
    finally:
        process.terminate()
        process.wait()


@dataclasses.dataclass
class Seen:
    """What a page showed: when and how many results at each change, and its sections at the end.

    `cpu_s` is the CPU time of the server from when the first result could come until the page
    had the last.
    """

    began: float = 0.0
    cpu_s: float = 0.0
    updates: list[tuple[float, int]] = dataclasses.field(default_factory=list)
    sections: dict[str, Any] = dataclasses.field(default_factory=dict)


async def look_on(address: str, count: int, server: psutil.Process, push: threading.Thread) -> Seen:
    """Look at the page; when it says that it collects, push; return when nothing more comes."""
    socket = await websocket_connect(address.replace("http", "ws", 1) + "live")
    seen = Seen()
    done = spent = 0
    while True:
        wait = 2.0 if done == count else 600.0
        try:
            text = await asyncio.wait_for(socket.read_message(), wait)
        except TimeoutError:
            break
        if text is None:
            raise SystemExit("the dashboard ended early")
        seen.sections |= json.loads(text).get("sections", {})
        if not seen.began and seen.sections.get("following", {}).get("state") == "collecting":
            await asyncio.sleep(2.0)  # it has begun, and is at rest
            seen.began, spent = time.perf_counter(), cpu_s(server)
            push.start()
        before, done = done, seen.sections.get("overview", {}).get("done", 0)
        if done != before:
            seen.updates.append((time.perf_counter(), done))
            seen.cpu_s = cpu_s(server) - spent
            tools.progress(f"{done:,} results on the page")
    socket.close()
    return seen


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def measure(count: int, folder: Path, cache: Path) -> dict[str, Any]:
    samples = load_set("aod-2011-2012").samples
    tasks = merge.planned(samples, count)
    run = create_run(folder, RUN, record={}, samples=samples, tasks=tasks)
    parcels, digests = make_parcels(tasks, cache)
    told: dict[str, float] = {}
    with redis_server(folder) as url, dashboard(run, url) as (process, address):
        server = psutil.Process(process.pid)
        pushing = threading.Thread(target=push, args=(url, parcels, told))
        seen = asyncio.run(look_on(address, count, server, pushing))
        pushing.join()
        memory = server.memory_info().rss
        with open_sink(url) as sink:
            assert sum(len(page.arrivals) for page in sink.pages(RUN)) == count
    with run.ledger() as ledger:
        exact = dict(ledger.digests()) == digests
    at = [time for time, _ in seen.updates]
    gaps = [b - a for a, b in itertools.pairwise(at)]
    wall = at[-1] - seen.began
    original, page_is_right = again_and_again(run, seen.sections)
    return {
        "tasks": count,
        "exact": exact,
        "page_is_right": page_is_right,
        "push_s": told["push_s"],
        "wall_s": wall,
        "cpu_s": seen.cpu_s,
        "per_s": count / wall,
        "per_cpu_s": count / seen.cpu_s,
        "updates": len(at),
        "updates_per_s": len(at) / wall,
        "first_s": at[0] - seen.began,
        "longest_gap_s": max(gaps),
        "memory_bytes": memory,
        "redraw_all_s": original,
        # The original redraws as often as our page did, each time from the beginning.
        "original_cpu_s": sum(original * done / count for _, done in seen.updates),
    }


def make_parcels(tasks: list[Task], cache: Path) -> tuple[list[tuple[str, bytes]], dict[str, str]]:
    templates = {
        not shape.simulated: merge.worker_result(
            ensure_tiny(shape, cache, None), is_data=not shape.simulated
        )
        for shape in SHAPES
    }
    parcels: list[tuple[str, bytes]] = []
    digests: dict[str, str] = {}
    result: Result
    for result in merge.results(tasks, templates):
        parcels.append(pack(result, RUN))
        digests[result.task_id] = result.digest
        if len(parcels) % 1000 == 0:
            tools.progress(f"{len(parcels):,} results made")
    return parcels, digests


def again_and_again(run: RunDirectory, sections: dict[str, Any]) -> tuple[float, bool]:
    """CPU seconds to read and sum all results; whether the page's last numbers equal these."""
    began = time.process_time()
    merger = Merger(run.manifest())
    with run.ledger() as ledger:
        merger.update(ledger)
    normalised = normalise(merger.totals())
    spent = time.process_time() - began
    total = normalised.spectrum([one for one in normalised.groups if one != "data"]).contents
    shown = sections["source:hover"]
    same = shown["total"] == total.tolist()
    data = normalised.spectrum(["data"]).counts.tolist()
    return spent, same and shown["data"] == data


def table(found: dict[str, Any]) -> str:
    return f"""\
{found["tasks"]:,} results through Redis, pushed in {found["push_s"]:.1f} s
  collected exactly: {found["exact"]}; the page's last numbers are those of a fresh merge: \
{found["page_is_right"]}
  collected and shown in {found["wall_s"]:.1f} s: {found["per_s"]:,.0f} results/s by the clock, \
{found["per_cpu_s"]:,.0f} a CPU second
  page: {found["updates"]} updates, {found["updates_per_s"]:.1f} a second, first after \
{found["first_s"]:.2f} s, longest time between two {found["longest_gap_s"]:.2f} s
  memory of the dashboard: {found["memory_bytes"] / 1e6:.0f} MB
  read and sum everything, once: {found["redraw_all_s"]:.1f} CPU s; for as many redraws: \
{found["original_cpu_s"]:.0f} CPU s,
    {found["original_cpu_s"] / found["cpu_s"]:.0f} times what collecting and showing took"""


def goals(found: dict[str, Any]) -> list[report.Goal]:
    return [
        report.Goal("exact (1 is yes)", float(found["exact"] and found["page_is_right"]), 1.0),
        report.Goal("results a CPU second", found["per_cpu_s"], RATE),
        report.Goal("page updates a second", found["updates_per_s"], UPDATES),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Benchmark the live dashboard.")
    parser.add_argument("--tasks", type=int, default=merge.TASKS)
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="write all figures")
    parser.add_argument("--cache", type=Path, default=tools.cache_folder())
    parser.add_argument("--check", action="store_true", help="exit 1 if a goal is missed")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="higgsdemo-live-") as folder:
        found = measure(chosen.tasks, Path(folder), chosen.cache)
    held = goals(found)
    print(table(found))
    print(report.verdicts(held))
    if chosen.output:
        chosen.output.write_text(json.dumps({**found, "goals": report.document(held)}) + "\n")
    return 1 if chosen.check and not all(goal.met for goal in held) else 0


if __name__ == "__main__":
    sys.exit(main())
