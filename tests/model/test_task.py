"""Tasks: ids that never change, and a JSON form that is checked."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from higgsdemo.model import Task, TaskFile

QUICK = settings(max_examples=100, deadline=None)
WHOLE = Task("ZZTo4mu", (TaskFile("ZZTo4mu.root", "/data/ZZTo4mu.root", 100),))
RANGE = dataclasses.replace(WHOLE, start=0, stop=250_000)

names = st.text(min_size=1, max_size=20)
bounds = st.none() | st.integers(0, 10**12)
tasks = st.builds(
    Task,
    sample=names,
    files=st.lists(
        st.builds(TaskFile, names, names, st.none() | st.integers(0, 2**50)),
        min_size=1,
        max_size=4,
    ).map(tuple),
    workflow=names,
    options=st.dictionaries(names, names, max_size=3),
    start=bounds,
    stop=bounds,
    events=bounds,
    channels=st.lists(names, max_size=3).map(tuple),
    is_data=st.booleans(),
    certified=st.none() | names,
    luminosity_pb=st.none() | st.floats(allow_nan=False),
    generated_events=st.none() | st.floats(allow_nan=False),
)


def test_ids_never_change() -> None:
    # In ledgers, manifests and results of old runs: not to be adapted to the code.
    assert WHOLE.id == "ec500d9aef6d2923"
    assert RANGE.id == "43e839647b9990d6"
    two = dataclasses.replace(WHOLE, files=(*WHOLE.files, TaskFile("é.root", "/e")))
    assert two.id == "06425867e87cdac5"


def test_id_does_not_depend_on_where_the_bytes_lie_or_what_is_done_to_them() -> None:
    moved = dataclasses.replace(
        RANGE,
        files=(TaskFile("ZZTo4mu.root", "root://eospublic.cern.ch//x/ZZTo4mu.root", None),),
        workflow="other",
        options={"selection": "published"},
        events=3,
        channels=("4mu",),
        is_data=True,
        certified="/golden.json",
        luminosity_pb=1.5,
        generated_events=9.0,
    )
    assert moved.id == RANGE.id


def test_id_depends_on_sample_names_order_and_range() -> None:
    a, b = TaskFile("a", "/a"), TaskFile("b", "/b")
    variants = [
        Task("s", (a,)),
        Task("t", (a,)),
        Task("s", (b,)),
        Task("s", (a, b)),
        Task("s", (b, a)),
        Task("s", (a, a)),
        Task("s", (TaskFile("ab", "/ab"),)),
        Task("s", (a,), start=0),
        Task("s", (a,), stop=0),
        Task("s", (a,), start=0, stop=1),
        Task("s", (a,), start=0, stop=11),
        Task("s", (a,), start=1, stop=1),
    ]
    assert len({task.id for task in variants}) == len(variants)


@QUICK
@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), unique=True))
def test_ranges_of_one_file_never_collide(ranges: list[tuple[int, int]]) -> None:
    ids = {dataclasses.replace(WHOLE, start=start, stop=stop).id for start, stop in ranges}
    assert len(ids | {WHOLE.id}) == len(ranges) + 1


@QUICK
@given(tasks)
def test_json_round_trip(task: Task) -> None:
    document = json.loads(json.dumps(task.to_json()))
    again = Task.from_json(document)
    assert again == task
    assert again.id == task.id == document["id"]


def test_content_that_does_not_fit_the_id_is_refused() -> None:
    document = RANGE.to_json() | {"stop": 250_001}
    with pytest.raises(ValueError, match="has the content of task"):
        Task.from_json(document)


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        None,
        "task",
        {key: value for key, value in WHOLE.to_json().items() if key != "files"},
        {key: value for key, value in WHOLE.to_json().items() if key != "sample"},
        WHOLE.to_json() | {"files": [{"name": "a"}]},
        WHOLE.to_json() | {"files": 3},
        WHOLE.to_json() | {"channels": None},
        WHOLE.to_json() | {"colour": "blue"},
    ],
)
def test_what_is_not_a_task_is_refused_with_value_error(document: Any) -> None:
    with pytest.raises(ValueError, match="not a task"):
        Task.from_json(document)


def test_label() -> None:
    assert WHOLE.label == "ZZTo4mu: ZZTo4mu.root"
    assert RANGE.label == "ZZTo4mu: ZZTo4mu.root[0:250000]"
    three = dataclasses.replace(WHOLE, files=WHOLE.files * 3)
    assert three.label == "ZZTo4mu: ZZTo4mu.root and 2 more"


def test_bytes_are_known_only_where_those_of_all_files_are() -> None:
    more = dataclasses.replace(WHOLE, files=(*WHOLE.files, TaskFile("b", "/b", 0)))
    assert more.size_bytes == 100
    unknown = dataclasses.replace(WHOLE, files=(*WHOLE.files, TaskFile("b", "/b")))
    assert unknown.size_bytes is None


def test_copies_are_kept_in_order_and_change_no_id() -> None:
    file = TaskFile("f", "root://h//f")
    alone = Task(sample="s", files=(file,))
    both = Task(
        sample="s", files=(dataclasses.replace(file, replicas=("s3://b/f", "https://h/f")),)
    )
    assert both.id == alone.id
    assert "replicas" not in json.dumps(alone.to_json())
    assert Task.from_json(json.loads(json.dumps(both.to_json()))) == both
    assert Task.from_json(json.loads(json.dumps(alone.to_json()))) == alone
