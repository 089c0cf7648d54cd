"""Plays the workers of simulated pods: `python -m tests.kubernetes.rehearsal.workers CONFIG`.

A pod of a simulated node runs nothing. What its worker would have delivered comes from here, for
each index that its cluster says has ended: a result for a completed one, a failure for one that
exited with 65, nothing for one that used up its tries with 75. What was delivered is written down,
task by task: the truth that the account is compared with.
"""

import json
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

from higgsdemo.clusters import Cluster, Patience
from higgsdemo.errors import Cause, HiggsdemoError
from higgsdemo.model import Failure, Task
from higgsdemo.sinks import open_sink
from higgsdemo.worker.blocks import read_tasks
from tests.executors.kubernetes.pods import mount
from tests.kubernetes.rehearsal.tasks import result_of

AGAIN_S = 1.0  # after a cluster did not answer
WATCH_S = 60.0


def indexes(text: str) -> set[int]:
    """Read the indexes of a Job's status: "1,3-5"."""
    found: set[int] = set()
    for part in filter(None, (text or "").split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


class Pods:
    """What the pods of one cluster have delivered."""

    def __init__(self, cluster: Cluster, namespace: str, bad_input: set[int], folder: Path) -> None:
        self.name = cluster.name
        self._cluster = cluster
        self._path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._bad_input = bad_input
        self._folder = folder
        self._mounts: dict[str, Path] = {}  # of a job's tasks, as its pods have them
        self._done: set[tuple[str, int]] = set()

    def follow(self, run_id: str, hear: "queue.Queue[tuple[Pods, Any]]") -> None:
        """Hand on each state of each job, for ever: at once, as workers deliver before they end."""
        path, selector = self._path, f"higgsdemo/run={run_id}"
        while True:
            try:
                listed = self._cluster.get(path, labelSelector=selector, limit=500)
                for job in listed.get("items") or ():
                    hear.put((self, job))
                version = listed["metadata"]["resourceVersion"]
                while True:
                    for event in self._cluster.watch(
                        path, selector=selector, version=version, timeout_s=WATCH_S
                    ):
                        version = event["object"]["metadata"]["resourceVersion"]
                        if event["type"] in ("ADDED", "MODIFIED"):
                            hear.put((self, event["object"]))
            except (HiggsdemoError, OSError, KeyError):
                time.sleep(AGAIN_S)  # a cluster that is lost has no pods that end

    def news(self, job: Any, run_id: str) -> list[tuple[Task, bool, str]]:
        """Return tasks of a job that ended since it was seen last: whether well, and its name."""
        found: list[tuple[Task, bool, str]] = []
        name, status = job["metadata"]["name"], job.get("status") or {}
        well = indexes(status.get("completedIndexes", ""))
        badly = indexes(status.get("failedIndexes", "")) & self._bad_input
        for index in sorted(well | badly):
            if (name, index) not in self._done:
                tasks = read_tasks(self._mount(job), index, run_id)
                found += [(task, index in well, name) for task in tasks]
                self._done.add((name, index))
        return found

    def _mount(self, job: Any) -> Path:
        """Return a folder with the tasks of a job."""
        name = job["metadata"]["name"]
        if name not in self._mounts:
            folder = self._folder / self.name / name
            folder.mkdir(parents=True, exist_ok=True)
            mount(self._cluster, job, folder)
            self._mounts[name] = folder
        return self._mounts[name]


def main() -> int:
    config = json.loads(Path(sys.argv[1]).read_text())
    run_id, stop = config["run"], Path(config["stop"])
    heard: queue.Queue[tuple[Pods, Any]] = queue.Queue()
    for name in config["contexts"]:
        cluster = Cluster.open(name, Path(config["kubeconfig"]), Patience(total_s=5.0))
        pods = Pods(cluster, config["namespace"], set(config["bad_input"]), stop.parent / "mounts")
        threading.Thread(target=pods.follow, args=(run_id, heard), daemon=True).start()
    with open_sink(config["sink"]) as sink, Path(config["truth"]).open("a") as truth:
        while not stop.exists():
            try:
                pods, job = heard.get(timeout=AGAIN_S)
                news = pods.news(job, run_id)
            except (queue.Empty, HiggsdemoError, OSError):
                continue
            for task, well, name in news:
                outcome = (
                    result_of(task)
                    if well
                    else Failure(task.id, Cause.BAD_INPUT, "the file is damaged")
                )
                sink.deliver(outcome, run_id)
                truth.write(f"{task.id} {'done' if well else 'bad-input'} {pods.name} {name}\n")
            truth.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
