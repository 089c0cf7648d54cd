"""Plays the workers of simulated pods: `python -m tests.kubernetes.rehearsal.workers CONFIG`.

A pod of a simulated node runs nothing. What its worker would have delivered comes from here, for
each index that its cluster says has ended: a result for a completed one, a failure for one that
exited with 65, nothing for one that used up its tries with 75. What was delivered is written down,
task by task: the truth that the account is compared with.
"""

import base64
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from higgsdemo.errors import Cause
from higgsdemo.model import Failure, Task
from higgsdemo.sinks import open_sink
from higgsdemo.worker.blocks import read_tasks
from tests.kubernetes.client import Client
from tests.kubernetes.rehearsal.tasks import result_of

LOOK_S = 1.0


def indexes(text: str) -> set[int]:
    """Read the indexes of a Job's status: "1,3-5"."""
    found: set[int] = set()
    for part in filter(None, (text or "").split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


class Cluster:
    """What one cluster's pods have delivered."""

    def __init__(self, name: str, client: Client, namespace: str, bad_input: set[int]) -> None:
        self.name = name
        self._client = client
        self._inside = f"namespaces/{namespace}"
        self._bad_input = bad_input
        self._tasks: dict[str, list[tuple[Task, ...]]] = {}
        self._done: set[tuple[str, int]] = set()

    def news(self, run_id: str) -> list[tuple[Task, bool, str]]:
        """Return tasks that ended since the last look: whether well, and in which job."""
        found = []
        for job in self._client.items(f"/apis/batch/v1/{self._inside}/jobs?limit=500"):
            name, status = job["metadata"]["name"], job.get("status") or {}
            if job["metadata"]["labels"].get("higgsdemo/run") != run_id:
                continue
            well = indexes(status.get("completedIndexes", ""))
            badly = indexes(status.get("failedIndexes", "")) & self._bad_input
            for index in sorted(well | badly):
                if (name, index) not in self._done:
                    self._done.add((name, index))
                    found += [(task, index in well, name) for task in self._of(job, run_id)[index]]
        return found

    def _of(self, job: Any, run_id: str) -> list[tuple[Task, ...]]:
        """Return the tasks of each index, read as its pods would read them."""
        name = job["metadata"]["name"]
        if name not in self._tasks:
            volumes = job["spec"]["template"]["spec"]["volumes"]
            sources = next(one for one in volumes if one["name"] == "tasks")["projected"]["sources"]
            with tempfile.TemporaryDirectory() as folder:
                for source in sources:
                    path = f"/api/v1/{self._inside}/configmaps/{source['configMap']['name']}"
                    for key, content in (self._client.get(path).get("binaryData") or {}).items():
                        (Path(folder) / key).write_bytes(base64.b64decode(content))
                self._tasks[name] = [
                    read_tasks(Path(folder), index, run_id)
                    for index in range(job["spec"]["completions"])
                ]
        return self._tasks[name]


def main() -> int:
    config = json.loads(Path(sys.argv[1]).read_text())
    clusters = [
        Cluster(
            one["name"],
            Client(one["server"], Path(one["authority"]), one["token"]),
            config["namespace"],
            set(config["bad_input"]),
        )
        for one in config["clusters"]
    ]
    with open_sink(config["sink"]) as sink, Path(config["truth"]).open("a") as truth:
        while not Path(config["stop"]).exists():
            for cluster in clusters:
                try:
                    news = cluster.news(config["run"])
                except OSError:
                    continue  # a cluster that is lost has no pods that end
                for task, well, job in news:
                    outcome = (
                        result_of(task)
                        if well
                        else Failure(task.id, Cause.BAD_INPUT, "the file is damaged")
                    )
                    sink.deliver(outcome, config["run"])
                    truth.write(
                        f"{task.id} {'done' if well else 'bad-input'} {cluster.name} {job}\n"
                    )
                truth.flush()
            time.sleep(LOOK_S)
    return 0


if __name__ == "__main__":
    sys.exit(main())
