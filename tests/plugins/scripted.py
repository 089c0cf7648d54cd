"""A workflow for tests: each input file is a JSON script that says how the task behaves.

It is found by its entry point, as anybody's own workflow is.
"""

import ctypes
import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from higgsdemo.errors import CredentialsError, InputError, TransientError
from higgsdemo.model import Axis, Histogram, Output, Task
from higgsdemo.storage import Source

AXIS = Axis(10, 0.0, 10.0, "x", "")


def hang(source: Source) -> None:
    """Read from a disk that does not answer: in the kernel, from a pipe that nobody writes to."""
    silent, _ = os.pipe()
    pread = os.pread
    os.pread = lambda *_: os.read(silent, 1)
    try:
        source.read([(0, source.size)])
    finally:
        os.pread = pread


class Scripted:
    name = "scripted"
    version = "1"
    title = "does what its input says"
    formats = ("nanoaod", "aod")
    options: ClassVar[dict[str, object]] = {}

    def process(self, task: Task, sources: Sequence[Source]) -> Output:
        events = 0
        for source in sources:
            (text,) = source.read([(0, source.size)])
            script = json.loads(bytes(text))
            self.act(script, Path(source.url))
            if script.get("do") == "hang" and self.first(source):
                hang(source)
            events += script["events"]
            if script.get("do") == "numpy":
                events = np.int64(events)
        histogram = Histogram.of(AXIS, [float(i % 10) for i in range(events)])
        return Output(
            events=events,
            histograms={"4mu/x": histogram},
            cutflow={"4mu": (("all events", events),)},
            bytes_read=sum(source.size for source in sources),
        )

    def first(self, source: Source) -> bool:
        return len(Path(source.url).with_suffix(".tally").read_text()) == 1

    def act(self, script: dict[str, object], path: Path) -> None:
        """Misbehave, the first `times` times."""
        tally = path.with_suffix(".tally")
        tally.write_text(tally.read_text() + "x" if tally.exists() else "x")
        if len(tally.read_text()) > script.get("times", 1_000_000):
            return
        time.sleep(script.get("sleep", 0))
        match script.get("do", "well"):
            case "tell":
                told = path.with_suffix(".told")
                lines = [os.environ.get(name, "unset") for name in script["variables"]]
                before = told.read_text() if told.exists() else ""
                told.write_text(before + "".join(f"{line}\n" for line in lines))
                if script.get("then") == "bad":
                    raise InputError("the file is damaged", where=str(path))
            case "crash":
                ctypes.string_at(0)
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "leave":
                os._exit(3)
            case "bug":
                raise ZeroDivisionError("a mistake in the workflow")
            case "bad":
                raise InputError("the file is damaged", where=str(path))
            case "locked out":
                raise CredentialsError("the token has expired", where=str(path))
            case "transient":
                raise TransientError("the server is busy", where=str(path))
            case "hog":
                held = bytearray(int(script["hog"]))
                time.sleep(1)
                del held


class Whole:
    """A workflow that hands its files to another program."""

    name = "whole"
    version = "1"
    title = "counts the bytes of files with another program"
    formats = ("nanoaod", "aod")
    options: ClassVar[dict[str, object]] = {}
    needs_files = True

    def process(self, task: Task, sources: Sequence[Source]) -> Output:
        count = 0
        for source in sources:
            said = subprocess.run(
                ["wc", "-c", source.path], capture_output=True, text=True, check=True
            )
            count += int(said.stdout.split()[0])
        return Output(
            events=count, histograms={}, cutflow={}, bytes_read=sum(s.bytes_read for s in sources)
        )
