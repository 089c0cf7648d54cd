"""Promise P3: kill -9 at any moment, resume, and the numbers are those of an undisturbed run."""

import contextlib
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from higgsdemo.cli.show import totals_of
from higgsdemo.ledger import closing_check, open_run
from higgsdemo.model import Totals
from higgsdemo.simulation import Settings, generate

SEEDS = 50


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    generate(Settings(output=folder, events_scale=0.0005, seed=7))
    return folder


def start(demo: Path, runs: Path, name: str, workers: int) -> subprocess.Popen[bytes]:
    words = (
        "run", demo, "--runs", runs, "--run", name, "--resume", "--workers", workers,
        "--events-per-task", 1000, "--no-plot", "--json",
    )  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "higgsdemo", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def totals(runs: Path, name: str) -> Totals:
    made = open_run(runs, name)
    with made.ledger() as ledger:
        assert closing_check(ledger, made.manifest()) == []
        assert ledger.counts().done == ledger.counts().planned
    return totals_of(made)


@pytest.fixture(scope="module")
def undisturbed(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Totals:
    runs = tmp_path_factory.mktemp("undisturbed")
    run = start(demo, runs, "calm", workers=2)
    _, err = run.communicate(timeout=120)
    assert run.returncode == 0, err.decode()
    return totals(runs, "calm")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
def test_kill_9_at_random_changes_no_bit(
    seed: int, demo: Path, undisturbed: Totals, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    workers = chance.choice([1, 2])
    run = start(demo, tmp_path, "stormy", workers)
    seen: list[psutil.Process] = []
    for _ in range(chance.randint(1, 3)):
        time.sleep(chance.uniform(0.2, 2.0))
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(run.pid).children()
            seen += children
            victim = chance.choice([psutil.Process(run.pid), *children])
            victim.kill()
        if run.poll() is not None:
            run.communicate()
            run = start(demo, tmp_path, "stormy", workers)
    for _ in range(5):  # a task may have used up its tries: each further start gives it more
        _, err = run.communicate(timeout=120)
        if run.returncode == 0:
            break
        run = start(demo, tmp_path, "stormy", workers)
    else:
        run.kill()
        pytest.fail(err.decode())
    stormy = totals(tmp_path, "stormy")
    assert stormy.samples == undisturbed.samples
    _, alive = psutil.wait_procs(seen, timeout=10)
    assert not [child for child in alive if child.status() != psutil.STATUS_ZOMBIE]
