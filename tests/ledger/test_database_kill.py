"""The ledger under kill -9, on a full disk, and under other readers' eyes."""

import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from higgsdemo.ledger import (
    Ledger,
    Merger,
    closing_check,
    write_manifest,
)
from higgsdemo.model import Task

from .builders import (
    check_accounting,
    make_tasks,
    manifest_of,
    new_ledger,
    result_of,
    states,
)

WRITER = Path(__file__).with_name("writer.py")


def write(folder: Path, seed: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            str(WRITER),
            str(folder / "ledger.sqlite"),
            str(folder / "manifest.jsonl.gz"),
            str(seed),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_killed_writer_leaves_a_true_ledger_with_all_it_acknowledged(tmp_path: Path) -> None:
    tasks = make_tasks(600)
    write_manifest(tmp_path / "manifest.jsonl.gz", manifest_of(tasks))
    new_ledger(tmp_path, tasks).close()
    by_id = {task.id: task for task in tasks}
    acknowledged: set[str] = set()
    chance = random.Random(20121204)
    for seed in range(5):
        with write(tmp_path, seed) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            stop_after = chance.randrange(1, 120)
            lines = [process.stdout.readline() for _ in range(stop_after)]
            with contextlib.suppress(subprocess.TimeoutExpired):  # anywhere in a transaction
                process.wait(chance.uniform(0, 0.002))
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
        whole = [line.split() for line in lines if line.endswith("\n")]
        assert len(whole) >= stop_after
        acknowledged |= {words[1] for words in whole if words[0] == "done"}
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
            check_accounting(ledger.counts(), len(tasks))
            assert ledger.counts().running <= 1
            kept = {result.task_id: result for result in ledger.results()}
            assert acknowledged <= kept.keys()
            assert len(kept.keys() - acknowledged) <= seed + 1  # written and not yet told
            assert {one for one, state in states(ledger).items() if state == "done"} == kept.keys()
            assert kept == {task_id: result_of(by_id[task_id]) for task_id in kept}
        assert integrity(tmp_path / "ledger.sqlite") == "ok"
    assert 0 < len(acknowledged) < len(tasks), "the kills came too early or too late"


def integrity(path: Path) -> str:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def test_readers_see_a_true_ledger_while_another_process_writes(tmp_path: Path) -> None:
    tasks = make_tasks(150)
    manifest = manifest_of(tasks)
    write_manifest(tmp_path / "manifest.jsonl.gz", manifest)
    new_ledger(tmp_path, tasks).close()
    ended = threading.Event()

    def count() -> list[int]:
        seen = []
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
            while not ended.wait(0.002):
                counts = ledger.counts()
                check_accounting(counts, len(tasks))
                seen.append(counts.done)
        return seen

    def merge() -> list[int]:
        seen = []
        merger = Merger(manifest)
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
            while not ended.wait(0.002):
                merger.update(ledger)
                samples = merger.totals().samples.values()
                for sample in samples:
                    if sample.tasks:
                        assert sample.histograms["4mu/x"].total == sample.events
                seen.append(sum(sample.tasks for sample in samples))
        return seen

    with ThreadPoolExecutor(2) as pool, write(tmp_path, 1) as process:
        readers = [pool.submit(watch) for watch in (count, merge)]
        try:
            told, _ = process.communicate(timeout=120)
        finally:
            ended.set()
    assert process.returncode == 0
    assert told.count("done") == len(tasks)
    for reader in readers:
        seen = reader.result()
        assert seen == sorted(seen), "what is done stays done"
        assert len(set(seen)) > 3, "the reader saw the run grow"
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        assert closing_check(ledger, manifest) == []


def test_two_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    tasks = make_tasks(40)
    new_ledger(tmp_path, tasks).close()

    def deliver(mine: tuple[Task, ...]) -> None:
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
            for task in mine:
                ledger.start(task.id, "here")
                ledger.deliver(result_of(task))

    with ThreadPoolExecutor(2) as pool:  # both deliver the ten in the middle
        list(pool.map(deliver, [tasks[:25], tasks[15:]]))
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.counts().done == 40
        assert closing_check(ledger, manifest_of(tasks)) == []


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from ledger.builders import make_tasks, result_of
from higgsdemo.errors import RunError
from higgsdemo.ledger import Delivery, Ledger

with Ledger.open(Path(sys.argv[1])) as ledger:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    for task in make_tasks(400):
        try:
            ledger.start(task.id, "x" * 2000)
            ledger.deliver(result_of(task))
        except RunError as error:
            print("refused:", error.what, "/", error.why)
            break
        print("kept:", task.id)
        if task.id == make_tasks(3)[-1].id:  # from here on the disk is full
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert ledger.deliver(result_of(task)) is Delivery.ACCEPTED  # the same ledger goes on
    print("kept:", task.id)
"""


def test_full_disk_is_told_and_what_was_done_is_kept(tmp_path: Path) -> None:
    tasks = make_tasks(400)
    new_ledger(tmp_path, tasks).close()
    path = tmp_path / "ledger.sqlite"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), str(WRITER.parents[1])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kept = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("kept")]
    (refused,) = [line for line in done.stdout.splitlines() if line.startswith("refused")]
    assert "the ledger cannot be written" in refused
    assert "rollback" not in refused, "the reason is the disk, not what came of it"
    with Ledger.open(path) as ledger:
        assert [document["task"] for document in ledger.documents()] == kept
        check_accounting(ledger.counts(), len(tasks))
    assert integrity(path) == "ok"
