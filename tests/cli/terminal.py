"""A person at a terminal, who is asked something."""

import os
import pty
import select
import subprocess
import sys
import time

PATIENCE_S = 100


def in_terminal(answer: str, *words: object) -> tuple[int, str]:
    """Run `higgsdemo ...` in a pseudo terminal, and answer what it asks.

    Returns the exit status and all that was on the screen.
    """
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-m", "higgsdemo", *map(str, words)],
        stdin=theirs, stdout=theirs, stderr=theirs,
        env={**os.environ, "COLUMNS": "160", "TERM": "dumb"},
    )  # fmt: skip
    os.close(theirs)
    seen, answered = "", False
    deadline = time.monotonic() + PATIENCE_S
    try:
        while select.select([ours], [], [], max(0.0, deadline - time.monotonic()))[0]:
            try:
                came = os.read(ours, 65536)
            except OSError:  # it has ended
                break
            seen += came.decode(errors="replace")
            if not answered and "[y/N]:" in seen:
                os.write(ours, f"{answer}\n".encode())
                answered = True
        return program.wait(max(0.1, deadline - time.monotonic())), seen
    finally:
        program.kill()
        program.wait()
        os.close(ours)
