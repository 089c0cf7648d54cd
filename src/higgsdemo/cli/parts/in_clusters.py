"""A run in clusters, followed to its end: by `run`, `resume` and `watch`."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from higgsdemo import executors
from higgsdemo.cli.parts.closing import close_run, summed
from higgsdemo.cli.parts.cluster_lines import LINE_EVERY_S, SILENT_S, JsonLines, Lines
from higgsdemo.cli.parts.console import err
from higgsdemo.display.tables import counts_line
from higgsdemo.errors import RunError, UsageError, nearest
from higgsdemo.ledger import COPY, Ledger, Manifest, RunDirectory
from higgsdemo.monitor import Monitor
from higgsdemo.monitor.gathering import known_versions

if TYPE_CHECKING:
    from higgsdemo.executors.kubernetes.reconcile import Reconciler
    from higgsdemo.executors.kubernetes.state import State

_PATIENCE_S = 30.0  # for what is under way when we end; what it had is kept
_WORDS = 5


def is_in_clusters(made: RunDirectory) -> bool:
    """Whether a run was submitted to clusters."""
    return made.record.get("executor") == "kubernetes"


def check_cluster(made: RunDirectory, name: str) -> None:
    """Raise UsageError, with the nearest names, unless a run was submitted to this cluster."""
    if not is_in_clusters(made):
        origin = made.record.get(COPY)
        raise UsageError(
            f"run {made.id} has no clusters of which one could be shown",
            where=str(made.path),
            why=f"its plan is from {origin}; clusters are followed where it was submitted"
            if origin
            else "it was not submitted to clusters",
            hint="leave --cluster out",
        )
    from higgsdemo.executors.kubernetes.settings import PodSettings

    known = PodSettings.of_record(made.record).clusters
    if name not in known:
        raise UsageError(
            f"run {made.id} is not in a cluster {name!r}",
            where=str(made.path),
            nearest=nearest(name, known),
            hint=f"it is in: {', '.join(known)}",
        )


@dataclass(frozen=True)
class Following:
    """How a run in clusters is followed. With `again`, what failed is tried again.

    `sinks` are those of the run as seen from here, where that differs from what pods see;
    `give_up` are clusters that will do no more.
    """

    kubeconfig: Path | None = None
    sinks: Sequence[str] = ()
    patience_s: float | None = None
    give_up: Sequence[str] = ()
    skip_bad_files: bool = False
    again: bool = False

    @contextlib.contextmanager
    def reconciling(
        self, made: RunDirectory, manifest: Manifest, ledger: Ledger
    ) -> Iterator[Reconciler]:
        """Open the reconciliation of a run that is held."""
        from higgsdemo.executors.kubernetes.engine import reconciling
        from higgsdemo.executors.kubernetes.reconcile import Manners

        if self.again:
            ledger.requeue_failed()
        with reconciling(
            made,
            ledger,
            kubeconfig=self.kubeconfig,
            sinks=self.sinks,
            versions=known_versions(manifest),
            manners=Manners() if self.patience_s is None else Manners(self.patience_s),
            skip_bad_files=self.skip_bad_files,
            give_up=self.give_up,
            release=self.again,
        ) as reconciler:
            yield reconciler


def follow_clusters(
    made: RunDirectory,
    following: Following,
    *,
    only: str | None = None,
    every_s: float | None = None,
    no_plot: bool = False,
    as_json: bool = False,
    report: bool = True,
) -> None:
    """Bring a run in clusters to its end, line by line, and close it, with a `report` or without.

    Raises RunError unless it is complete; interrupted, the clusters go on.
    """
    manifest = made.manifest()
    with made.driving(), made.ledger() as ledger:
        with contextlib.ExitStack() as stack:
            every = every_s or LINE_EVERY_S
            lines: Lines | JsonLines = Lines(only, every)
            if as_json:
                lines = JsonLines(stack.enter_context(Monitor(made)), only, every)
            reconciler = stack.enter_context(following.reconciling(made, manifest, ledger))
            try:
                outcome = reconciler.run(lines)
            except KeyboardInterrupt:
                _tell_interrupted(made, ledger)
                raise
        assert outcome is not None
        sums = summed(manifest, ledger)
    tasks = {task.id: task for task in manifest.tasks}
    with contextlib.nullcontext() if report else contextlib.redirect_stdout(io.StringIO()):
        close_run(made, tasks, outcome, sums, no_plot=no_plot, as_json=as_json)


def _tell_interrupted(made: RunDirectory, ledger: Ledger) -> None:
    err.print(
        f"interrupted: {counts_line(ledger.counts())}; the clusters go on\n"
        f"  [bold]what to do:[/] higgsdemo watch {made.id}"
    )


class Reconciling:
    """The same beside a screen, in a thread, until it is left (a context manager).

    If another process follows the run, this only says so (`notes`), and the screen looks on.
    """

    def __init__(self, made: RunDirectory, following: Following, only: str | None) -> None:
        self._made = made
        self._following = following
        self._only = only
        self._manifest = made.manifest()
        self._stop = threading.Event()
        self._held = contextlib.ExitStack()
        self._thread: threading.Thread | None = None
        self._words: list[str] = []
        self._state: State | None = None
        self._error: BaseException | None = None
        self.outcome: executors.Outcome | None = None
        self.looks_on = False

    def __enter__(self) -> Self:
        try:
            self._held.enter_context(self._made.driving())
        except RunError as error:
            self._words = [f"{error.what}: looking on"]
            if self._only is not None:
                self._words.append("pods are known where it is followed: all of it is shown here")
            self.looks_on = True
            return self
        self._thread = threading.Thread(target=self._work, name="reconciler", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_PATIENCE_S)
        self._held.close()

    def _work(self) -> None:
        try:
            with (
                self._made.ledger() as ledger,
                self._following.reconciling(self._made, self._manifest, ledger) as reconciler,
            ):
                self.outcome = reconciler.run(self, self._stop)
        except Exception as error:  # noqa: BLE001 - told by `check`, in the thread that shows
            self._error = error

    def on_state(self, state: State) -> None:
        """Keep what is to be shown."""
        self._words = [*self._words, *state.words][-_WORDS:]
        self._state = state

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to follow."""
        return self.outcome is not None or self._error is not None

    @property
    def notes(self) -> list[str]:
        """The clusters, a line each, and what was said last."""
        shown = [] if self._state is None else self._state.clusters
        lines = [
            f"{each.name}: {each.line}"
            + (" given up" if each.given_up else "")
            + (f" silent for {each.silent_s:.0f} s" if each.silent_s > SILENT_S else "")
            for each in shown
            if self._only in (None, each.name)
        ]
        return [*lines, *self._words]

    def check(self) -> None:
        """Raise what ended the following, if anything did."""
        if self._error is not None:
            raise self._error

    def close(self, *, no_plot: bool = False) -> None:
        """Close the run that has come to its end, see `follow_clusters`."""
        self.check()
        if self.outcome is None:
            return
        with self._made.look() as ledger:
            sums = summed(self._manifest, ledger)
        tasks = {task.id: task for task in self._manifest.tasks}
        close_run(self._made, tasks, self.outcome, sums, no_plot=no_plot, as_json=False)
