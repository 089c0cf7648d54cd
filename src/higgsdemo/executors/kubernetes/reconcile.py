"""Bringing a run in clusters to its end: what clusters say and sinks have, into the ledger.

Detached by nature: clusters go on without us, and any process may take this up where another was
killed. The ledger says what is placed where; sinks bring results; the status of Jobs says what is
done and failed. What ends without a result is judged, and placed anew as a further job.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from higgsdemo.errors import Cause, HiggsdemoError, TransientError
from higgsdemo.executors.drive import Outcome, Policy
from higgsdemo.executors.kubernetes.followed import everything, starts
from higgsdemo.executors.kubernetes.judge import judge, unexplained
from higgsdemo.executors.kubernetes.placing import Placer
from higgsdemo.executors.kubernetes.relief import Relief
from higgsdemo.executors.kubernetes.resharing import Resharer
from higgsdemo.executors.kubernetes.settings import PodSettings
from higgsdemo.executors.kubernetes.sites import Seen, Site
from higgsdemo.executors.kubernetes.state import ClusterState, State, cluster_state
from higgsdemo.executors.kubernetes.waiting import Waiting
from higgsdemo.ledger import Collector, Ledger, Manifest
from higgsdemo.ledger.placements import JobState, Placements, Verdict
from higgsdemo.model import Failure

TICK_S = 0.5  # from one look to the next, at least
LONGEST_TICK_S = 5.0
BUSY = 0.05  # of a core at most, in looks at large runs
ORDERED_AGAIN_S = 30.0  # after this a cluster is told again to hold jobs, or let them go on
WAITING_ASKED_S = 20.0  # how often a cluster is asked why pods wait


class Watcher(Protocol):
    """Somebody who watches a run in clusters."""

    def on_state(self, state: State) -> None:
        """Hear how the run is, twice a second at most, and more seldom if it is large."""
        ...


@dataclass(frozen=True)
class Manners:
    """How the reconciliation behaves, s.

    `patience_s`: a cluster silent for longer is given up, its tasks go to others. `refused_s`: so
    long a cluster may refuse us (a server that starts does) before that counts. `full_s`: one that
    has run no pod for longer, though it has some to run, is given up while another has nothing to
    do. `grace_s`: what ended without a result is waited for so long. `wave_s`: tasks are placed
    anew at most so often, and twice as long apart each time up to `longest_wave_s`, so that jobs
    stay few; or after `wave_s` where nothing else is left to do.
    """

    patience_s: float = 300.0
    refused_s: float = 30.0
    grace_s: float = 5.0
    full_s: float = 120.0
    wave_s: float = 5.0
    longest_wave_s: float = 120.0


class Reconciler:
    """Follows a run in its clusters. A context manager that ends its threads.

    `sites` are the clusters by name; `slots`, how many pods run at once in each, where known.
    `collector` makes the reader of the run's sinks, given what says whether a failed task is
    tried again. With `release`, jobs that are held go on.
    """

    def __init__(
        self,
        ledger: Ledger,
        manifest: Manifest,
        settings: PodSettings,
        sites: Mapping[str, Site],
        collector: Callable[[Callable[[Failure], bool]], Collector],
        *,
        manners: Manners | None = None,
        slots: Mapping[str, int] | None = None,
        release: bool = False,
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._sites = dict(sites)
        self._manners = manners or Manners()
        self._policy = Policy(
            tries=settings.tries,
            skip_bad_files=settings.skip_bad_files,
            memory_bytes=settings.memory_bytes,
            memory_cap_bytes=settings.memory_cap_bytes,
        )
        self._placements = Placements(ledger)
        self._collector = collector(self._again)
        self._placer = Placer(
            manifest.run_id,
            {task.id: task for task in manifest.tasks},
            settings,
            self._policy,
            self._placements,
            Waiting(ledger, self._placements),
            self._sites,
            dict(slots or {}),
            self._say,
            wave_s=self._manners.wave_s,
            longest_wave_s=self._manners.longest_wave_s,
        )
        self._relief = Relief(self._placer, self._manners.full_s)
        self._resharer = Resharer(self._placer, self._sites, settings, dict(slots or {}), self._say)
        self._to_release = set(self._sites) if release and not settings.queue_name else set()
        # Clusters whose jobs were told to stop (True) or to go on, and when, monotonic.
        self._ordered: dict[tuple[str, bool], tuple[float, Future[None]]] = {}
        self._waiting: dict[str, Future[tuple[str, ...]]] = {}
        self._reasons: dict[str, tuple[str, ...]] = {}
        self._asked_at: dict[str, float] = {}
        self._looked_at = 0.0  # when the last look at all sinks began, monotonic
        self._told: set[str] = set()
        self._words: list[str] = []
        self._stopped_by = self._stopped_before()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for site in self._sites.values():
            site.close()

    # -- the loop ---------------------------------------------------------------------------------

    def run(self, watcher: Watcher, stop: threading.Event | None = None) -> Outcome | None:
        """Follow the run until all its tasks have ended, or it stops; return how it ended.

        None if it was told to `stop` before: the clusters go on. Raises TransientError if all
        clusters are given up, and CredentialsError if all that are left refuse us.
        """
        pause = stop or threading.Event()
        while not pause.is_set():
            began = time.thread_time()
            state = self.step()
            watcher.on_state(state)
            if self._stopped_by is not None:
                self._hold()
                return Outcome(self._ledger.counts(), self._stopped_by)
            if state.counts.ended:
                return Outcome(state.counts)
            if not set(self._sites) - self._placer.given_up:
                raise TransientError(
                    "no cluster is left for the run",
                    why=f"all are given up: {', '.join(sorted(self._placer.given_up))}",
                    hint="what is done is kept; start a new run in clusters that answer",
                )
            took = time.thread_time() - began
            pause.wait(min(max(TICK_S, took / BUSY), LONGEST_TICK_S))
        return None

    def step(self) -> State:
        """Look once at sinks and clusters, note what is new, ask for what is to be done."""
        seen = {name: site.seen() for name, site in self._sites.items()}
        self._look()
        if self._stopped_by is None:
            self._drop_silent(seen)
            self._follow_jobs(seen)
        if self._stopped_by is None:
            self._placer.place_anew(seen)
            self._placer.make_planned()
            self._hold_and_release(seen)
            self._resharer.follow(seen)
            self._relief.follow(seen, self._reasons)
        self._ask_why(seen)
        words, self._words = tuple(self._words), []
        return State(self._ledger.counts(), self.clusters(seen), words)

    def clusters(self, seen: Mapping[str, Seen] | None = None) -> tuple[ClusterState, ...]:
        """Return the state of each cluster."""
        seen = seen or {name: site.seen() for name, site in self._sites.items()}
        sizes: dict[str, dict[str, int]] = {name: {} for name in self._sites}
        for job in self._placer.jobs.values():
            if job.placed.cluster in sizes:
                sizes[job.placed.cluster][job.placed.name] = len(job.placed.indexes)
        return tuple(
            cluster_state(
                name,
                seen[name],
                mine,
                given_up=name in self._placer.given_up,
                waiting=self._reasons.get(name, ()),
            )
            for name, mine in sizes.items()
        )

    def give_up(self, cluster: str, why: str) -> None:
        """Take all unfinished tasks from a cluster; they go to others. Results still count."""
        self._placer.give_up(cluster, why)

    # -- sinks ------------------------------------------------------------------------------------

    def _look(self) -> None:
        grace = self._manners.grace_s
        jobs = self._placer.jobs.values()
        everywhere = any(job.wants_look(self._looked_at, grace) for job in jobs)
        began = time.monotonic()
        try:
            came = self._collector.look(everywhere=everywhere)
        except TransientError as error:
            self._say(f"waiting for the sink: {error.why or error.what}")
            return
        if everywhere:
            self._looked_at = began
        if came.anything:
            self._placements.name_places()
        if came.failures or came.alarms:
            self._placer.waiting.renew()
        for url, silence in self._collector.silent.items():
            self._say(f"{url} is silent: {silence.why or silence.what}")
        if came.emptied:
            self._say("the sink came back without what it held; what is missing is done again")
        if came.alarms:
            self._stopped_by = Failure("", Cause.BUG, self._ledger.alarms()[-1])

    def _again(self, failure: Failure) -> bool:
        """Say whether a task whose worker delivered a failure is tried again."""
        counted = failure.cause is not Cause.PREEMPTED
        again = self._policy.again(failure, self._ledger.tries(failure.task_id) + counted)
        if not again:
            self._perhaps_stop(failure)
        return again

    def _perhaps_stop(self, failure: Failure) -> None:
        if self._policy.stops(failure) and (self._stopped_by is None or failure.cause is Cause.BUG):
            self._stopped_by = failure

    def _stopped_before(self) -> Failure | None:
        """Return what stopped the run when another process followed it."""
        for cause in (Cause.BUG, Cause.CREDENTIALS, Cause.BAD_INPUT):
            if not self._policy.stops(Failure("", cause, "")):
                continue
            for task_id, _, _ in self._ledger.failed(cause):
                said = [each for each in self._ledger.attempts(task_id) if each["message"]]
                message = str(said[-1]["message"]) if said else str(cause)
                return Failure(task_id, cause, message, said[-1]["traceback"] if said else None)
        return None

    # -- clusters ---------------------------------------------------------------------------------

    def _drop_silent(self, seen: Mapping[str, Seen]) -> None:
        """Give up clusters that were silent too long, if any other is left to do their work."""
        patience = self._manners.patience_s
        active = {name: what for name, what in seen.items() if name not in self._placer.given_up}
        self._tell_refusals(active)
        for name, what in active.items():
            if what.silent_s < patience:
                continue
            if any(other.silent_s < patience for other in active.values()):
                why = f"silent for {patience:.0f} s ({what.problem or 'no answer'})"
                self.give_up(name, why)
            else:
                why = what.problem or "no answer"
                self._say(f"cluster {name} is silent ({why}), and there is no other: waiting")

    def _tell_refusals(self, active: Mapping[str, Seen]) -> None:
        """Say which clusters refuse us; where none is left that does not, end with its reason."""
        refusing = {
            name: what.refusal
            for name, what in active.items()
            if what.refusal is not None and what.silent_s >= self._manners.refused_s
        }
        for name, refusal in refusing.items():
            self._say(f"cluster {name} refuses: {refusal.why or refusal.what}")
        if refusing and len(refusing) == len(active):
            raise next(iter(refusing.values()))

    def _follow_jobs(self, seen: Mapping[str, Seen]) -> None:
        """Judge what clusters say of the jobs whose tasks are waited for."""
        jobs = self._placer.jobs
        waiting = self._placer.waiting
        changed = waiting.refresh()
        known = waiting.known
        verdicts: list[Verdict] = []
        running: list[tuple[str, str]] = []
        pausing: list[str] = []
        for number, job in jobs.items():
            site = seen.get(job.placed.cluster)
            status = None if site is None else site.jobs.get(job.placed.name)
            if number not in changed and not job.has_news(status):
                continue
            mine = waiting.of(number)
            job.judged = status
            if not mine or site is None:
                job.forget()
                continue
            if status is not None:
                job.seen = True
                if job.placed.state is JobState.PLANNED and job.making is None:
                    self._placer.mark_placed(job)
            elif not job.is_gone(site):
                continue
            began, paused = starts(job.placed, status, mine)
            running += began
            pausing += paused
            found = judge(job.placed, status, mine, known, everything(status), self._policy)
            job.suspect(found)
            if status is not None:
                job.ask(
                    self._sites[job.placed.cluster], unexplained(job.placed, status, mine, known)
                )
            ripe = job.ripe(self._looked_at, self._manners.grace_s)
            if ripe:
                found = judge(job.placed, status, mine, known, job.endings, self._policy)
                verdicts += [verdict for verdict in found if verdict.task_id in ripe]
        if running or pausing:
            self._placements.show_running(running, pausing)
            waiting.note_running([task for task, _ in running], pausing)
        self._settle(verdicts)

    def _settle(self, verdicts: Sequence[Verdict]) -> None:
        if not verdicts:
            return
        for verdict in self._placements.settle(verdicts):
            if verdict.failure is not None and not verdict.again:
                self._perhaps_stop(verdict.failure)
        self._placements.name_places()  # before another job has what is done again
        self._placer.waiting.renew()

    def _hold(self) -> None:
        """Have all clusters hold what is left of a run that stopped."""
        # What is made after that would run: what is not begun is not made, the rest waited for.
        wait([making for making in self._under_way() if not making.cancel()], timeout=20)
        asked = [site.suspend(self._names(name), hold=True) for name, site in self._sites.items()]
        for each in asked:
            with contextlib.suppress(HiggsdemoError, TimeoutError):
                each.result(timeout=20)
        self._ledger.recover()

    def _hold_and_release(self, seen: Mapping[str, Seen]) -> None:
        """Stop what clusters that were given up still do; let go on what was held."""
        for name, what in seen.items():
            if not what.listed_at or what.silent_s > TICK_S * 20:
                continue
            given_up = name in self._placer.given_up
            if given_up:
                if not self._under_way(name):  # a job that is made after that would run
                    self._order(name, self._names(name), hold=True)
            elif name in self._to_release:
                held = [job.name for job in what.jobs.values() if job.suspended]
                if not held or self._order(name, held, hold=False):
                    self._to_release.discard(name)

    def _order(self, cluster: str, jobs: Sequence[str], *, hold: bool) -> bool:
        """Tell a cluster to hold jobs, or let them go on, until it has; return whether it has."""
        known = self._ordered.get((cluster, hold))
        if known is not None:
            asked_at, asked = known
            if not asked.done() or asked.exception() is None:
                return asked.done()
            if time.monotonic() - asked_at < ORDERED_AGAIN_S:
                return False
        answer = self._sites[cluster].suspend(jobs, hold=hold)
        self._ordered[cluster, hold] = time.monotonic(), answer
        return False

    def _under_way(self, cluster: str | None = None) -> list[Future[None]]:
        """Return what clusters (or one) are still making."""
        jobs = self._placer.jobs.values()
        return [
            job.making
            for job in jobs
            if job.making is not None and cluster in (None, job.placed.cluster)
        ]

    def _names(self, cluster: str) -> list[str]:
        jobs = self._placer.jobs.values()
        return [job.placed.name for job in jobs if job.placed.cluster == cluster]

    # -- words ------------------------------------------------------------------------------------

    def _ask_why(self, seen: Mapping[str, Seen]) -> None:
        """Ask clusters whose pods wait what for, now and then; tell each reason once."""
        now = time.monotonic()
        for name, site in self._sites.items():
            asked = self._waiting.get(name)
            if asked is not None and asked.done():
                del self._waiting[name]
                with contextlib.suppress(HiggsdemoError):
                    self._reasons[name] = asked.result()
                    for reason in self._reasons[name]:
                        self._say(f"cluster {name}: pods wait: {reason}")
            jobs = seen[name].jobs.values()
            if not any(job.waits for job in jobs):
                self._reasons.pop(name, None)
                self._asked_at[name] = now
            elif asked is None and now - self._asked_at.setdefault(name, now) > WAITING_ASKED_S:
                self._asked_at[name] = now
                self._waiting[name] = site.why_waiting()

    def _say(self, word: str) -> None:
        """Tell something once."""
        if word not in self._told:
            self._told.add(word)
            self._words.append(word)
