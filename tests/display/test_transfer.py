"""What a transfer says of itself while it runs."""

import io

from rich.console import Console

from higgsdemo.display.transfer import TransferProgress
from higgsdemo.transfer import State


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_rate_and_time_left_are_those_of_the_last_seconds() -> None:
    clock, said = Clock(), io.StringIO()
    state = State(files=10, bytes=1_000_000_000, bytes_here=100_000_000)
    with TransferProgress(Console(file=said, width=200), clock) as progress:
        progress.watch(state)
        assert said.getvalue() == ""
        for _ in range(10):  # slow at first
            clock.now += 10
            state.bytes_moved += 1_000_000
            progress.watch(state)
        for _ in range(4):
            clock.now += 10
            state.bytes_moved += 100_000_000
            state.files_done += 1
            progress.watch(state)
        state.files_failed = 1
        line = progress.line(state)
    assert line == ("4 of 10 files, 1 failed, 510 MB of 1 GB, 10 MB/s, about 49 s left")
    assert said.getvalue().splitlines()[-1].startswith("4 of 10 files, 510 MB of 1 GB")


def test_in_a_terminal_there_is_a_bar_that_goes_away() -> None:
    said = io.StringIO()
    console = Console(file=said, width=100, force_terminal=True)
    with TransferProgress(console) as progress:
        progress.watch(State(files=1, bytes=0))
    assert "0 of 1 files" in said.getvalue()
