"""The rehearsal itself: start everything, lose a cluster midway, compare the accounts."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from higgsdemo.ledger import Merger, RunDirectory, closing_check, left_out
from higgsdemo.ledger.placements import Placements
from higgsdemo.model import Task
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.rehearsal.tasks import demo_tasks, result_of
from tests.kubernetes.rehearsal.world import (
    BAD_INPUT,
    CALM,
    NAMESPACE,
    STAGES,
    Meter,
    etcd_bytes,
    join_kubeconfigs,
    read_lines,
    world,
)

RUN = "rehearsal"
LOST_AT = 1 / 3  # of all tasks are done when one cluster is lost
TELL_S = 10.0  # how often it is said how far it is
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """How large, and what goes wrong."""

    archive: Path
    tasks: int
    nodes: int
    clusters: int = 3
    lose: bool = True
    retries: int = 1
    patience_s: float = 90.0  # a cluster silent for longer is given up; 300 by default
    declare: bool = False  # say at once that it is lost, as `watch --give-up` does
    calm: bool = False  # all pods end well
    only_submit: bool = False  # and look at nothing after that
    limit_s: float = 3600.0


@dataclass
class Account:
    """What is wrong between what workers delivered and what the run holds; empty is right."""

    planned: int = 0
    done: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    delivered: int = 0  # results, those of tasks that two clusters did counted twice
    again: int = 0  # results of tasks that had one already
    wrong: list[str] = field(default_factory=list)


def play(folder: Path, settings: Settings, tell: Tell = lambda _: None) -> dict[str, Any]:
    """Play it; return all figures. `account.wrong` must be empty."""
    names = [f"demo-{number}" for number in range(settings.clusters)]
    with world(folder, names, settings.nodes, CALM if settings.calm else STAGES) as clusters:
        tell(f"{len(clusters)} clusters with {settings.nodes} simulated nodes are up")
        config = _config(folder, settings, clusters)
        meter = Meter(clusters)
        lost: dict[str, Any] = {}
        with _process("workers", config, folder):
            figures = _follow(folder, settings, clusters, config, meter, lost, tell)
        if settings.only_submit:
            return {"tasks": settings.tasks, "clusters": settings.clusters, "we": figures}
        sizes = {cluster.name: etcd_bytes(cluster) for cluster in clusters}
    account = check(folder, settings)
    planes = meter.figures()
    return {
        "tasks": settings.tasks,
        "nodes": settings.nodes,
        "clusters": settings.clusters,
        "we": figures,
        "lost": lost,
        "control_planes": planes,
        "cpu_share": figures["cpu_s"] / planes["cpu_s"] if planes["cpu_s"] else None,
        "etcd_bytes": sizes,
        "account": vars(account),
    }


def _config(folder: Path, settings: Settings, clusters: Sequence[ControlPlane]) -> Path:
    sink = folder / "sink"
    sink.mkdir()
    path = folder / "config.json"
    path.write_text(
        json.dumps(
            {
                "archive": str(settings.archive),
                "tasks": settings.tasks,
                "contexts": [cluster.name for cluster in clusters],
                "kubeconfig": str(join_kubeconfigs(clusters, folder / "kubeconfig")),
                "namespace": NAMESPACE,
                "sink": f"file://{sink}",
                "runs": str(folder / "runs"),
                "run": RUN,
                "only_submit": settings.only_submit,
                "retries": settings.retries,
                "patience_s": settings.patience_s,
                "pods_per_s": 63.0,  # of all clusters together on two cores, with 400 requests/s
                "bad_input": () if settings.calm else BAD_INPUT,
                "figures": str(folder / "figures.json"),
                "declared": str(folder / "declared"),
                "truth": str(folder / "truth.txt"),
                "stop": str(folder / "stop"),
            }
        )
    )
    path.chmod(0o600)
    return path


@contextmanager
def _process(name: str, config: Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of our processes; it is ended with what it has begun."""
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            # The kernel ends it when whoever plays is killed.
            [
                *("setpriv", "--pdeathsig", "KILL"),
                *(sys.executable, "-m"), f"tests.kubernetes.rehearsal.{name}", str(config),
            ],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=os.environ.copy(),
            cwd=Path(__file__).parents[3], start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            (folder / "stop").touch()
            if name == "workers":
                with suppress(subprocess.TimeoutExpired):
                    process.wait(30)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _follow(
    folder: Path,
    settings: Settings,
    clusters: Sequence[ControlPlane],
    config: Path,
    meter: Meter,
    lost: dict[str, Any],
    tell: Tell,
) -> dict[str, Any]:
    """Have our process submit and follow the run; lose the last cluster on the way."""
    log, told, said = folder / "we.log", 0, 0.0
    deadline = time.monotonic() + settings.limit_s
    with _process("we", config, folder) as process:
        while process.poll() is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"not ended within {settings.limit_s:.0f} s\n{_end_of(log)}")
            meter.look()
            lines = read_lines(log)
            for line in lines[told:]:
                if "word" in line:
                    tell(f"{line['seconds']:7.1f} s  {line['word']}")
            told = len(lines)
            seen = next((line for line in reversed(lines) if "done" in line), None)
            ready = seen is not None and seen["done"] >= LOST_AT * settings.tasks
            if settings.lose and ready and not lost and seen is not None:
                victim = clusters[-1]
                meter.look()
                victim.kill()
                if settings.declare:
                    (folder / "declared").write_text(victim.name)
                lost.update(cluster=victim.name, after_s=seen["seconds"], done_then=seen["done"])
                tell(
                    f"{seen['seconds']:7.1f} s  cluster {victim.name} is lost, {seen['done']} done"
                )
            if seen is not None and time.monotonic() - said > TELL_S:
                said = time.monotonic()
                tell(
                    f"{seen['seconds']:7.1f} s  {seen['done']:,} done, {seen['failed']} failed of"
                    f" {seen['planned']:,}; pods {seen['pods']}"
                )
            time.sleep(2)
        meter.look()
        if process.returncode:
            raise RuntimeError(f"our process ended with {process.returncode}\n{_end_of(log)}")
    return dict(json.loads((folder / "figures.json").read_text()))


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]


def check(folder: Path, settings: Settings) -> Account:
    """Compare the run's account with what the workers wrote down, task by task."""
    run = RunDirectory(folder / "runs" / RUN)
    manifest = run.manifest()
    planned = {task.id: task for task in manifest.tasks}
    _, tasks = demo_tasks(settings.archive, settings.tasks)
    lines = [line.split() for line in (folder / "truth.txt").read_text().splitlines()]
    results = Counter(task for task, outcome, *_ in lines if outcome == "done")
    refused = {task for task, outcome, *_ in lines if outcome == "bad-input"}
    with run.ledger() as ledger:
        counts = ledger.counts()
        states = {
            row[0]: (row[1], row[2]) for row in ledger.ask("SELECT id, state, cause FROM tasks")
        }
        merger = Merger(manifest)
        wrong = [f"closing check: {one}" for one in closing_check(ledger, manifest, merger)]
        placed_badly = {
            task
            for job in Placements(ledger).jobs()
            for index in BAD_INPUT
            if index < len(job.indexes)
            for task in job.indexes[index]
        }
        totals = merger.totals(left_out(manifest, ledger))
        wrong += [f"alarm: {one}" for one in ledger.alarms()]
    account = Account(
        len(planned), counts.done, dict(counts.failed), sum(results.values()),
        sum(results.values()) - len(results), wrong,
    )  # fmt: skip
    if {task.id for task in tasks} != set(planned):
        wrong.append("the run's tasks are not the demo's")
    if counts.done + sum(counts.failed.values()) != len(planned) or not counts.ended:
        wrong.append(f"does not add up: {counts}")
    done = {task for task, (state, _) in states.items() if state == "done"}
    if done != set(results):
        wrong.append(f"{len(done - set(results))} done without a result delivered,"
                     f" {len(set(results) - done)} delivered and not done")  # fmt: skip
    failed = {task for task, (state, _) in states.items() if state == "failed"}
    # Of a cluster that was lost, the workers' words may be missing: its status had told us before.
    if not refused - set(results) <= failed <= refused | placed_badly:
        wrong.append(f"failed {len(failed)}, refused for good {len(refused - set(results))},"
                     f" at such an index {len(placed_badly)}")  # fmt: skip
    if any(states[task] != ("failed", "bad-input") for task in failed):
        wrong.append("a task failed for another cause than its file")
    expected = _sums([planned[task] for task in done])
    found = {
        name: [int(one) for one in sample.histograms["4mu/m4l"].counts]
        for name, sample in totals.samples.items()
        if sample.histograms
    }
    if found != expected:
        wrong.append("the merged histograms are not the sums of the results")
    return account


def _sums(tasks: Sequence[Task]) -> dict[str, list[int]]:
    """Add up results that never saw a cluster."""
    sums: dict[str, list[int]] = {}
    for task in tasks:
        counts = [int(one) for one in result_of(task).output.histograms["4mu/m4l"].counts]
        before = sums.get(task.sample)
        sums[task.sample] = (
            counts if before is None else [a + b for a, b in zip(before, counts, strict=True)]
        )
    return sums
