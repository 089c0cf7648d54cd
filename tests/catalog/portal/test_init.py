import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from higgsdemo.catalog import portal

PAGES = Path(__file__).parents[3] / "docs" / "how-to"


def test_all_names_are_there() -> None:
    assert [name for name in portal.__all__ if not hasattr(portal, name)] == []


@pytest.mark.parametrize("page", ["open-data-portal.md", "luminosity.md"])
def test_the_pages_import_what_there_is(page: str) -> None:
    text = (PAGES / page).read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    imports = [
        (node.module, name.name)
        for block in blocks
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    ]
    assert imports
    for module, name in imports:
        assert hasattr(importlib.import_module(str(module)), name)


def test_it_imports_without_the_client_and_without_requests() -> None:
    code = (
        "import sys; sys.modules['cernopendata_client'] = None; import higgsdemo.catalog.portal; "
        "sys.exit('requests' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
