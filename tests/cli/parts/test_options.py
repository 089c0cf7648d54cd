"""Values of options."""

import pytest

from higgsdemo.cli.parts.options import key_values, memory_bytes
from higgsdemo.errors import UsageError


def test_memory_takes_the_usual_units() -> None:
    assert memory_bytes("2GB") == 2_000_000_000
    assert memory_bytes("512MiB") == 512 * 1024**2
    assert memory_bytes("0") == 0


@pytest.mark.parametrize("text", ["", "much", "2 XB", "-1GB"])
def test_memory_refuses_the_rest(text: str) -> None:
    with pytest.raises(UsageError):
        memory_bytes(text)


def test_key_values() -> None:
    assert key_values(["a=1", "b=x=y"], "--option") == {"a": "1", "b": "x=y"}
    for wrong in ("a", "=1"):
        with pytest.raises(UsageError, match="KEY=VALUE"):
            key_values([wrong], "--option")
