"""Collecting beside whatever else a command does."""

from pathlib import Path
from typing import Any

import pytest

from higgsdemo.monitor import gathering
from tests.monitor.builders import new_run


def test_a_bug_in_the_thread_is_raised_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_urls: Any) -> Any:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(gathering, "open_sinks", broken)
    run = new_run(tmp_path)
    with gathering.Gathering(run, ["file:///"]) as one:
        assert one._thread is not None
        one._thread.join()
        with pytest.raises(ZeroDivisionError, match="a bug"):
            one.check()
    assert not run.driven
