"""The manifest: all of it back, or a clear refusal."""

import dataclasses
import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from higgsdemo.errors import RunError
from higgsdemo.ledger import Manifest, read_manifest, write_manifest
from higgsdemo.model import InputFile, Sample, TaskFile

from .builders import DATA, make_task, make_tasks, manifest_of

FULL = Manifest(
    "run-1",
    (
        dataclasses.replace(
            DATA,
            files=(InputFile("a.root", "/data/a.root", 3, 1.5),),
            sqrt_s_tev=8.0,
            channels=("4mu",),
            dataset="/DoubleMuParked/Run2012B-22Jan2013-v1/AOD",
            record=6004,
            demo=True,
            sources={"luminosity_pb": "record 1056"},
        ),
        Sample("ZZTo4mu", "zz", (), cross_section_pb=0.077, normalise_with="ZZ"),
    ),
    (
        make_task(
            0,
            DATA,
            start=0,
            stop=10,
            options={"selection": "published"},
            channels=("4mu",),
            certified="/golden.json",
            luminosity_pb=0.1 + 0.2,
        ),
        make_task(1, generated_events=12.5),
    ),
)


def rewritten(path: Path, *lines: Any) -> Path:
    path.write_bytes(gzip.compress("".join(json.dumps(one) + "\n" for one in lines).encode()))
    return path


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def test_round_trip(tmp_path: Path) -> None:
    digest = write_manifest(tmp_path / "m", FULL)
    again = read_manifest(tmp_path / "m")
    without_files = tuple(dataclasses.replace(sample, files=()) for sample in FULL.samples)
    assert again == dataclasses.replace(FULL, samples=without_files)
    text = gzip.decompress((tmp_path / "m").read_bytes())
    assert digest == hashlib.sha256(text).hexdigest()


def test_any_file_name_survives(tmp_path: Path) -> None:
    # U+2028 ends a line for str.splitlines
    strange = "é \u2028\n\"'\\ 日本.root"
    task = dataclasses.replace(make_task(0), files=(TaskFile(strange, "/" + strange),))
    write_manifest(tmp_path / "m", manifest_of([task]))
    assert read_manifest(tmp_path / "m").tasks == (task,)


def test_no_tasks(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m", manifest_of([]))
    assert read_manifest(tmp_path / "m").tasks == ()


def test_same_content_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_manifest(tmp_path / name, FULL)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_header_then_one_task_a_line(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m", FULL)
    header, *tasks = lines_of(tmp_path / "m")
    assert (header["schema"], header["run"], header["tasks"]) == (1, "run-1", 2)
    assert [task["id"] for task in tasks] == [task.id for task in FULL.tasks]


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be read") as caught:
        read_manifest(tmp_path / "m")
    assert caught.value.where == str(tmp_path / "m")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("manifest") / "m"
    write_manifest(path, FULL)
    return path


def test_truncated_anywhere(written: Path, tmp_path: Path) -> None:
    whole = written.read_bytes()
    for size in (*range(0, len(whole), 7), len(whole) - 8, len(whole) - 1):
        (tmp_path / "m").write_bytes(whole[:size])
        with pytest.raises(RunError, match="the manifest cannot be read"):
            read_manifest(tmp_path / "m")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_anywhere(written: Path, data: st.DataObject) -> None:
    # damage within the deflated bytes was once a zlib.error
    content = bytearray(written.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    path = written.with_name("damaged")
    path.write_bytes(content)
    try:
        found = read_manifest(path)
    except RunError:
        return
    assert found == read_manifest(written)  # a byte that says nothing, e.g. the time stamp


def test_damage_within_the_deflated_bytes(written: Path, tmp_path: Path) -> None:
    content = written.read_bytes()
    (tmp_path / "m").write_bytes(content[:10] + b"\xff" * 20 + content[30:])
    with pytest.raises(RunError, match="the manifest cannot be read"):
        read_manifest(tmp_path / "m")


def test_newer_schema(written: Path, tmp_path: Path) -> None:
    header, *tasks = lines_of(written)
    path = rewritten(tmp_path / "m", header | {"schema": 2, "colour": "blue"}, *tasks)
    with pytest.raises(RunError, match="newer than this program") as caught:
        read_manifest(path)
    assert caught.value.why == "schema 2, this program knows 1"
    assert caught.value.hint == "update higgsdemo"


def test_wrong_count(written: Path, tmp_path: Path) -> None:
    header, *tasks = lines_of(written)
    for some in (tasks[:1], [*tasks, tasks[0]]):
        with pytest.raises(RunError, match=f"{len(some)} tasks, the header says 2"):
            read_manifest(rewritten(tmp_path / "m", header, *some))


def test_task_that_was_changed(written: Path, tmp_path: Path) -> None:
    header, *tasks = lines_of(written)
    tasks[0]["stop"] = 11
    with pytest.raises(RunError, match="has the content of task"):
        read_manifest(rewritten(tmp_path / "m", header, *tasks))


@pytest.mark.parametrize("odd", [None, 3, "word", [], {}, {"schema": "one"}, {"schema": 1}])
def test_what_is_not_a_manifest(written: Path, tmp_path: Path, odd: Any) -> None:
    header, *tasks = lines_of(written)
    with pytest.raises(RunError, match="the manifest cannot be read"):
        read_manifest(rewritten(tmp_path / "m", odd, *tasks))
    with pytest.raises(RunError, match="the manifest cannot be read"):
        read_manifest(rewritten(tmp_path / "m", header, tasks[0], odd))
    with pytest.raises(RunError, match="the manifest cannot be read"):
        read_manifest(rewritten(tmp_path / "m", header | {"samples": [odd]}, *tasks))


@pytest.mark.parametrize(
    "content", [b"", b"plain text\n", gzip.compress(b"", mtime=0), gzip.compress(b"\xff", mtime=0)]
)
def test_other_content(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(RunError, match="the manifest cannot be read"):
        read_manifest(tmp_path / "m")


def test_many_tasks(tmp_path: Path) -> None:
    tasks = make_tasks(1000)
    write_manifest(tmp_path / "m", manifest_of(tasks))
    assert read_manifest(tmp_path / "m").tasks == tasks
