"""The benchmark of the worker in one command: `python benchmarks/run.py [--rounds N] [--quick]`.

Makes what is missing (input files, C++ programs) in a cache outside the project, runs all
contenders interleaved, checks that they agree, and only then prints figures. See README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import report
import tools
from contenders import OURS, Contender, compare, everyone
from shapes import SHAPES, Files, Shape, ensure, warm
from tools import Broken, Root

from higgsdemo.worker import ENVIRONMENT


def speed_up(shape: Shape, files: Files) -> float:
    """Wall time of one worker process over that of two, same tasks."""
    walls = []
    for workers in (1, 2):
        command = [sys.executable, tools.HERE / "two_workers.py", workers, shape.tasks]
        command = [*map(str, command), files.tiny, files.path]
        said = tools.said(command, "two_workers.py", ENVIRONMENT)
        if said["events"] != files.events * shape.tasks:
            raise Broken(f"two_workers.py: {said['events']} events of {files.events * shape.tasks}")
        walls.append(said["wall_s"])
    return float(walls[0] / walls[1])


def measure(
    shape: Shape, files: Files, contenders: list[Contender], rounds: int
) -> tuple[report.Rounds, list[float]]:
    """All rounds of a shape: A B C ..., A B C ...; every round is checked."""
    warm(files.path)
    done: report.Rounds = []
    speed_ups = []
    checked = [contender for contender in contenders if contender.checked]
    for number in range(rounds):
        reports = {}
        for contender in contenders:
            tools.progress(f"{shape.name} {number + 1}/{rounds}: {contender.label}")
            reports[contender.key] = contender.run(files)
        compare(shape, reports, checked)
        done.append(reports)
        if (os.cpu_count() or 1) > 1:
            tools.progress(f"{shape.name} {number + 1}/{rounds}: two workers")
            speed_ups.append(speed_up(shape, files))
    tools.progress("")
    return done, speed_ups


def machine(root: Root | None) -> dict[str, Any]:
    """What the figures hold for."""
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "root": root.version if root else None,
        "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Benchmark the worker against its peers.")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the events, two rounds")
    parser.add_argument("--shape", action="append", choices=[shape.name for shape in SHAPES])
    parser.add_argument("--only", action="append", metavar="KEY", help="these peers (and ours)")
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="write all figures")
    parser.add_argument("--cache", type=Path, default=tools.cache_folder())
    parser.add_argument("--check", action="store_true", help="exit 1 if a goal is missed")
    chosen = parser.parse_args()
    rounds = min(chosen.rounds, 2) if chosen.quick else chosen.rounds

    contenders, root, missing = everyone(chosen.cache)
    if chosen.only:
        contenders = [one for one in contenders if one.key in (OURS, *chosen.only)]
    if root is None:
        missing.append("files are as uproot writes them, not rewritten by ROOT: no goals hold")
    for line in missing:
        print(line)
    written: dict[str, Any] = {"machine": machine(root), "missing": missing, "shapes": {}}
    found: list[report.Goal] = []
    try:
        for shape in SHAPES:
            if chosen.shape and shape.name not in chosen.shape:
                continue
            files = ensure(shape, chosen.cache, root, quick=chosen.quick)
            done, speed_ups = measure(shape, files, contenders, rounds)
            found += report.goals(shape, done, speed_ups)
            print(report.table(shape, files.events, contenders, done))
            written["shapes"][shape.name] = {
                "events": files.events,
                "bytes": files.path.stat().st_size,
                "rewritten_by_root": files.rewritten,
                "rounds": done,
                "two_workers_speed_up": speed_ups,
            }
    except Broken as error:
        print(f"\nno figures: {error}", file=sys.stderr)
        return 1
    if chosen.quick:
        print("\nthese files are too small for figures worth quoting: no goals")
        found = []
    else:
        print(report.verdicts(found))
    written["goals"] = report.document(found)
    if chosen.output:
        chosen.output.write_text(json.dumps(written, indent=1) + "\n")
    return 1 if chosen.check and not all(goal.met for goal in found) else 0


if __name__ == "__main__":
    sys.exit(main())
