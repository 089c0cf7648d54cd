"""What a terminal shows while something goes on, and clears at its end; in a pipe, nothing."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self


class Live(Protocol):
    """What rich keeps drawing: `rich.live.Live`, `rich.progress.Progress`."""

    def start(self) -> None:
        """Begin to draw."""
        ...

    def stop(self) -> None:
        """Draw no more."""
        ...


class Shown:
    """Shows something as long as it is open (a context manager); None where nothing is drawn."""

    def __init__(self, live: Live | None) -> None:
        self._shown = live

    def __enter__(self) -> Self:
        if self._shown:
            self._shown.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown:
            self._shown.stop()
