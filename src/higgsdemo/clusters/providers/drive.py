"""Making and deleting clusters, all at once, whatever the provider.

Nothing is remembered between two calls: what is there is asked of the provider. So a command may
be killed at any instruction and repeated, and goes on where the world is.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from higgsdemo.clusters.kubeconfig import remove_entries, write_entries
from higgsdemo.clusters.providers.protocol import Found, Provider, State, Wanted
from higgsdemo.errors import HiggsdemoError, TransientError

PARALLEL = 16
PATIENCE_S = 45 * 60.0  # a cluster of many nodes takes minutes; longer than this, something is off
_TROUBLE_S = 300.0  # how long the provider may be out of reach


@dataclass(frozen=True, slots=True)
class Step:
    """Something changed: a cluster is now in this state, `seconds` after the start."""

    name: str
    state: State
    seconds: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended for one cluster. `done` is READY for creation, ABSENT for deletion."""

    name: str
    state: State
    seconds: float
    note: str = ""
    error: HiggsdemoError | None = None


Tell = Callable[[Step], None]


class _Job:
    """One cluster on its way to a state."""

    def __init__(
        self,
        provider: Provider,
        name: str,
        tell: Tell | None,
        patience_s: float,
        stop: threading.Event,
    ) -> None:
        self._provider = provider
        self._name = name
        self._tell = tell
        self._patience_s = patience_s
        self._stop = stop
        self._began = time.monotonic()
        self._last = (State.ABSENT, "")
        self._trouble: float | None = None  # since when the provider gives no answer
        self._error: TransientError | None = None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def say(self, state: State, note: str = "") -> None:
        if self._last != (state, note):
            self._last = (state, note)
            if self._tell:
                self._tell(Step(self._name, state, self.seconds, note))

    def run(self, step: Callable[[Found], str | None]) -> Ended:
        """Look and step until `step` returns its last word, patience ends, or it is refused."""
        found = Found(self._name, State.ABSENT)
        try:
            while not self._stop.is_set():
                try:
                    found = self._provider.look(self._name)
                    self.say(found.state, found.why)
                    note = step(found)
                    self._trouble = self._error = None
                except TransientError as error:
                    self._bear(error)
                    note = None
                if note is not None:
                    return Ended(self._name, found.state, self.seconds, note)
                if self.seconds > self._patience_s:
                    if self._error is not None:
                        raise self._error
                    raise HiggsdemoError(
                        f"cluster {self._name} is still {found.state} after"
                        f" {self.seconds / 60:.0f} minutes",
                        why=found.why or None,
                        hint="look at it in the provider's console, or wait: repeat the command",
                    )
                self._stop.wait(self._provider.poll_s * random.uniform(0.75, 1.25))
        except HiggsdemoError as error:
            return Ended(self._name, found.state, self.seconds, error=error)
        return Ended(self._name, found.state, self.seconds, "interrupted")

    def _bear(self, error: TransientError) -> None:
        """Wait out trouble with the provider, but not for ever."""
        now = time.monotonic()
        self._error = error
        if self._trouble is None:
            self._trouble = now
        if now - self._trouble > min(_TROUBLE_S, self._patience_s):
            raise error
        self.say(self._last[0], f"{error.what}: tried again")


def create_all(
    provider: Provider,
    wanted: Sequence[Wanted],
    *,
    kubeconfig: Path | None = None,
    tell: Tell | None = None,
    patience_s: float = PATIENCE_S,
) -> list[Ended]:
    """Make all these clusters at once and wait; write each into the kubeconfig when it is ready.

    One that is there already is used as it is. A failure of one does not stop the others. After
    KeyboardInterrupt what was begun goes on at the provider: repeat the call.
    """
    for one in wanted:
        provider.check(one)

    def work(one: Wanted, stop: threading.Event) -> Ended:
        job = _Job(provider, one.name, tell, patience_s, stop)
        return job.run(lambda found: _towards_ready(provider, one, found, kubeconfig))

    return _all(work, wanted)


def delete_all(
    provider: Provider,
    names: Iterable[str],
    *,
    kubeconfig: Path | None = None,
    tell: Tell | None = None,
    patience_s: float = PATIENCE_S,
) -> list[Ended]:
    """Delete all these clusters at once, wait until they are gone, and forget their contexts."""

    def work(one: Wanted, stop: threading.Event) -> Ended:
        job = _Job(provider, one.name, tell, patience_s, stop)
        return job.run(lambda found: _towards_absent(provider, found, kubeconfig))

    return _all(work, [Wanted(name) for name in names])


def _towards_ready(
    provider: Provider, wanted: Wanted, found: Found, kubeconfig: Path | None
) -> str | None:
    if found.state is not State.ABSENT and not found.ours:
        raise HiggsdemoError(
            f"there is a cluster {wanted.name} that higgsdemo did not make",
            hint="choose other names with --prefix, or use it as it is with --provider existing",
        )
    if found.state is State.FAILED and not found.broken:
        raise HiggsdemoError(
            f"cluster {wanted.name} failed",
            why=found.why or None,
            hint="delete it with clusters-delete, then repeat the command",
        )
    if found.state in (State.ABSENT, State.FAILED):
        provider.create(wanted)
        return None
    if found.state is State.READY:
        entry = provider.entry(wanted.name)
        if entry is not None:
            write_entries([entry], kubeconfig)
        return _otherwise(wanted, found)
    return None


def _otherwise(wanted: Wanted, found: Found) -> str:
    """Say where a cluster is not as wanted: it is not changed, because pods may run on it."""
    said = []
    if found.nodes and wanted.nodes and found.nodes != wanted.nodes:
        said.append(f"has {found.nodes} nodes, not {wanted.nodes}")
    if found.flavor and wanted.flavor and found.flavor != wanted.flavor:
        said.append(f"has machines of type {found.flavor}, not {wanted.flavor}")
    return "; ".join(said)


def _towards_absent(provider: Provider, found: Found, kubeconfig: Path | None) -> str | None:
    if found.state is State.ABSENT:
        remove_entries([found.name], kubeconfig)
        return ""
    if not found.ours:
        raise HiggsdemoError(
            f"cluster {found.name} was not made by higgsdemo and is left alone",
            hint="delete it with the provider's own tools, if it is yours",
        )
    if found.state is not State.DELETING:
        provider.delete(found.name)
    return None


def _all(work: Callable[[Wanted, threading.Event], Ended], wanted: Sequence[Wanted]) -> list[Ended]:
    stop = threading.Event()
    with ThreadPoolExecutor(min(PARALLEL, max(1, len(wanted))), "cluster") as pool:
        futures = [pool.submit(work, one, stop) for one in wanted]
        try:
            wait(futures)
        except BaseException:
            stop.set()
            raise
    return [future.result() for future in futures]
