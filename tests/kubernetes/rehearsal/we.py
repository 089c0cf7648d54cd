"""Our own process: `python -m tests.kubernetes.rehearsal.we CONFIG`.

What `higgsdemo submit` and `higgsdemo watch` do, in one process, so that its memory, its CPU and
its requests can be told from everybody else's. Writes its figures when the run has ended.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from higgsdemo.executors.kubernetes.engine import open_clusters, reconciling
from higgsdemo.executors.kubernetes.names import job_name
from higgsdemo.executors.kubernetes.reconcile import Manners, Reconciler
from higgsdemo.executors.kubernetes.settings import KEY, PodSettings
from higgsdemo.executors.kubernetes.shares import Target, balance, make_jobs
from higgsdemo.executors.kubernetes.state import State
from higgsdemo.executors.kubernetes.submit import look, send
from higgsdemo.ledger import create_run
from higgsdemo.ledger.placements import Placements
from higgsdemo.plan import ClusterShape, Pace, make_forecast, record_fact
from higgsdemo.worker.task import peak_memory_bytes
from tests.kubernetes.rehearsal.tasks import demo_tasks


class Words:
    """Tells the world what happens: how far it is, and what was said, a line each."""

    def __init__(self, began: float, declared: Path) -> None:
        self._began = began
        self._told = 0.0
        self._declared = declared
        self.reconciler: Reconciler | None = None

    def on_state(self, state: State) -> None:
        now = time.monotonic()
        if self.reconciler is not None and self._declared.exists():
            self.reconciler.give_up(self._declared.read_text(), "declared lost")
            self._declared.unlink()
        for word in state.words:
            self._say({"word": word})
        if now - self._told > 1:
            self._told = now
            counts = state.counts
            self._say(
                {
                    "done": counts.done,
                    "failed": sum(counts.failed.values()),
                    "planned": counts.planned,
                    "pods": state.line["pods"],
                }
            )

    def _say(self, document: dict[str, Any]) -> None:
        seconds = round(time.monotonic() - self._began, 1)
        sys.stdout.write(json.dumps({"seconds": seconds, **document}) + "\n")
        sys.stdout.flush()


def traffic(clusters: Any) -> dict[str, dict[str, int]]:
    return {
        name: {
            "requests": one.traffic.requests,
            "sent_bytes": one.traffic.sent_bytes,
            "received_bytes": one.traffic.received_bytes,
        }
        for name, one in clusters.items()
    }


def main() -> int:
    config = json.loads(Path(sys.argv[1]).read_text())
    samples, tasks = demo_tasks(Path(config["archive"]), config["tasks"])
    by_id = {task.id: task for task in tasks}
    settings = PodSettings(
        image="localhost/worker:1",
        sinks=(config["sink"],),
        clusters=tuple(config["contexts"]),
        namespace=config["namespace"],
        cpu="900m",  # as the demo's pods asked for
        memory_bytes=6 * 2**30,
        retries=config["retries"],
        tries=5,
        skip_bad_files=True,
        tasks_per_pod=1,
    )
    kubeconfig = Path(config["kubeconfig"])
    clusters = open_clusters(settings.clusters, kubeconfig)
    rooms = look(clusters, settings)
    slots = {name: room.slots for name, room in rooms.items()}

    began = time.monotonic()  # from here: what a user waits for
    shares = balance(tasks, [Target(name, count) for name, count in slots.items()])
    pace = Pace(pods_per_s=config["pods_per_s"])
    forecast = make_forecast(
        [
            (ClusterShape(name, slots[name], rooms[name].nodes), mine)
            for name, mine in shares.items()
        ],
        pace=pace,
    )
    run = create_run(
        Path(config["runs"]),
        config["run"],
        record={KEY: settings.to_json(), "slots": slots, "forecast": forecast.to_json()},
        samples=samples,
        tasks=tasks,
    )
    with run.driving(), run.ledger() as ledger:
        placements = Placements(ledger)
        jobs = [
            job
            for name, mine in shares.items()
            for job in make_jobs(
                name, mine, memory_bytes=settings.memory_bytes, slots=slots[name], per_pod=1
            )
        ]
        placements.place(jobs, lambda sample, number: job_name(run.id, sample, number))
        sent, failed = send(clusters, run.id, settings, placements, by_id)
        if failed:
            raise SystemExit(f"not submitted: {failed}")
        submitted = time.monotonic() - began
        submit_traffic = traffic(clusters)
        if config["only_submit"]:
            Path(config["figures"]).write_text(
                json.dumps(
                    {
                        "submit_s": submitted,
                        "submit_traffic": submit_traffic,
                        "memory_bytes": peak_memory_bytes(),
                        "jobs": len(jobs),
                    }
                )
            )
            return 0
        words = Words(began, Path(config["declared"]))
        # Real workers deliver before they end. Ours hear of the end when we do, and on a busy
        # machine they may be slower.
        manners = Manners(patience_s=config["patience_s"], grace_s=60.0)
        with reconciling(run, ledger, kubeconfig=kubeconfig, manners=manners) as reconciler:
            words.reconciler = reconciler
            outcome = reconciler.run(words)
            sites = reconciler._sites.items()
            watch_traffic = traffic({name: site.cluster for name, site in sites})  # type: ignore[attr-defined]
        ended = time.monotonic() - began
    usage = resource.getrusage(resource.RUSAGE_SELF)
    Path(config["figures"]).write_text(
        json.dumps(
            {
                "submit_s": submitted,
                "submit": [vars_of(one) for one in sent],
                "submit_traffic": submit_traffic,
                "watch_traffic": watch_traffic,
                "seconds": ended,
                "memory_bytes": peak_memory_bytes(),
                "cpu_s": usage.ru_utime + usage.ru_stime,
                "slots": slots,
                "stopped_by": outcome.stopped_by.message if outcome.stopped_by else None,
                "forecast": record_fact(run),
                "jobs": len(placements_of(run)),
            }
        )
    )
    return 0


def vars_of(sent: Any) -> dict[str, Any]:
    return {name: getattr(sent, name) for name in sent.__slots__}


def placements_of(run: Any) -> list[Any]:
    with run.ledger() as ledger:
        return list(Placements(ledger).jobs())


if __name__ == "__main__":
    sys.exit(main())
