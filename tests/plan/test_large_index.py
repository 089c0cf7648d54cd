"""The 26,920 files of the 2019 demo, planned against an endpoint: nothing is asked of it."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.services.http_files import HttpServer

# Runs the program and says how much memory it had at most. VmHWM is this process's own: the
# kernel's ru_maxrss begins with that of whoever started it.
CHILD = """
import sys
from pathlib import Path
from higgsdemo.cli.main import app
sys.argv = ["higgsdemo", *sys.argv[1:]]
try:
    app()
except SystemExit as ended:
    status = Path("/proc/self/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    print(line.split()[1], file=sys.stderr)
    sys.exit(ended.code)
"""


def test_no_request_and_little_memory(
    shared_data: Path, tmp_path: Path, http_files: HttpServer
) -> None:
    with tarfile.open(shared_data / "file-indexes.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    http_files.forget()
    ended = subprocess.run(
        [
            *(sys.executable, "-c", CHILD, "plan", str(tmp_path / "file-indexes")),
            *("--workflow", "scripted", "--storage-host", http_files.endpoint, "--anonymous"),
        ],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True, text=True, check=True, timeout=200,
    )  # fmt: skip
    assert "26,920 tasks of 26,920 files" in ended.stdout
    assert http_files.requests() == []
    assert int(ended.stderr.split()[-1]) * 1024 < 200e6
