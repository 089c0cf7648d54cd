"""How an outcome travels: gzip of lines of JSON, under a name that says what is inside.

The first line is a header (whose it is, what it is), the second the content. A result's content
is the canonical text that its digest covers, so a receiver checks it without encoding it anew.
A result has its form in a third line, and that in a member of gzip of its own: the same bytes in
each result, which a receiver opens once.
Nothing in a parcel is ever executed: it is JSON, of bounded size, and any other thing is refused.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
import re
import zlib
from typing import Any, NamedTuple

from higgsdemo.errors import UsageError
from higgsdemo.model import Failure, Form, Result
from higgsdemo.model.text import canonical, is_canonical, parse_json, to_json

PARCEL_SCHEMA = 2
MAX_BYTES = 64 * 1024 * 1024  # unpacked; a result of 100 full histograms has 0.2 MB
MAX_FORM_BYTES = 4 * 1024 * 1024  # of 100 histograms, 0.03 MB

ENDING = ".jsonl.gz"
PLAN = f"plan{ENDING}"  # where a run's plan is kept beside its results
_NAME = re.compile(r"(?P<task>[0-9a-f]{16})\.(?P<failed>failed-)?(?P<digest>[0-9a-f]{16})(-\d)?")
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class ParcelError(ValueError):
    """The bytes are not a parcel, are damaged, or are not what their name says."""


class Parcel(NamedTuple):
    """What was in a parcel that is whole.

    `document` is that of a failure (`Failure.to_json`) or the packed one of a result, parsed but
    not looked into; `text` is the JSON text of a result's packed document.
    """

    run_id: str
    is_result: bool
    document: dict[str, Any]
    text: bytes = b""
    form: Form | None = None  # of a result


def check_run_id(run_id: str) -> str:
    """Return `run_id` if it can be part of a key; two runs never mix (promise P6)."""
    if not _RUN.fullmatch(run_id):
        raise UsageError(
            f"{run_id!r} cannot be the name of a run",
            why="letters, digits, '.', '_' and '-', at most 63, a letter or digit first",
        )
    return run_id


def is_run_id(text: str) -> bool:
    """Whether a run may have this name."""
    return _RUN.fullmatch(text) is not None


def stem(name: str) -> str:
    """Return a document's name without the number of its copy."""
    return name[:-2] if name[-2:-1] == "-" else name


def is_name(name: str) -> bool:
    """Whether a document may have this name."""
    return _NAME.fullmatch(name) is not None


def result_name(task_id: str, digest: str) -> str:
    """Return the name of a result: two different results of a task have different names."""
    return f"{task_id}.{digest[:16]}"


def _failure_name(task_id: str, digest: str) -> str:
    return f"{task_id}.failed-{digest[:16]}"


def is_result_of(name: str, task_id: str) -> bool:
    """Whether the document of this name is a result of the task, rather than a failure."""
    said = _NAME.fullmatch(name)
    return said is not None and said["task"] == task_id and said["failed"] is None


def pack(outcome: Result | Failure, run_id: str) -> tuple[str, bytes]:
    """Return (name, bytes) of an outcome."""
    header: dict[str, Any] = {"parcel": PARCEL_SCHEMA, "run": check_run_id(run_id)}
    if isinstance(outcome, Result):
        content, form = outcome.text, _packed(outcome.output.form.text)
        header["result"] = outcome.about
        name = result_name(outcome.task_id, outcome.digest)
    else:
        content, form = canonical(outcome.to_json()), b""
        digest = hashlib.sha256(content).hexdigest()
        header["failure"] = {"digest": digest}
        name = _failure_name(outcome.task_id, digest)
    return name, _packed(json.dumps(header).encode(), content) + form


def unpack(name: str, payload: bytes) -> Parcel:
    """Open a parcel; ParcelError unless it is whole, undamaged, and what its name says."""
    try:
        return _unpack(name, payload)
    except RecursionError as error:
        raise ParcelError("it is nested too deeply") from error


def _unpack(name: str, payload: bytes) -> Parcel:
    (head, content), member = _lines(payload, 2, MAX_BYTES)
    header = _object(head, "header")
    if header.get("parcel") != PARCEL_SCHEMA:
        raise ParcelError(f"parcel schema {header.get('parcel')!r}, not {PARCEL_SCHEMA}")
    run_id, rest = header.get("run"), header.get("result", header.get("failure"))
    if not isinstance(run_id, str) or not isinstance(rest, dict):
        raise ParcelError("the header names no run, or neither a result nor a failure")
    is_result = "result" in header
    if bool(member) != is_result:
        raise ParcelError("it has no form, or something else at its end")
    digest = hashlib.sha256(content).hexdigest()
    if digest != rest.get("digest"):
        raise ParcelError("content and digest differ")
    document = _object(content, "content")
    if not is_canonical(content, document):
        raise ParcelError("the content is not written as it should be")
    task, right = document.get("task"), result_name if is_result else _failure_name
    if not isinstance(task, str) or not is_name(name) or stem(name) != right(task, digest):
        raise ParcelError(f"it holds task {task!r}, digest {digest[:16]}")
    if not is_result:
        return Parcel(run_id, False, document)
    form = _form(member)
    if form.digest != document.get("form"):
        raise ParcelError("content and form differ")
    if document.keys() & rest.keys():
        raise ParcelError("the header repeats a part of the content")
    text = b"%b,%b" % (content[:-1], to_json(rest)[1:])
    return Parcel(run_id, True, {**document, **rest}, text, form)


def failure_of(document: dict[str, Any]) -> Failure:
    """Read a failure that others wrote; ParcelError if its parts are not of the right kind."""
    try:
        failure = Failure.from_json(document)
    except ValueError as error:
        said = str(error).removeprefix("not a failure: ")
        raise ParcelError(f"not a failure: {said}") from error
    texts = (failure.message, "" if failure.traceback is None else failure.traceback)
    if not all(isinstance(text, str) for text in texts):
        raise ParcelError(f"not a failure: {failure.cause} without words")
    return failure


def _packed(*lines: bytes) -> bytes:
    return gzip.compress(b"\n".join([*lines, b""]), compresslevel=6, mtime=0)


@functools.lru_cache(maxsize=16)
def _form(member: bytes) -> Form:
    """Open the form of a result, a member of gzip: the same bytes in each result of its kind."""
    (text,), rest = _lines(member, 1, MAX_FORM_BYTES)
    if rest:
        raise ParcelError("followed by something else")
    try:
        return Form.from_text(text)
    except ValueError as error:
        raise ParcelError(str(error)) from error


def _lines(payload: bytes, count: int, most: int) -> tuple[list[bytes], bytes]:
    """Return the lines in the first member of gzip, and what comes after it."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        text = unpacker.decompress(payload, most)
    except zlib.error as error:
        raise ParcelError(f"not gzip, or damaged: {error}") from error
    if unpacker.unconsumed_tail:
        raise ParcelError(f"more than {most / 1024**2:.0f} MiB")
    if not unpacker.eof:
        raise ParcelError("truncated")
    *lines, end = text.split(b"\n", count)
    if end or len(lines) != count:
        raise ParcelError("not as many lines as there should be")
    return lines, unpacker.unused_data


def _object(text: bytes, what: str) -> dict[str, Any]:
    try:
        document = parse_json(text)
    except (ValueError, RecursionError) as error:
        raise ParcelError(f"the {what} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ParcelError(f"the {what} is not a JSON object")
    return document
