"""The fixtures in sessions of their own: what is missing skips, what fails shows logs."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.services.test_process import gone

ROOT = Path(__file__).parents[2]


def session(folder: Path, text: str, **environment: str) -> subprocess.Popen[str]:
    """Start pytest on a test file in a folder."""
    (folder / "test_it.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "tests.services.fixtures", "-rs"]
    command += ["-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(folder)]
    command += ["--basetemp", str(folder / "temporary"), str(folder / "test_it.py")]
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("PYTEST")}
    inherited |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=inherited | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_what_is_not_installed_skips_with_what_to_do(tmp_path: Path) -> None:
    text = "def test_it(s3): pass\ndef test_other(gcs): pass\ndef test_third(redis): pass\n"
    process = session(tmp_path, text, PATH="/nowhere", XDG_CACHE_HOME=str(tmp_path))
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "3 skipped" in said
    for name in ("weed", "fake-gcs-server", "redis-server"):
        assert f"no program '{name}' here: run scripts/install-test-services" in said


def test_a_failed_test_shows_the_log(tmp_path: Path) -> None:
    text = """
def test_it(redis, faults):
    import urllib.request
    (faults.folder / "a").write_bytes(b"123")
    urllib.request.urlopen(faults.url("a")).read()
    assert redis.port == 0
"""
    process = session(tmp_path, text)
    said, _ = process.communicate(timeout=120)
    if "1 skipped" in said:
        pytest.skip(said)
    assert "1 failed" in said
    assert "end of the log of redis" in said
    assert re.search(r"Ready to accept connections", said)
    assert re.search(r"Request\(method='GET', path='a', .*sent=3", said)


def test_one_server_for_all_tests_of_a_session(tmp_path: Path) -> None:
    text = """
import pytest
pids = set()
@pytest.mark.parametrize("number", range(3))
def test_it(redis, faults, number):
    pids.add(redis.process.pid)
    assert len(pids) == 1
    assert faults.log == []
    faults.script("a", then=None)
"""
    process = session(tmp_path, text)
    said, _ = process.communicate(timeout=120)
    if "skipped" in said:
        pytest.skip(said)
    assert "3 passed" in said


def test_a_killed_session_leaves_no_process(tmp_path: Path) -> None:
    text = """
from pathlib import Path
import time
def test_it(redis, tmp_path):
    part = Path(__file__).with_name("part")
    part.write_text(str(redis.process.pid))
    part.rename(part.with_name("pid"))
    time.sleep(60)
"""
    process = session(tmp_path, text)
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        if (tmp_path / "pid").exists():
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.05)
    said, _ = process.communicate(timeout=120)
    if "skipped" in said:
        pytest.skip(said)
    assert gone(int((tmp_path / "pid").read_text()))
