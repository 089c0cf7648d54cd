"""One program of a cluster: started, killed, and started again as it was."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.services.process import Server, spawn, wait_until_ready

PATIENCE_S = 120.0


class Part:
    """A program with its command; `ready` says whether it does its work."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        folder: Path,
        ready: Callable[[], bool] = lambda: True,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._command = command
        self._folder = folder
        self._ready = ready
        self._environment = environment
        self._server: Server | None = None

    @property
    def process(self) -> Server:
        """The process that runs now, or ran last."""
        if self._server is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._server

    def start(self) -> None:
        """Start it, and do not wait."""
        log = self._folder / f"{self.name}.log"
        self._server = spawn(self.name, self._command, log, cwd=self._folder, env=self._environment)

    def wait(self, seconds: float = PATIENCE_S) -> None:
        """Wait until it is ready."""
        wait_until_ready(self.process, self._ready, seconds)

    def kill(self) -> None:
        """Kill it with SIGKILL; one that never started is fine."""
        if self._server is not None:
            self._server.kill()

    def restart(self) -> None:
        """Kill it and start it again, with its data and at its ports; wait until it is ready."""
        self.kill()
        self.start()
        self.wait()
