"""`notebook`: JupyterLab itself, on the loopback interface, behind a token."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.cli.notebook import source


def get(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url) as page:
            return page.status, json.loads(page.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, None


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_jupyterlab_opens_the_tour(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "discovery.ipynb").write_text("what I have changed")
    environment = {
        **os.environ,
        **{f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")},
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }
    program = subprocess.Popen(
        [sys.executable, "-m", "higgsdemo", "notebook", "--no-open", "--port", "0",
         "--folder", "mine"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert program.stdout is not None
    try:
        said = program.stdout.readline()
        found = re.search(r"(http://127\.0\.0\.1:\d+)/lab/tree/(.*)\?token=(\S+)", said)
        assert found is not None, said
        root, tour, token = found.groups()
        while True:
            assert program.poll() is None
            try:
                status, _ = get(f"{root}/api")
                break
            except urllib.error.URLError:
                time.sleep(0.2)
        assert status == 200
        assert get(f"{root}/api/contents?token=wrong")[0] == 403
        status, listed = get(f"{root}/api/contents?token={token}")
        assert status == 200
        assert {one["name"] for one in listed["content"]} == {"discovery.ipynb", tour}
        arguments = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
        for child in arguments:
            assert token.encode() not in Path(f"/proc/{child}/cmdline").read_bytes()
    finally:
        program.send_signal(signal.SIGINT)
        program.wait(timeout=100)
        program.stdout.close()
    assert (tmp_path / "mine" / "discovery.ipynb").read_text() == "what I have changed"
    with pytest.raises(urllib.error.URLError):
        get(f"{root}/api")


def test_the_notebooks_are_found() -> None:
    assert {path.name for path in source().glob("*.ipynb")} >= {"live-tour.ipynb"}


def test_without_jupyterlab_the_extra_is_named(
    higgsdemo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    said = higgsdemo("notebook", "--no-open")
    assert said.status == 2
    assert "pip install 'higgsdemo[notebook]'" in said.err


def test_a_port_in_use_gives_way_to_the_next_and_that_is_said(
    higgsdemo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended:
        def __init__(self, command: list[str], **_: object) -> None:
            self.command = command

        def wait(self) -> int:
            return 0

        def terminate(self) -> None:
            pass

    monkeypatch.setattr("higgsdemo.cli.notebook.subprocess.Popen", Ended)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = higgsdemo("notebook", "--no-open", "--port", port)
    assert f"port {port} is in use" in said.err
    assert f":{port}/" not in said.out
