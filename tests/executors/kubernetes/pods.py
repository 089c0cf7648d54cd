"""A stand-in for the workers of simulated pods: what an index that ended would have delivered.

It reads the tasks of each job from the ConfigMaps that were made, as a worker does from its mount,
and the indexes that ended from the Job's status; results go into a sink.
"""

from __future__ import annotations

import base64
import dataclasses
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from higgsdemo import workflows
from higgsdemo.clusters import Cluster
from higgsdemo.errors import Cause, HiggsdemoError
from higgsdemo.executors.kubernetes.status import JobStatus, indexes
from higgsdemo.model import Failure, Result, Task
from higgsdemo.sinks import open_sink
from higgsdemo.worker.blocks import read_tasks
from tests.ledger.builders import result_of


def tasks_of(cluster: Cluster, namespace: str, job: str, run_id: str) -> list[tuple[Task, ...]]:
    """Return the tasks of each index of a job, as its pods read them."""
    made = cluster.get(f"/apis/batch/v1/namespaces/{namespace}/jobs/{job}")
    with tempfile.TemporaryDirectory() as folder:
        mount(cluster, made, Path(folder))
        count = made["spec"]["completions"]
        return [read_tasks(Path(folder), index, run_id) for index in range(count)]


def mount(cluster: Cluster, job: Mapping[str, Any], folder: Path) -> None:
    """Put the tasks of a job into a folder, as its pods have them mounted."""
    maps = f"/api/v1/namespaces/{job['metadata']['namespace']}/configmaps"
    volumes = job["spec"]["template"]["spec"]["volumes"]
    (tasks,) = [one["projected"] for one in volumes if one["name"] == "tasks"]
    for source in tasks["sources"]:
        document = cluster.get(f"{maps}/{source['configMap']['name']}")
        for name, content in (document.get("binaryData") or {}).items():
            (folder / name).write_bytes(base64.b64decode(content))


class Workers:
    """Delivers what the pods of a run would have, in a thread, until it is closed.

    `keep_back` says of a task and a job whether its result never comes; `bad_input` are indexes
    whose file is damaged. Other failures are left for the pods' status to tell.
    """

    def __init__(
        self,
        clusters: Mapping[str, Cluster],
        namespace: str,
        run_id: str,
        sink: str,
        *,
        keep_back: Callable[[Task, str], bool] = lambda _task, _job: False,
        bad_input: Sequence[int] = (),
    ) -> None:
        self._clusters = clusters
        self._namespace = namespace
        self._run_id = run_id
        self._sink = sink
        self._keep_back = keep_back
        self._bad_input = bad_input
        self._delivered: set[tuple[str, str, int]] = set()
        self._tasks: dict[tuple[str, str], list[tuple[Task, ...]]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        if self.error is not None:
            raise self.error

    def _work(self) -> None:
        try:
            while not self._stop.wait(0.3):
                for name, cluster in self._clusters.items():
                    try:
                        self._play(name, cluster)
                    except HiggsdemoError:
                        continue  # a cluster that is down has no pods that end
        except BaseException as error:  # noqa: BLE001 - told when the thread is joined
            self.error = error

    def _play(self, name: str, cluster: Cluster) -> None:
        path = f"/apis/batch/v1/namespaces/{self._namespace}/jobs"
        for document in cluster.items(path, selector=f"higgsdemo/run={self._run_id}"):
            status = JobStatus.of(document)
            ended = [(index, True) for index in sorted(indexes(status.completed))]
            failed = sorted(indexes(status.failed_indexes) & set(self._bad_input))
            ended += [(index, False) for index in failed]
            new = [each for each in ended if (name, status.name, each[0]) not in self._delivered]
            if not new:
                continue
            key = (name, status.name)
            if key not in self._tasks:
                self._tasks[key] = tasks_of(cluster, self._namespace, status.name, self._run_id)
            with open_sink(self._sink) as sink:
                for index, well in new:
                    for task in self._tasks[key][index]:
                        if not self._keep_back(task, status.name):
                            sink.deliver(self._outcome(task, well), self._run_id)
                    self._delivered.add((name, status.name, index))

    def _outcome(self, task: Task, well: bool) -> Result | Failure:
        if well:
            workflow = workflows.load(task.workflow)
            made = result_of(task, events=task.events or 5)
            return dataclasses.replace(made, workflow=workflow.name, version=workflow.version)
        return Failure(task.id, Cause.BAD_INPUT, "the file is damaged", None, {"host": "pod"})
