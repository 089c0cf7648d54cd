"""How outcomes travel, and what is not taken for one."""

import gzip
import hashlib
import json
from typing import Any

import pytest

from higgsdemo.errors import Cause, UsageError
from higgsdemo.model import Failure, Form, Result
from higgsdemo.sinks import parcel as module
from higgsdemo.sinks.parcel import (
    Parcel,
    ParcelError,
    check_run_id,
    failure_of,
    is_name,
    pack,
    result_name,
    stem,
    unpack,
)
from tests.ledger.builders import failure_of as make_failure
from tests.ledger.builders import make_task, result_of

RESULT = result_of(make_task(3), sections_seen={194050: [[1, 7]]})
NAME, PAYLOAD = pack(RESULT, "r1")
FORM = gzip.compress(RESULT.output.form.text + b"\n", compresslevel=6, mtime=0)
OTHER = Form(RESULT.output.form.axes, {})


def repack(change: Any, name: str = NAME, form: bytes = FORM) -> Parcel:
    """Unpack RESULT after its (header, content) text was changed."""
    head, content, _, _ = gzip.decompress(PAYLOAD).split(b"\n")
    return unpack(name, gzip.compress(b"%b\n%b\n" % change(head, content)) + form)


def test_a_result_comes_back_as_it_was() -> None:
    parcel = unpack(NAME, PAYLOAD)
    assert (parcel.run_id, parcel.is_result) == ("r1", True)
    assert parcel.document == json.loads(json.dumps(RESULT.pack())) == json.loads(parcel.text)
    assert parcel.form == RESULT.output.form
    assert Result.unpack(parcel.document, parcel.form).to_json() == RESULT.to_json()


def test_any_gzip_reads_its_lines() -> None:
    head, content, form, end = gzip.decompress(PAYLOAD).split(b"\n")
    assert json.loads(head)["run"] == "r1"
    assert json.loads(content)["form"] == hashlib.sha256(form).hexdigest()
    assert end == b""


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (b"", "no form"),
        (b"no gzip", "not gzip"),
        (FORM[:-1], "truncated"),
        (FORM + b"x", "followed by"),
        (FORM + FORM, "followed by"),
        (gzip.compress(OTHER.text + b"\n"), "content and form differ"),
        (gzip.compress(b"{}\n"), "not the form of a result"),
        (gzip.compress(b" " * 5_000_000), "more than 4 MiB"),
        (gzip.compress(b"{}"), "not as many lines"),
        (gzip.compress(b"{}\n{}\n"), "not as many lines"),
    ],
    ids=[
        "none",
        "nonsense",
        "cut",
        "longer",
        "twice",
        "another",
        "nothing",
        "bomb",
        "no line",
        "two lines",
    ],
)
def test_a_form_that_is_not_its_own(form: bytes, said: str) -> None:
    repack(lambda head, content: (head, content))
    with pytest.raises(ParcelError, match=said):
        repack(lambda head, content: (head, content), form=form)


def test_a_failure_has_no_form() -> None:
    name, payload = pack(make_failure(make_task(1)), "r")
    with pytest.raises(ParcelError, match="something else at its end"):
        unpack(name, payload + FORM)


def test_a_failure_comes_back_as_it_was() -> None:
    failure = Failure("0" * 16, Cause.BUG, "it\x1b[2J broke", "Traceback", {"host": "<b>"})
    name, payload = pack(failure, "r1")
    parcel = unpack(name, payload)
    assert not parcel.is_result
    assert failure_of(parcel.document) == failure


def test_the_same_outcome_is_the_same_bytes() -> None:
    assert pack(RESULT, "r1") == (NAME, PAYLOAD)
    assert pack(RESULT, "r2")[0] == NAME


def test_names() -> None:
    assert result_name(RESULT.task_id, RESULT.digest) == NAME
    failed, _ = pack(make_failure(make_task(1)), "r")
    assert is_name(NAME)
    assert is_name(failed)
    assert is_name(f"{NAME}-2")
    assert stem(f"{NAME}-2") == stem(NAME) == NAME
    for wrong in ("", "readme", NAME.upper(), f"{NAME}.x", f"{NAME}\n", "../" + NAME):
        assert not is_name(wrong)


@pytest.mark.parametrize("run", ["", ".", "-a", "a/b", "a:b", "a b", "\n", "a" * 64, "{a}", "a\n"])
def test_what_cannot_be_a_run(run: str) -> None:
    with pytest.raises(UsageError, match="name of a run"):
        check_run_id(run)
    with pytest.raises(UsageError):
        pack(RESULT, run)


@pytest.mark.parametrize("cut", [0, 1, 10, 100, len(PAYLOAD) - 9, len(PAYLOAD) - 1])
def test_cut_off(cut: int) -> None:
    with pytest.raises(ParcelError, match=r"truncated|not gzip"):
        unpack(NAME, PAYLOAD[:cut])


def test_any_flipped_bit_is_noticed() -> None:
    second = len(PAYLOAD) - len(FORM)
    for position in range(len(PAYLOAD)):
        if 4 <= position < 10 or 4 <= position - second < 10:
            continue  # the time and system in gzip's headers
        flipped = bytearray(PAYLOAD)
        flipped[position] ^= 4
        with pytest.raises(ParcelError):
            unpack(NAME, bytes(flipped))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x80\x04\x95pickle",
        b"{}",
        gzip.compress(b"", mtime=0),
        gzip.compress(b"{}\n", mtime=0),
        gzip.compress(b"[]\n[]\n", mtime=0),
        gzip.compress(b"{\n{}\n", mtime=0),
        gzip.compress(b"\xff\n{}\n", mtime=0),
        gzip.compress(b"[" * 100_000 + b"\n{}\n", mtime=0),
        gzip.compress(b'{"parcel": 2}\n{}\n', mtime=0),
        gzip.compress(b'{"parcel": 2, "run": 3, "result": {}}\n{}\n', mtime=0),
        gzip.compress(b'{"parcel": 2, "run": "r", "result": []}\n{}\n', mtime=0),
        PAYLOAD + b"more",
        PAYLOAD + PAYLOAD,
    ],
)
def test_what_is_no_parcel(payload: bytes) -> None:
    with pytest.raises(ParcelError):
        unpack(NAME, payload)


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    with pytest.raises(ParcelError, match="more than"):
        unpack(NAME, gzip.compress(b" " * 100_000))


def test_another_schema_is_named() -> None:
    with pytest.raises(ParcelError, match="schema 1, not 2"):
        repack(lambda head, content: (head.replace(b'"parcel": 2', b'"parcel": 1'), content))


def test_changed_content_does_not_fit_its_digest() -> None:
    with pytest.raises(ParcelError, match="differ"):
        repack(lambda head, content: (head, content.replace(b'"events":4', b'"events":5')))


def test_content_does_not_fit_another_name() -> None:
    other, _ = pack(result_of(make_task(4)), "r1")
    failed = NAME.replace(".", ".failed-")
    for name in (other, failed, "x"):
        with pytest.raises(ParcelError, match="it holds task"):
            repack(lambda head, content: (head, content), name)


def test_a_header_cannot_overrule_the_content() -> None:
    with pytest.raises(ParcelError, match="repeats"):
        repack(lambda h, c: (h.replace(b'"counters"', b'"events": 9, "counters"'), c))


@pytest.mark.parametrize(
    "wrong",
    [{"cause": "magic"}, {"message": 3}, {"traceback": []}, {"provenance": 3}, {"message": None}],
)
def test_a_failure_of_the_wrong_form(wrong: dict[str, Any]) -> None:
    document = make_failure(make_task(1)).to_json()
    with pytest.raises(ParcelError, match="not a failure"):
        failure_of(document | wrong)
