"""`watch`, `status --follow`: from another process's work to lines and screens."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.executors.kubernetes.settings import KEY, PodSettings
from higgsdemo.ledger import RunDirectory
from higgsdemo.ledger.placements import JobState, NewJob, Placements
from higgsdemo.sinks import open_sink
from tests.cli.test_prepare import contexts
from tests.ledger.builders import make_tasks, result_of
from tests.monitor.builders import new_run
from tests.monitor.test_metrics import scraped

PROGRAM = (sys.executable, "-m", "higgsdemo")
TASKS = make_tasks(6)
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `higgsdemo watch ...`; it does not outlive the test."""
    started = []

    def make(*words: str) -> subprocess.Popen[str]:
        program = subprocess.Popen(
            [*PROGRAM, "watch", *words],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(program)
        return program

    yield make
    for program in started:
        program.kill()
        program.communicate()


def finished(folder: Path, name: str = "r") -> RunDirectory:
    run = new_run(folder / "runs", TASKS, name)
    with run.ledger() as ledger:
        for task in TASKS:
            ledger.deliver(result_of(task))
    return run


def in_clusters(folder: Path) -> RunDirectory:
    """A run that was submitted to two clusters, of which none answers any more."""
    (folder / "sink").mkdir()
    settings = PodSettings(
        image="worker:1", sinks=(f"file://{folder}/sink",), clusters=("north", "south")
    )
    run = new_run(folder / "runs", TASKS, executor="kubernetes", **{KEY: settings.to_json()})
    with run.ledger() as ledger:
        placements = Placements(ledger)
        for cluster, mine in (("north", TASKS[::2]), ("south", TASKS[1::2])):
            job = NewJob(cluster, mine[0].sample, [(task.id,) for task in mine], 10**9, 3)
            placements.place([job], lambda sample, number: f"{sample}-{number}".lower())
        for placed in placements.jobs():
            placements.mark(placed.number, JobState.PLACED)
    contexts(folder, **dict.fromkeys(settings.clusters, "http://127.0.0.1:9"))
    return run


def deliver(folder: Path, *numbers: int) -> None:
    with open_sink(f"file://{folder}/sink") as sink:
        for number in numbers:
            sink.deliver(result_of(TASKS[number]), "r")


def test_a_run_is_watched_to_its_end_in_a_pipe(tmp_path: Path, start: Start) -> None:
    run = new_run(tmp_path / "runs", TASKS)
    watcher = start("r", "--every", "0.05")
    assert watcher.stdout is not None
    assert "6 planned = 0 done" in watcher.stdout.readline()
    with run.driving(), run.ledger() as ledger:
        for done, task in enumerate(TASKS, start=1):
            ledger.deliver(result_of(task))
            while f"= {done} done" not in (line := watcher.stdout.readline()):
                assert line  # the watcher is there
    out, err = watcher.communicate(timeout=120)
    assert watcher.returncode == 0
    assert "\x1b" not in out
    assert err.count("nobody works on this run now") == 1


def test_json_lines(higgsdemo: Any, tmp_path: Path) -> None:
    finished(tmp_path)
    said = higgsdemo("watch", "--json")
    documents = [json.loads(line) for line in said.out.splitlines()]
    assert said.status == 0
    assert documents[-1]["run"] == "r"
    assert documents[-1]["complete"]


def test_once_shows_an_unfinished_run_and_says_so(higgsdemo: Any, tmp_path: Path) -> None:
    new_run(tmp_path / "runs", TASKS)
    said = higgsdemo("watch", "r", "--once")
    assert said.status == 1
    assert "6 planned = 0 done + 0 failed + 0 running + 6 queued" in said.out
    assert "higgsdemo resume r" in said.err
    assert higgsdemo("status", "r", "--json").json["planned"] == 6


def test_status_follow_is_watch(higgsdemo: Any, tmp_path: Path) -> None:
    finished(tmp_path)
    assert "6 planned = 6 done" in higgsdemo("status", "r", "--follow").out


def test_an_unknown_run_gets_the_nearest_names(higgsdemo: Any, tmp_path: Path) -> None:
    said = higgsdemo("watch")
    assert (said.status, "there is no run yet" in said.err) == (2, True)
    finished(tmp_path, "h4l-2026")
    said = higgsdemo("watch", "h4l-2062")
    assert said.status == 2
    assert "did you mean: h4l-2026" in said.err


def test_results_are_collected_from_a_sink_meanwhile(higgsdemo: Any, tmp_path: Path) -> None:
    new_run(tmp_path / "runs", TASKS)
    (tmp_path / "sink").mkdir()
    url = f"file://{tmp_path}/sink"
    with open_sink(url) as sink:
        for task in TASKS:
            sink.deliver(result_of(task), "r")
        sink.deliver(result_of(TASKS[0]), "another")
        sink.deliver(replace(result_of(TASKS[0]), version="0"), "r")
    said = higgsdemo("watch", "r", "--sink", url, "--every", 0.05)
    assert said.status == 0
    assert said.err.count("refused, not part of this run:") == 1
    assert "version '0'" in said.err
    assert "6 planned = 6 done" in said.out.splitlines()[-1]


def test_while_another_process_collects_this_one_looks_on(higgsdemo: Any, tmp_path: Path) -> None:
    run = finished(tmp_path)
    with run.driving():
        said = higgsdemo("watch", "r", "--sink", f"file://{tmp_path}")
    assert said.status == 0
    assert "is being driven by process" in said.err


def test_an_impossible_sink_is_told(higgsdemo: Any, tmp_path: Path) -> None:
    new_run(tmp_path / "runs", TASKS)
    said = higgsdemo("watch", "r", "--sink", "redsi://host")
    assert said.status == 2
    assert "redis" in said.err


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_gets_one_screen(tmp_path: Path, columns: int) -> None:
    finished(tmp_path)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "LINES": "30", "TERM": "xterm-256color"}
    watcher = subprocess.Popen(
        [*PROGRAM, "watch", "r"], cwd=tmp_path, stdout=theirs, stderr=theirs, stdin=theirs,
        env=environment,
    )  # fmt: skip
    os.close(theirs)
    text = b""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        try:
            text += os.read(ours, 65536)
        except OSError:  # it has ended
            break
    os.close(ours)
    assert watcher.wait(timeout=120) == 0
    screen = text.decode()
    assert "6 planned = 6 done" in screen
    assert "100 %   complete" in screen
    assert "Run2012B_DoubleMuParked" in screen


def test_figures_are_served_while_it_is_watched(tmp_path: Path, start: Start) -> None:
    new_run(tmp_path / "runs", TASKS)
    watcher = start("r", "--metrics-port", "0")
    assert watcher.stdout is not None
    assert watcher.stderr is not None
    url = watcher.stderr.readline().split()[-1]
    watcher.stdout.readline()
    assert scraped(url)["higgsdemo_tasks"]["", "r", "ZZTo4mu", "queued"] == 3
    watcher.send_signal(signal.SIGINT)
    watcher.communicate(timeout=100)
    assert watcher.returncode == 130


def test_json_lines_are_the_same_wherever_a_run_is(tmp_path: Path, start: Start) -> None:
    """They were of another form for runs in clusters, and the example of the help gave null."""
    in_clusters(tmp_path)
    watcher = start("r", "--json", "--every", "0.1", "--kubeconfig", "kubeconfig")
    assert watcher.stdout is not None
    first = json.loads(watcher.stdout.readline())
    assert (first["planned"], first["done"]) == (6, 0)
    deliver(tmp_path, *range(6))
    out, err = watcher.communicate(timeout=120)
    assert watcher.returncode == 0, err
    for document in (first, *map(json.loads, out.splitlines())):
        assert document["run"] == "r"
        assert document["rates"]["events_per_s"] >= 0
        assert document["clusters"].keys() == {"north", "south"}
        assert document["clusters"]["north"]["jobs"] == {"total": 3, "succeeded": 0}
    assert document["complete"]
    assert document["rates"]["events_per_s"] > 0


def test_who_looks_on_at_a_run_in_clusters_says_the_same(higgsdemo: Any, tmp_path: Path) -> None:
    run = in_clusters(tmp_path)
    with run.ledger() as ledger:
        for task in TASKS:
            ledger.deliver(result_of(task))
    with run.driving():
        said = higgsdemo("watch", "r", "--json", "--cluster", "north")
    assert said.status == 0, said.err
    documents = [json.loads(line) for line in said.out.splitlines()]
    assert documents[-1]["complete"]
    assert "rates" in documents[-1]
    assert "clusters" not in documents[-1]
    assert "looking on" in said.err
    assert "all of it is shown here" in said.err


def test_one_cluster_of_several(tmp_path: Path, start: Start) -> None:
    in_clusters(tmp_path)
    words = ("r", "--cluster", "south", "--kubeconfig", "kubeconfig")
    in_pipe, line = start(*words), "{'pods': {'total': 0}, 'jobs': {'total': 3, 'succeeded': 0}}"
    assert in_pipe.stdout is not None
    assert in_pipe.stdout.readline().strip() == line
    in_pipe.send_signal(signal.SIGINT)
    in_pipe.communicate(timeout=100)
    as_json = start(*words, "--json")
    assert as_json.stdout is not None
    assert json.loads(as_json.stdout.readline())["clusters"].keys() == {"south"}


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_cluster_that_the_run_is_not_in_gets_the_nearest_names(
    higgsdemo: Any, tmp_path: Path, as_json: tuple[str, ...]
) -> None:
    in_clusters(tmp_path)
    said = higgsdemo("watch", "r", "--cluster", "nord", *as_json)
    assert (said.status, said.out) == (2, "")
    assert "run r is not in a cluster 'nord'" in said.err
    assert "did you mean: north" in said.err
    assert "it is in: north, south" in said.err


@pytest.mark.parametrize("more", [("--once",), ("--give-up", "north")])
def test_a_cluster_of_which_nothing_can_be_shown(
    higgsdemo: Any, tmp_path: Path, more: tuple[str, ...]
) -> None:
    in_clusters(tmp_path)
    said = higgsdemo("watch", "r", "--cluster", "north", *more)
    assert (said.status, said.out) == (2, "")
    assert more[0].strip("-").replace("-", " ").split()[0] in said.err


def test_a_run_that_is_in_no_cluster(higgsdemo: Any, tmp_path: Path) -> None:
    new_run(tmp_path / "runs", TASKS)
    said = higgsdemo("watch", "r", "--cluster", "north", "--once")
    assert (said.status, said.out) == (2, "")
    assert "run r has no clusters of which one could be shown" in said.err
    assert "leave --cluster out" in said.err
