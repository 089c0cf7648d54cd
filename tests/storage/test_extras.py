import sys
from pathlib import Path

import pytest

from higgsdemo.errors import UsageError
from higgsdemo.storage.extras import optional


def test_what_is_there_is_imported():
    import json

    assert optional("json", "x", "u") is json


@pytest.mark.parametrize("module", ["no_such_package_here", "no_such_package_here.part"])
def test_what_is_missing_says_how_to_get_it(module: str):
    with pytest.raises(UsageError) as caught:
        optional(module, "xrootd", "root://h//f")
    assert caught.value.what == "a package is missing: no_such_package_here"
    assert "higgsdemo[xrootd]" in (caught.value.hint or "")


def test_a_broken_package_is_another_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "broken_here.py").write_text("import no_such_package_here\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError):
        optional("broken_here", "x", "u")
    sys.modules.pop("broken_here", None)
