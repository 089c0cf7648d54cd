"""The manifest of an array of jobs: blocks of compressed JSON lines, in one folder.

A block is a file `FIRST-LAST.jsonl.gz` for the indexes FIRST to LAST. Its first line is a header,
each further line a list of the tasks of one index. A worker opens only the block of its index.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from higgsdemo.errors import InputError, TransientError, UsageError
from higgsdemo.model import Task

BLOCK_SCHEMA = 1
BLOCK_TASKS = 500
MAX_BLOCK_BYTES = 900_000  # compressed: in a ConfigMap it must stay under 1 MiB with its name
_NAME = re.compile(r"(\d+)-(\d+)\.jsonl\.gz")

Tasks = Sequence[Task]


def pack_blocks(run_id: str, indexes: Sequence[Tasks]) -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes) of the blocks for the tasks of each index, in order.

    The same input gives the same bytes. Raises UsageError where the tasks of one index alone are
    more than a block may have.
    """
    first = 0
    while first < len(indexes):
        last, tasks = first, len(indexes[first])
        while last + 1 < len(indexes) and tasks + len(indexes[last + 1]) <= BLOCK_TASKS:
            last += 1
            tasks += len(indexes[last])
        block = _pack(run_id, indexes[first : last + 1])
        while len(block) > MAX_BLOCK_BYTES and last > first:
            last = first + (last - first) // 2
            block = _pack(run_id, indexes[first : last + 1])
        if len(block) > MAX_BLOCK_BYTES:
            raise UsageError(
                "the tasks of one job are too many for a manifest",
                where=indexes[first][0].label,
                why=f"{len(indexes[first])} tasks take {len(block)} bytes, compressed; a block may "
                f"have {MAX_BLOCK_BYTES}",
                hint="put fewer files into a task (--files-per-task), or fewer tasks into a pod "
                "(--tasks-per-pod)",
            )
        yield f"{first:06d}-{last:06d}.jsonl.gz", block
        first = last + 1


def _pack(run_id: str, indexes: Sequence[Tasks]) -> bytes:
    header = json.dumps({"block": BLOCK_SCHEMA, "run": run_id})
    lines = [json.dumps([task.to_json() for task in tasks]) for tasks in indexes]
    return gzip.compress("\n".join([header, *lines, ""]).encode(), compresslevel=6, mtime=0)


def read_tasks(folder: Path, index: int, run_id: str) -> tuple[Task, ...]:
    """Read the tasks of an index; InputError unless they are there, whole, and of this run.

    TransientError where the folder cannot be read now.
    """
    try:
        for path in folder.iterdir():
            span = _NAME.fullmatch(path.name)
            if span is None or not int(span[1]) <= index <= int(span[2]):
                continue
            text = zlib.decompress(path.read_bytes(), wbits=31)  # its errors are no OSError
            head, *lines = text.decode().splitlines()
            header = json.loads(head)
            if (header["block"], header["run"]) != (BLOCK_SCHEMA, run_id):
                raise ValueError(f"it is block {header['block']!r} of run {header['run']!r}")
            return tuple(Task.from_json(each) for each in json.loads(lines[index - int(span[1])]))
    except OSError as error:
        raise TransientError(
            "the manifest of this job cannot be read", where=str(folder), why=str(error)
        ) from error
    except (zlib.error, ValueError, LookupError, TypeError) as error:
        raise InputError(
            "the manifest of this job is damaged", where=str(folder), why=str(error)
        ) from error
    raise InputError(f"the manifest of this job has no index {index}", where=str(folder))
