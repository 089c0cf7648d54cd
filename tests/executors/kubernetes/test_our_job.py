"""Our Job, as a real control plane keeps it: what it does with a pod that failed, and how often."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.clusters import Cluster
from higgsdemo.executors.kubernetes.documents import most_failed
from higgsdemo.executors.kubernetes.judge import BY_POLICY
from higgsdemo.executors.kubernetes.orders import apply_jobs
from higgsdemo.executors.kubernetes.settings import PodSettings
from higgsdemo.executors.kubernetes.sites import ClusterSite
from higgsdemo.executors.kubernetes.status import JobStatus, indexes
from higgsdemo.ledger.placements import JobState, PlacedJob
from tests.kubernetes.client import Client, Document, wait_for, write_kubeconfig
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.jobs import RESTRICTED, ended
from tests.kubernetes.stages import Stages
from tests.ledger.builders import make_tasks

NAMESPACE = "higgsdemo"
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
INDEX = "batch.kubernetes.io/job-completion-index"
COUNT = "batch.kubernetes.io/job-index-{}failure-count"
RUN = "demo"
SECONDS = 400  # a pod is tried again after 10 s, and then after 20 s


def really(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that starts a cluster."""
    marked: Callable[..., None] = pytest.mark.slow(pytest.mark.timeout(900)(test))
    return marked


class Controlled:
    """A prepared cluster of simulated nodes, in which our jobs are made as we make them."""

    def __init__(self, made: ControlPlane, folder: Path) -> None:
        self.client: Client = made.client
        self.client.namespace(NAMESPACE, **RESTRICTED)
        account = {"metadata": {"name": "higgsdemo-worker"}}
        self.client.create(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", account)
        config = write_kubeconfig(folder / "kubeconfig", [made.context()])
        self.cluster = Cluster.open(made.name, config)

    def make(self, name: str, completions: int, parallelism: int = 100, **more: Any) -> None:
        tasks = make_tasks(completions)
        placed = PlacedJob(
            1, self.cluster.name, name, "S", 10**8, parallelism, 0.0, JobState.PLANNED,
            tuple((task.id,) for task in tasks),
        )  # fmt: skip
        settings = PodSettings("worker:1", ("s3://b",), (self.cluster.name,), **more)
        by_id = {task.id: task for task in tasks}
        apply_jobs(self.cluster.apply, RUN, settings, [placed], by_id)

    def job(self, name: str) -> Document:
        found: Document = self.client.get(f"{JOBS}/{name}")
        return found

    def end(self, name: str) -> JobStatus:
        ended(self.client, f"{JOBS}/{name}", SECONDS)
        return JobStatus.of(self.job(name))

    def pods(self, job: str) -> dict[int, list[Mapping[str, Any]]]:
        """Return the metadata of all pods there were of a job, by index."""
        found: dict[int, list[Mapping[str, Any]]] = {}
        path = f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=batch.kubernetes.io%2Fjob-name"
        for pod in self.client.items(f"{path}%3D{job}"):
            found.setdefault(int(pod["metadata"]["labels"][INDEX]), []).append(pod["metadata"])
        return found


@pytest.fixture
def control(
    kwok_cluster: Callable[..., ControlPlane], tmp_path: Path
) -> Iterator[Callable[[Stages], Controlled]]:
    """Start a cluster whose pods end as stages say."""
    opened: list[Controlled] = []

    def start(stages: Stages) -> Controlled:
        opened.append(Controlled(kwok_cluster("2:16:32Gi", stages), tmp_path))
        return opened[-1]

    yield start
    for each in opened:
        each.cluster.close()


def counts(pods: list[Mapping[str, Any]], what: str = "") -> list[str]:
    """Return what pods are told of how often their index failed before: `what` is ``ignored-``."""
    return sorted(pod["annotations"].get(COUNT.format(what), "") for pod in pods)


@really
def test_an_index_is_tried_as_often_as_its_failure_deserves(
    control: Callable[[Stages], Controlled],
) -> None:
    made = control(Stages((200, 800), bad_input=[0], transient=[1], preempted=[2]))
    made.make("twice", 5, retries=2)
    made.make("never", 5, retries=0)
    status = made.end("twice")
    assert indexes(status.failed_indexes) == {0, 1}
    assert indexes(status.completed) == {2, 3, 4}
    assert status.ended == "FailedIndexes"
    pods = made.pods("twice")
    assert {index: len(each) for index, each in pods.items()} == {0: 1, 1: 3, 2: 2, 3: 1, 4: 1}
    assert counts(pods[1]) == ["0", "1", "2"]  # a worker asks the sinks from the second on
    assert (counts(pods[2]), counts(pods[2], "ignored-")) == (["0", "0"], ["", "1"])

    status = made.end("never")  # who was taken away is begun again all the same
    assert indexes(status.failed_indexes) == {0, 1}
    assert indexes(status.completed) == {2, 3, 4}
    pods = made.pods("never")
    assert {index: len(each) for index, each in pods.items()} == {0: 1, 1: 1, 2: 2, 3: 1, 4: 1}
    assert "ttlSecondsAfterFinished" not in made.job("never")["spec"]  # its status is needed


@really
def test_a_bug_ends_the_job_with_all_its_pods(control: Callable[[Stages], Controlled]) -> None:
    made = control(Stages((200, 800), bug=[1], never_end=[0, 2, 3]))
    made.make("bug", 4, retries=2)
    status = made.end("bug")
    assert status.ended == BY_POLICY
    assert "exit code 70" in status.message
    assert len(made.pods("bug")[1]) == 1

    def phases() -> set[str]:
        pods = made.client.items(f"/api/v1/namespaces/{NAMESPACE}/pods")
        return {pod["status"]["phase"] for pod in pods}

    wait_for(lambda: not phases() & {"Pending", "Running"}, "the end of the others")


@really
def test_what_is_broken_for_all_does_not_burn_through_all_tasks(
    control: Callable[[Stages], Controlled],
) -> None:
    made = control(Stages((200, 800), bad_input=range(60)))
    made.make("broken", 60, 4, retries=2)
    status = made.end("broken")
    assert status.ended == "MaxFailedIndexesExceeded"
    failed = sum(len(pods) for pods in made.pods("broken").values())
    assert most_failed(60) < failed <= most_failed(60) + 4 + 4  # what was under way, and began


@really
def test_a_job_without_room_waits_and_goes_on_when_it_is_given_some(
    control: Callable[[Stages], Controlled],
) -> None:
    made = control(Stages((200, 800)))
    made.make("first", 6, 2)
    made.make("second", 4, 0)
    assert made.end("first").ended == "CompletionsReached"
    status = JobStatus.of(made.job("second"))
    assert (status.parallelism, status.active, status.ended) == (0, 0, "")
    assert made.pods("second") == {}
    site = ClusterSite(made.cluster, NAMESPACE, RUN)
    try:
        site.set_parallelism({"second": 3, "gone": 1}).result(timeout=60)
        assert made.end("second").ended == "CompletionsReached"
        wait_for(lambda: site.seen().jobs["second"].parallelism == 3, "the news of it")
    finally:
        site.close()


@pytest.mark.parametrize(
    ("completions", "failed"), [(1, 1), (19, 19), (20, 20), (21, 20), (100, 20), (1000, 200)]
)
def test_a_job_is_ended_when_a_fifth_of_it_failed_but_not_for_a_few(
    completions: int, failed: int
) -> None:
    assert most_failed(completions) == failed
