import importlib
import json
import sys
import zlib
from pathlib import Path

import pytest

from higgsdemo.ledger import packing
from tests.ledger.builders import make_task, new_ledger, result_of

DOCUMENT = {"histograms": {"4mu/m4l": [0] * 100}, "events": 7}


def test_any_zlib_reads_it_and_what_any_zlib_wrote_is_read() -> None:
    text = json.dumps(DOCUMENT).encode()
    assert zlib.decompress(packing.deflate(text)) == text
    assert packing.unpack(zlib.compress(text)) == DOCUMENT


def test_without_isal_the_standard_library_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    plain = importlib.reload(packing)
    try:
        assert plain._fastest is zlib
        assert plain.unpack(plain.deflate(json.dumps(DOCUMENT).encode())) == DOCUMENT
    finally:
        monkeypatch.undo()
        importlib.reload(packing)


def test_a_ledger_keeps_the_document_as_it_came(tmp_path: Path) -> None:
    task = make_task(3)
    with new_ledger(tmp_path, [task]) as ledger:
        ledger.deliver(result_of(task))
        (document,) = ledger.documents()
    assert document == json.loads(json.dumps(result_of(task).pack()))
