"""The manifest of an array of jobs."""

import gzip
import json
import secrets
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from higgsdemo.errors import InputError, TransientError, UsageError
from higgsdemo.model import Task, TaskFile
from higgsdemo.worker.blocks import BLOCK_TASKS, MAX_BLOCK_BYTES, pack_blocks, read_tasks


def task(name: str) -> Task:
    return Task(sample="s", files=(TaskFile(name, f"s3://bucket/{name}", 12, "adler32:1"),))


def put(folder: Path, indexes: list[list[Task]]) -> list[str]:
    blocks = dict(pack_blocks("run", indexes))
    for name, content in blocks.items():
        (folder / name).write_bytes(content)
    return list(blocks)


@settings(deadline=None, max_examples=15)
@given(sizes=st.lists(st.integers(1, 220), min_size=1, max_size=9))
def test_every_index_finds_its_tasks_again(
    sizes: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("blocks")
    indexes = [[task(f"{n}-{k}") for k in range(size)] for n, size in enumerate(sizes)]
    blocks = put(folder, indexes)
    for number, tasks in enumerate(indexes):
        assert list(read_tasks(folder, number, "run")) == tasks
    assert len(blocks) <= 1 + sum(sizes) * 2 // BLOCK_TASKS
    with pytest.raises(InputError, match=f"no index {len(sizes)}"):
        read_tasks(folder, len(sizes), "run")


def test_blocks_are_the_same_each_time_and_bounded() -> None:
    """Names that do not compress: blocks are cut by size as well as by number."""
    indexes = [[task(secrets.token_hex(2000)) for _ in range(2)] for _ in range(600)]
    once, again = dict(pack_blocks("run", indexes)), dict(pack_blocks("run", indexes))
    assert once == again
    assert len(once) > 2
    assert max(len(block) for block in once.values()) <= MAX_BLOCK_BYTES


def test_one_job_with_too_many_tasks_is_refused() -> None:
    huge = [task(secrets.token_hex(5000)) for _ in range(200)]
    with pytest.raises(UsageError, match="too many for a manifest") as caught:
        list(pack_blocks("run", [[task("small")], huge]))
    assert "--tasks-per-pod" in (caught.value.hint or "")


def test_what_is_damaged_or_of_another_run_is_refused(tmp_path: Path) -> None:
    (name,) = put(tmp_path, [[task("a")], [task("b")]])
    whole = (tmp_path / name).read_bytes()
    with pytest.raises(InputError, match="of run 'run'"):
        read_tasks(tmp_path, 0, "other")
    head, first, second = gzip.decompress(whole).decode().splitlines()
    swapped = json.loads(first)
    swapped[0]["sample"] = "t"
    for damaged in (
        whole[:-9],
        b"no gzip",
        gzip.compress(head.encode()),
        gzip.compress(f"{head}\n{json.dumps(swapped)}\n{second}\n".encode()),
    ):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(InputError, match="is damaged"):
            read_tasks(tmp_path, 0, "run")
    with pytest.raises(TransientError, match="cannot be read"):
        read_tasks(tmp_path / "absent", 0, "run")
