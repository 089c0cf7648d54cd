"""Submitting a plan to clusters: checked, forecast, recorded, sent; by `submit` and by `run`."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from higgsdemo import executors
from higgsdemo.cli.parts.console import err, out, print_json, print_table
from higgsdemo.cli.parts.finding import check_name, publish
from higgsdemo.cli.parts.forecasting import Wanted, forecast_of, rooms_of, share, show_forecast
from higgsdemo.cli.parts.placing import Placing
from higgsdemo.cli.parts.pods import pod_settings
from higgsdemo.cli.parts.storing import Storing
from higgsdemo.display.forecast import forecast_table
from higgsdemo.display.tables import number, size
from higgsdemo.errors import HiggsdemoError, RunError, TransientError, UsageError
from higgsdemo.ledger import Manifest, RunDirectory, create_run
from higgsdemo.plan import Plan

if TYPE_CHECKING:
    from higgsdemo.clusters import Cluster, ClusterEntry
    from higgsdemo.executors.kubernetes.settings import PodSettings
    from higgsdemo.executors.kubernetes.submit import Sent

_KEYS = {"HIGGSDEMO_ACCESS_KEY": "access-key", "HIGGSDEMO_SECRET_KEY": "secret-key"}


def launch(
    wanted: Wanted,
    name: str,
    runs: Path,
    placing: Placing,
    storage: Storing,
    policy: executors.Policy,
    *,
    dry_run: bool,
    as_json: bool,
) -> RunDirectory | None:
    """Submit a new run; None if it was only shown. Nothing is left where a cluster refuses."""
    from higgsdemo.clusters.labels import check_label
    from higgsdemo.executors.kubernetes.engine import open_clusters
    from higgsdemo.executors.kubernetes.names import job_name
    from higgsdemo.executors.kubernetes.submit import check_jobs, look
    from higgsdemo.ledger.placements import Placements

    check_label(name)
    for note in wanted.notes:
        err.print(f"[yellow]counted once:[/] {escape(note)}")
    tasks = {task.id: task for task in wanted.planned.tasks}
    if dry_run:  # neither is needed to know how long it takes
        placing = dataclasses.replace(
            placing, image=placing.image or "worker", sinks=placing.sinks or ("s3://results",)
        )
    settings = pod_settings(placing, storage, policy, wanted.clusters, wanted.planned.tasks)
    with ExitStack() as stack:
        clusters: dict[str, Cluster] = {}
        try:
            clusters = open_clusters(wanted.clusters, placing.kubeconfig)
            for cluster in clusters.values():
                stack.enter_context(cluster)
            with err.status("asking the clusters"):
                rooms = look(clusters, settings)
        except HiggsdemoError:
            # Before they are made, the mapping says what clusters will be.
            described = bool(wanted.entries) and all(entry.flavor for entry in wanted.entries)
            if not (dry_run and described):
                raise
            rooms = rooms_of(wanted.entries, settings)
            clusters = {}
        shares, jobs = share(wanted, settings, rooms)
        forecast = forecast_of(wanted, settings, rooms, shares)
        if clusters:
            with err.status("checking with the clusters"):
                check_jobs(clusters, name, settings, jobs, tasks)
        if dry_run:
            show_forecast(forecast, as_json)
            return None
        if not as_json:
            print_table(forecast_table(forecast), err)
        manifest = Manifest(name, wanted.planned.samples, wanted.planned.tasks)
        reached = check_name(manifest, settings.sinks, storage.access())
        _give_keys(clusters, settings.namespace, storage)  # may be refused: before there is a run
        made = create_run(
            runs,
            name,
            record={
                **wanted.record,
                "executor": "kubernetes",
                "forecast": forecast.to_json(),
                "kubernetes": settings.to_json(),
                "slots": {cluster: room.slots for cluster, room in rooms.items()},
            },
            samples=wanted.planned.samples,
            tasks=wanted.planned.tasks,
        )
        with made.driving(), made.ledger() as ledger:
            placements = Placements(ledger)
            placements.place(jobs, lambda sample, number_: job_name(name, sample, number_))
            failed = _send(made, clusters, settings, placements, tasks, undo=True, as_json=as_json)
        publish(made, reached, storage.access())
        _raise_unanswered(made, clusters, failed)
    return made


def submit_again(made: RunDirectory, placing: Placing, storage: Storing, *, as_json: bool) -> None:
    """Make what a submission that was killed had not made; nothing that is there is changed."""
    from higgsdemo.executors.kubernetes.engine import open_clusters
    from higgsdemo.executors.kubernetes.names import job_name
    from higgsdemo.executors.kubernetes.settings import PodSettings
    from higgsdemo.executors.kubernetes.submit import Room
    from higgsdemo.ledger.placements import Placements

    settings = PodSettings.of_record(made.record)
    manifest = made.manifest()
    tasks = {task.id: task for task in manifest.tasks}
    with made.driving(), made.ledger() as ledger, ExitStack() as stack:
        clusters = open_clusters(settings.clusters, placing.kubeconfig)
        for cluster in clusters.values():
            stack.enter_context(cluster)
        placements = Placements(ledger)
        if not placements.jobs():  # killed before it had placed anything
            kept = made.record.get("owners")
            wanted = Wanted(Plan(manifest.samples, manifest.tasks), settings.clusters, kept)
            slots = made.record.get("slots", {})
            rooms = {name: Room("", 0, slots.get(name, 0)) for name in settings.clusters}
            _, jobs = share(wanted, settings, rooms)
            placements.place(jobs, lambda sample, number_: job_name(made.id, sample, number_))
        _give_keys(clusters, settings.namespace, storage)
        failed = _send(made, clusters, settings, placements, tasks, undo=False, as_json=as_json)
    publish(made, settings.sinks, storage.access())
    _raise_unanswered(made, clusters, failed)


def _give_keys(clusters: Mapping[str, Cluster], namespace: str, storage: Storing) -> None:
    """Put keys that were given as options where pods read them; other keys there stay."""
    import base64

    from higgsdemo.clusters import labels
    from higgsdemo.executors.kubernetes.submit import everywhere

    keys = {
        _KEYS[name]: base64.b64encode(value.encode()).decode()
        for name, value in storage.secret.items()
        if name in _KEYS
    }
    if not keys:
        return

    def give(cluster: Cluster) -> None:
        path = f"/api/v1/namespaces/{namespace}/secrets/{labels.CREDENTIALS}"
        if cluster.find(path) is not None:
            cluster.patch(path, {"data": keys})
            return
        cluster.create(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": labels.CREDENTIALS,
                    "namespace": namespace,
                    "labels": labels.ours(),
                },
                "data": keys,
            }
        )

    _, failed = everywhere(clusters, give)
    for error in failed.values():
        raise error


def _send(
    made: RunDirectory,
    clusters: Mapping[str, Cluster],
    settings: PodSettings,
    placements: Any,
    tasks: Mapping[str, Any],
    *,
    undo: bool,
    as_json: bool,
) -> Mapping[str, HiggsdemoError]:
    """Send what is planned and not made yet; return the clusters that did not answer, and why."""
    from higgsdemo.executors.kubernetes.submit import send, take_back

    with err.status("submitting"):
        sent, failed = send(clusters, made.id, settings, placements, tasks)
    refused = {name: e for name, e in failed.items() if not isinstance(e, TransientError)}
    if refused and undo:
        left = take_back(clusters, made.id, settings.namespace)
        shutil.rmtree(made.path, ignore_errors=True)
        name, error = next(iter(refused.items()))
        raise RunError(
            f"cluster {name} refused the run" + ("" if left else "; nothing of it is left"),
            why=str(error),
            hint=f"not everything could be removed in {', '.join(left)}: higgsdemo cleanup"
            if left
            else error.hint,
        )
    _tell_sent(made, sent, failed, as_json)
    return failed


def _raise_unanswered(
    made: RunDirectory, clusters: Mapping[str, Cluster], failed: Mapping[str, HiggsdemoError]
) -> None:
    """Raise RunError if there are any; the run is where the others work on it."""
    if failed:
        error = next(iter(failed.values()))
        raise RunError(
            f"the run waits for {len(failed)} of {len(clusters)} clusters: {', '.join(failed)}",
            why=error.why or error.what,
            hint=f"the others work; go on, with those that answer: higgsdemo watch {made.id}",
        )


def _tell_sent(
    made: RunDirectory, sent: Sequence[Sent], failed: Mapping[str, HiggsdemoError], as_json: bool
) -> None:
    if as_json:
        print_json(
            {
                "run": made.id,
                "clusters": {
                    one.cluster: {
                        "jobs": one.jobs,
                        "tasks": one.tasks,
                        "requests": one.requests,
                        "sent_bytes": one.sent_bytes,
                        "seconds": one.seconds,
                    }
                    for one in sent
                },
                "failed": {name: str(error) for name, error in failed.items()},
            }
        )
        return
    for one in sent:
        out.print(
            f"{escape(one.cluster)}: {number(one.tasks)} tasks in {one.jobs} jobs, "
            f"{one.requests} requests, {size(one.sent_bytes)}, {one.seconds:.1f} s"
        )
    if not sent and not failed:
        out.print("everything is there already: nothing was changed")
    if not failed:
        out.print(f"run [bold]{made.id}[/] is submitted; watch it: higgsdemo watch {made.id}")


def contexts(placing: Placing, entries: Sequence[ClusterEntry]) -> tuple[str, ...]:
    """Return the clusters that a run goes to: those named, or those of the mapping."""
    names = placing.clusters or tuple(entry.name for entry in entries)
    if not names:
        raise UsageError(
            "no cluster is named",
            hint="--clusters C1,C2 (see: kubectl config get-contexts), or --dataset-mapping FILE",
        )
    return names
