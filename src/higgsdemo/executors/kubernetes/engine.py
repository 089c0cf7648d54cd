"""A run in clusters, opened from its record: what `watch`, `resume` and `run` drive."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from higgsdemo.clusters import Cluster
from higgsdemo.clusters.wire import Patience
from higgsdemo.errors import UsageError, nearest
from higgsdemo.executors.kubernetes.reconcile import Manners, Reconciler
from higgsdemo.executors.kubernetes.settings import PodSettings
from higgsdemo.executors.kubernetes.sites import WATCH_S, ClusterSite
from higgsdemo.ledger import Collector, Ledger, RunDirectory
from higgsdemo.ledger.placements import JobState, Placements
from higgsdemo.sinks import open_sinks

# A cluster that does not answer is asked again by its own thread: requests need not wait long.
_PATIENCE = Patience(total_s=20.0, connect_s=5.0)


def open_clusters(
    contexts: Sequence[str], kubeconfig: Path | None = None, patience: Patience | None = None
) -> dict[str, Cluster]:
    """Open clusters by their contexts; UsageError with the nearest names for one not known."""
    return {name: Cluster.open(name, kubeconfig, patience) for name in contexts}


@contextmanager
def reconciling(
    run: RunDirectory,
    ledger: Ledger,
    *,
    kubeconfig: Path | None = None,
    sinks: Sequence[str] = (),
    versions: Mapping[str, str] | None = None,
    manners: Manners | None = None,
    give_up: Sequence[str] = (),
    slots: Mapping[str, int] | None = None,
    skip_bad_files: bool = False,
    release: bool = False,
) -> Iterator[Reconciler]:
    """Open the reconciliation of a run; the caller holds the run (`RunDirectory.driving`).

    `sinks` are those of the run as seen from here, where that differs from what pods see;
    `give_up` are clusters that will do no more. RunError if the run is not one of clusters.
    """
    settings = PodSettings.of_record(run.record)
    if skip_bad_files:
        settings = dataclasses.replace(settings, skip_bad_files=True)
    manifest = run.manifest()
    # Clusters that are out of the configuration, e.g. deleted ones, can still be given up.
    known = _contexts(ledger, settings)
    for name in give_up:
        if name not in known:
            raise UsageError(
                f"cluster {name!r} has nothing of run {run.id}", nearest=nearest(name, known)
            )
    contexts = [name for name in known if name not in give_up]
    manners = manners or Manners()
    with ExitStack() as stack:
        opened = [
            stack.enter_context(sink) for sink in open_sinks(list(sinks) or list(settings.sinks))
        ]
        placements = Placements(ledger)
        lost = {job.cluster for job in placements.jobs() if job.state is JobState.GIVEN_UP}
        clusters: dict[str, Cluster] = {}
        for name in contexts:
            try:
                clusters |= open_clusters([name], kubeconfig, _PATIENCE)
            except UsageError:  # given up once, and now out of the configuration: nobody to tell
                if name not in lost:
                    raise
        for name in give_up:
            placements.give_up(name, f"cluster {name} was declared lost")
        # Quiet clusters are to be heard several times before they count as silent.
        watch_s = min(WATCH_S, manners.patience_s / 3)
        sites = {
            name: ClusterSite(cluster, settings.namespace, run.id, watch_s)
            for name, cluster in clusters.items()
        }
        yield stack.enter_context(
            Reconciler(
                ledger,
                manifest,
                settings,
                sites,
                lambda again: Collector(ledger, manifest, *opened, versions=versions, again=again),
                manners=manners,
                slots=slots or run.record.get("slots"),
                release=release,
            )
        )


def _contexts(ledger: Ledger, settings: PodSettings) -> list[str]:
    placed = [job.cluster for job in Placements(ledger).jobs()]
    return list(dict.fromkeys([*settings.clusters, *placed]))
