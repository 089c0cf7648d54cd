"""Planning the 26,920 files of the 2019 demo: `python benchmarks/plan.py [--rounds N] [--check]`.

The real file indexes are taken from `../shared/data/file-indexes.tar.gz`, or the archive that is
named; without one, as many names are made up. The whole program is timed, `higgsdemo plan` with
an endpoint that counts what it is asked, in the plain and in the JSON form; its memory is the
peak of the process. The 2019 demo's own samples are AOD: they are planned as `nanoaod` here, since
what reads AOD comes with an engine of its own.
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path

import yaml

ARCHIVE = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "file-indexes.tar.gz"
FILES = 26_920
SECONDS, MEGABYTES = 3.0, 200.0
CHILD = """
import sys
from pathlib import Path
from higgsdemo.cli.main import app
sys.argv[0] = "higgsdemo"
try:
    app()
finally:
    status = Path("/proc/self/status").read_text()
    print(next(line for line in status.splitlines() if line.startswith("VmHWM")), file=sys.stderr)
"""


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Refuses everything, and counts it."""

    asked = 0

    def do_GET(self) -> None:
        Endpoint.asked += 1
        self.send_error(404)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


def sample_set(folder: Path, archive: Path) -> tuple[Path, int]:
    """Write a set of all indexes; return it and the number of files."""
    indexes = folder / "file-indexes"
    if archive.is_file():
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
    else:
        indexes.mkdir()
        for part in range(68):
            first, last = FILES * part // 68, FILES * (part + 1) // 68
            (indexes / f"CMS_Run2012B_Made-up_AOD_{part}_file_index.txt").write_text(
                "".join(
                    f"s3/higgs-demo/eos/opendata/cms/Run2012B/Made-up/AOD/22Jan2013-v1/{part:05d}/"
                    f"{number:08X}-6CD9-E211-B3E2-1CC1DE041FD8.root\n"
                    for number in range(first, last)
                )
            )
    paths = sorted(indexes.glob("*.txt"))
    count = sum(len(path.read_text().split()) for path in paths)
    # One sample an index: the files of a dataset lie in several.
    samples = [
        {"name": path.stem, "group": "data", "luminosity_pb": 1.0, "index": str(path)}
        for path in paths
    ]
    made = folder / "set.yaml"
    made.write_text(yaml.safe_dump({"samples": samples}))
    return made, count


def measure(words: list[str]) -> tuple[float, float, str]:
    """Return seconds, MB and output of one call of the program."""
    began = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-c", CHILD, *words], capture_output=True, text=True, check=True,
        env={**os.environ, "COLUMNS": "120"},
    )  # fmt: skip
    seconds = time.perf_counter() - began
    return seconds, int(ended.stderr.split()[-2]) * 1024 / 1e6, ended.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description="Time the plan of 26,920 files.")
    parser.add_argument("--archive", type=Path, default=ARCHIVE, help="tar of file indexes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--check", action="store_true", help="exit 1 if a goal is missed")
    chosen = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"http://127.0.0.1:{server.server_address[1]}"
    with tempfile.TemporaryDirectory() as folder:
        path, count = sample_set(Path(folder), chosen.archive)
        words = ["plan", str(path), "--storage-host", host, "--anonymous"]
        start = min(measure(["--version"])[0] for _ in range(chosen.rounds))
        print(f"{count} files, best of {chosen.rounds}; the program alone starts in {start:.2f} s")
        print(f"{'':8}{'time':>10}{'goal':>8}{'memory':>12}{'goal':>10}")
        met = True
        for name, more in (("table", []), ("JSON", ["--json"])):
            rounds = [measure([*words, *more]) for _ in range(chosen.rounds)]
            seconds, megabytes = min(one[0] for one in rounds), max(one[1] for one in rounds)
            if more:
                assert len(json.loads(rounds[0][2])["tasks"]) == count
            row = f"{seconds:8.2f} s{SECONDS:6.0f} s{megabytes:9.0f} MB{MEGABYTES:7.0f} MB"
            print(f"{name:8}{row}")
            met &= bool(more) or (seconds < SECONDS and megabytes < MEGABYTES)
    server.shutdown()
    print(f"requests to the endpoint: {Endpoint.asked} (goal: 0)")
    met &= Endpoint.asked == 0
    print("goals met" if met else "A GOAL IS MISSED")
    return 1 if chosen.check and not met else 0


if __name__ == "__main__":
    sys.exit(main())
