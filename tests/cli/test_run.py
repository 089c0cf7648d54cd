"""`run`, `plan`, `resume` as a user meets them."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = ("--workflow", "scripted", "--no-plot")


def test_a_run_ends_complete_with_its_record(higgsdemo: Any, scripts: Any) -> None:
    said = higgsdemo("run", scripts(a={}, b={}), *HERE, "--run", "first")
    assert said.status == 0, said.err
    assert "2 of 2 tasks done" in said.err
    record = json.loads(Path("runs/first/run.json").read_text())
    assert record["workflow"] == "scripted"
    assert record["versions"]["higgsdemo"]
    assert {path.name for path in Path("runs/first").iterdir()} >= {
        "run.json", "manifest.jsonl.gz", "ledger.sqlite", "logs", "plots",
    }  # fmt: skip
    assert not list(Path("runs").glob(".making*"))


def test_a_dry_run_and_a_plan_write_nothing(higgsdemo: Any, scripts: Any) -> None:
    folder = scripts(a={}, b={})
    for words in (("run", folder, "--dry-run"), ("plan", folder)):
        said = higgsdemo(*words, "--workflow", "scripted")
        assert said.status == 0
        assert "2 tasks of 2 files" in said.out
    assert not Path("runs").exists()
    planned = higgsdemo("plan", folder, "--workflow", "scripted", "--json").json
    assert len(planned["tasks"]) == 2
    assert planned["size_bytes"] == sum(path.stat().st_size for path in folder.iterdir())


def test_a_bad_file_stops_the_run_and_is_named_with_what_to_do(
    higgsdemo: Any, scripts: Any
) -> None:
    folder = scripts(a={"do": "bad"}, b={})
    said = higgsdemo("run", folder, *HERE, "--run", "r", "--workers", 1)
    assert said.status == 1
    assert "error: bad-input: the file is damaged" in said.err
    assert "run: r stopped at a: a.root" in said.err
    assert str(folder / "a.root") in said.err
    assert "--skip-bad-files" in said.err
    status = higgsdemo("status", "r", "--json")
    assert status.status == 1
    assert status.json["failed"] == {"bad-input": 1}

    mended = higgsdemo("resume", "r", "--skip-bad-files", "--no-plot")
    assert mended.status == 0, mended.err
    assert "left out: 1 files" in mended.out
    assert "a.root" in mended.out


def test_a_mended_file_is_finished_by_resume(higgsdemo: Any, scripts: Any) -> None:
    folder = scripts(a={"do": "bad", "times": 1}, b={})
    assert higgsdemo("run", folder, *HERE, "--run", "r", "--workers", 1).status == 1
    assert higgsdemo("resume", "r", "--no-plot").status == 0
    assert higgsdemo("status", "r").status == 0


def test_a_bug_shows_its_traceback(higgsdemo: Any, scripts: Any) -> None:
    said = higgsdemo("run", scripts(a={"do": "bug"}), *HERE)
    assert said.status == 1
    assert "Traceback" in said.err
    assert "ZeroDivisionError: a mistake in the workflow" in said.err


def test_what_keeps_failing_leaves_the_run_incomplete(higgsdemo: Any, scripts: Any) -> None:
    said = higgsdemo("run", scripts(a={"do": "die"}, b={}), *HERE, "--tries", 1, "--run", "r")
    assert said.status == 1
    assert "is incomplete" in said.err
    assert "2 planned = 1 done + 1 failed (1 transient) + 0 running + 0 queued" in said.err
    assert "higgsdemo resume r" in said.err


def test_a_name_that_exists_is_refused_or_resumed(higgsdemo: Any, scripts: Any) -> None:
    folder = scripts(a={})
    words = ("run", folder, *HERE, "--run", "twice")
    assert higgsdemo(*words).status == 0
    again = higgsdemo(*words)
    assert again.status == 1
    assert "run twice exists" in again.err
    assert "higgsdemo resume twice" in again.err
    assert higgsdemo(*words, "--resume").status == 0


def test_resuming_with_other_words_is_refused(higgsdemo: Any, scripts: Any) -> None:
    folder = scripts(a={})
    words = ("run", folder, *HERE, "--run", "r", "--resume")
    assert higgsdemo(*words).status == 0
    assert higgsdemo(*words).status == 0
    said = higgsdemo("run", folder / "a.root", *words[2:])
    assert said.status == 2
    assert "other samples" in said.err
    unnamed = higgsdemo("run", folder, *HERE, "--resume")
    assert unnamed.status == 2
    assert "--run NAME" in unnamed.err


def test_a_run_that_gave_nothing_is_no_success(higgsdemo: Any, scripts: Any) -> None:
    said = higgsdemo("run", scripts(a={"do": "bad"}), *HERE, "--skip-bad-files")
    assert said.status == 1
    assert "gave nothing" in said.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--workflow", "scriptd"), "scripted"),
        (("--executor", "locl"), "local"),
        (("--option", "selection"), "KEY=VALUE"),
        (("--option", "nonsense=1"), "nonsense"),
        (("--filter", "sampel=a"), "sample"),
        (("--filter", "sample=zz"), "there are: a"),
        (("--memory", "lots"), "2GB"),
        (("--run", "../up"), "letters"),
        (("--certified-sections", "none.json"), "none.json"),
    ],
)
def test_wrong_words_are_told_with_the_right_ones(
    higgsdemo: Any, scripts: Any, words: tuple[str, ...], says: str
) -> None:
    said = higgsdemo("run", scripts(a={}), "--workflow", "scripted", *words)
    assert said.status == 2, said.err
    assert says in said.err
    assert "Traceback" not in said.err
    assert not Path("runs").exists()


def test_an_unknown_set_names_the_nearest(higgsdemo: Any) -> None:
    said = higgsdemo("run", "nanoaod-2021")
    assert said.status == 2
    assert "nanoaod-2012" in said.err


def test_an_unknown_run_names_the_nearest(higgsdemo: Any, scripts: Any) -> None:
    higgsdemo("run", scripts(a={}), *HERE, "--run", "morning")
    said = higgsdemo("resume", "mornin")
    assert said.status == 2
    assert "did you mean: morning" in said.err


def test_a_ledger_from_a_newer_version_is_left_alone(higgsdemo: Any, scripts: Any) -> None:
    higgsdemo("run", scripts(a={}), *HERE, "--run", "r")
    ledger = sqlite3.connect("runs/r/ledger.sqlite")
    ledger.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    ledger.commit()
    ledger.close()
    said = higgsdemo("resume", "r")
    assert said.status == 1
    assert "newer than this program" in said.err


def start(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "higgsdemo", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_its_state(
    higgsdemo: Any, scripts: Any, number: signal.Signals
) -> None:
    folder = scripts(a={}, b={"sleep": 60, "times": 1})
    run = start("run", folder, *HERE, "--run", "r", "--workers", 2)
    wait_for(lambda: (folder / "b.tally").exists() and (folder / "a.tally").exists())
    time.sleep(0.5)
    run.send_signal(number)
    _, err = run.communicate(timeout=120)
    assert run.returncode == 130
    assert "interrupted" in err
    assert "higgsdemo resume r" in err
    assert "Traceback" not in err
    assert higgsdemo("status", "r", "--json").json["running"] == 0
    assert higgsdemo("resume", "r", "--no-plot").status == 0


def test_a_changed_program_is_told_when_a_run_goes_on(higgsdemo: Any, scripts: Any) -> None:
    first = higgsdemo("run", scripts(a={}), *HERE, "--run", "r")
    assert "has changed" not in first.err
    path = Path("runs/r/run.json")
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "code_sha256": "0" * 64}))
    assert "higgsdemo has changed since" in higgsdemo("resume", "r", "--no-plot").err


def test_two_processes_cannot_resume_one_run(higgsdemo: Any, scripts: Any) -> None:
    folder = scripts(a={"sleep": 60, "times": 1})
    first = start("run", folder, *HERE, "--run", "r")
    try:
        wait_for(lambda: (folder / "a.tally").exists())
        said = higgsdemo("resume", "r")
        assert said.status == 1
        assert f"is being driven by process {first.pid} on {os.uname().nodename}" in said.err
    finally:
        first.kill()
        first.communicate()
    assert higgsdemo("resume", "r", "--no-plot").status == 0
