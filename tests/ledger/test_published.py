"""A run that is known by the plan in the sink of its results."""

import gzip
import json
from pathlib import Path

import pytest

from higgsdemo.errors import RunError, TransientError, UsageError
from higgsdemo.ledger import (
    COPY,
    Collector,
    Manifest,
    NameTakenError,
    RunDirectory,
    create_run,
    find_run,
    publish,
    refuse_taken,
)
from higgsdemo.sinks import Sink, open_sink
from tests.ledger.builders import SAMPLES, make_tasks, result_of

TASKS = make_tasks(4)
RECORD = {"samples": {"title": "A <b>title</b>"}, "workflow": "h4l", "executor": "kubernetes",
          "kubernetes": {"image": "w"}, "storage": {"HIGGSDEMO_STORAGE_HOST": "x"}}  # fmt: skip


@pytest.fixture
def sink(tmp_path: Path) -> Sink:
    (tmp_path / "sink").mkdir()
    return open_sink(f"file://{tmp_path}/sink")


def submitted(folder: Path, name: str = "one", tasks: tuple = TASKS) -> RunDirectory:  # type: ignore[type-arg]
    return create_run(folder, name, record=RECORD, samples=SAMPLES, tasks=tasks)


def test_elsewhere_it_is_followed_to_the_same_sums(tmp_path: Path, sink: Sink) -> None:
    run = submitted(tmp_path / "here")
    publish(run, [sink])
    publish(run, [sink])  # killed and repeated
    copy = find_run(tmp_path / "there", None, [sink])
    assert copy.id == "one"
    assert copy.manifest().tasks == run.manifest().tasks
    assert copy.manifest().digest == run.manifest().digest
    for task in TASKS:
        sink.deliver(result_of(task), "one")
    digests = []
    for each in (run, copy):
        with each.ledger() as ledger:
            Collector(ledger, each.manifest(), sink).look()
            assert ledger.counts().done == len(TASKS)
            digests.append(sorted(ledger.digests()))
    assert digests[0] == digests[1]
    assert find_run(tmp_path / "there", "one", [sink]).path == copy.path  # not made anew


def test_a_copy_has_nothing_by_which_the_run_could_be_driven(tmp_path: Path, sink: Sink) -> None:
    publish(submitted(tmp_path / "here"), [sink])
    record = find_run(tmp_path / "there", "one", [sink]).record
    assert record[COPY] == sink.url
    assert record["samples"] == RECORD["samples"]
    assert not {"executor", "kubernetes", "storage"} & record.keys()


def test_which_run_is_meant(tmp_path: Path, sink: Sink) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    with pytest.raises(UsageError, match="there is no run yet"):
        find_run(there, None, [sink])
    publish(submitted(here, "one"), [sink])
    submitted(there, "of-another-sink")
    assert find_run(there, None, [sink]).id == "one"  # not the newest: the sink has it not
    publish(submitted(here, "two"), [sink])
    assert find_run(here, None, [sink]).id == "two"
    with pytest.raises(UsageError, match="the sink has 2 runs") as told:
        find_run(tmp_path / "nowhere", None, [sink])
    assert "one, two" in str(told.value.hint)
    with pytest.raises(UsageError, match="no run 'onne'") as told:
        find_run(there, "onne", [sink])
    assert "one" in told.value.nearest


def test_a_sink_that_is_silent_is_no_reason_not_to_look_at_a_run_here(
    tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent() -> list[str]:
        raise TransientError("silent")

    monkeypatch.setattr(sink, "runs", silent)
    with pytest.raises(TransientError):
        find_run(tmp_path / "here", None, [sink])
    submitted(tmp_path / "here")
    assert find_run(tmp_path / "here", None, [sink]).id == "one"


def test_another_run_of_the_same_name_is_refused(tmp_path: Path, sink: Sink) -> None:
    run = submitted(tmp_path / "here")
    publish(run, [sink])
    refuse_taken(run.manifest(), [sink])
    other = submitted(tmp_path / "there", tasks=TASKS[:2])
    with pytest.raises(NameTakenError, match="another run of the name one"):
        refuse_taken(Manifest("one", SAMPLES, TASKS[:2]), [sink])
    with pytest.raises(NameTakenError):
        publish(other, [sink])
    assert find_run(tmp_path / "far", "one", [sink]).manifest().tasks == TASKS


def damaged() -> dict[str, bytes]:
    text = json.dumps({"schema": 1, "run": "one", "samples": [], "tasks": 0}).encode() + b"\n"
    header = {"plan": 1, "run": "one", "manifest": "0" * 64, "record": {}}
    return {
        "junk": b"junk",
        "truncated": gzip.compress(text)[:-4],
        "no header": gzip.compress(b"\n" + text),
        "another schema": gzip.compress(json.dumps({**header, "plan": 2}).encode() + b"\n" + text),
        "another digest": gzip.compress(json.dumps(header).encode() + b"\n" + text),
        "not an object": gzip.compress(b"[]\n" + text),
    }


@pytest.mark.parametrize("plan", damaged().values(), ids=damaged().keys())
def test_a_damaged_plan_is_told_and_nothing_is_made(
    tmp_path: Path, sink: Sink, plan: bytes
) -> None:
    sink.publish("one", plan)
    with pytest.raises(RunError, match="the plan of a run cannot be read"):
        find_run(tmp_path / "there", "one", [sink])
    assert not (tmp_path / "there").exists()
