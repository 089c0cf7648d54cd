"""The options of clusters: each one reaches the pod, from the words of the command line."""

import dataclasses
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.cli import submit
from higgsdemo.cli.parts import placing
from higgsdemo.cli.parts.forecasting import Wanted, share
from higgsdemo.cli.parts.placing import Placing
from higgsdemo.cli.parts.pods import PASSED, pod_settings
from higgsdemo.cli.parts.storing import Storing
from higgsdemo.executors import Policy
from higgsdemo.executors.kubernetes.documents import job_documents
from higgsdemo.executors.kubernetes.settings import PodSettings
from higgsdemo.executors.kubernetes.submit import Room
from higgsdemo.ledger.placements import JobState, PlacedJob
from higgsdemo.model import Task
from tests.cli.conftest import SAMPLES

Higgsdemo = Callable[..., Any]
FILES = "s3://bucket/a.root, s3://bucket/b.root, s3://bucket/c.root"
PLAIN = ("--samples", "samples.yaml", "--clusters", "one", "--image", "w:1", "--sink", "s3://b/p")


@dataclass
class Made:
    """What a command would make in a cluster."""

    settings: PodSettings
    tasks: tuple[Task, ...]
    job: dict[str, Any]

    @property
    def spec(self) -> dict[str, Any]:
        return dict(self.job["spec"])

    @property
    def pod(self) -> dict[str, Any]:
        return dict(self.spec["template"]["spec"])

    @property
    def container(self) -> dict[str, Any]:
        return dict(self.pod["containers"][0])

    @property
    def env(self) -> dict[str, str]:
        return {one["name"]: one.get("value", "") for one in self.container["env"]}

    @property
    def limits(self) -> dict[str, str]:
        assert self.container["resources"]["limits"] == self.container["resources"]["requests"]
        return dict(self.container["resources"]["limits"])

    @property
    def delivers_to(self) -> list[str]:
        words = self.container["args"]
        return [words[n + 1] for n, word in enumerate(words) if word == "--sink"]

    @property
    def reads(self) -> set[str]:
        return {file.url.rpartition("/")[0] for task in self.tasks for file in task.files}

    @property
    def mounts(self) -> dict[str, str]:
        return {one["name"]: one["mountPath"] for one in self.container["volumeMounts"]}

    @property
    def volumes(self) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in self.pod["volumes"]}


def made_of(
    wanted: Wanted, name: str, runs: Path, chosen: Placing, storage: Storing, policy: Policy
) -> Made:
    """Make the documents as `launch` does, but send them nowhere."""
    del name, runs
    settings = pod_settings(chosen, storage, policy, wanted.clusters, wanted.planned.tasks)
    _, jobs = share(wanted, settings, {one: Room("") for one in wanted.clusters})
    (job,) = jobs
    placed = PlacedJob(
        1, job.cluster, "job-1", job.sample, job.memory_bytes, job.parallelism, 0.0,
        JobState.PLANNED, tuple(map(tuple, job.indexes)),
    )  # fmt: skip
    tasks = {task.id: task for task in wanted.planned.tasks}
    # As any process makes them that has the record of the run.
    kept = PodSettings.of_record(json.loads(json.dumps({"kubernetes": settings.to_json()})))
    *_, document = job_documents("run", kept, placed, tasks, "uid")
    return Made(kept, wanted.planned.tasks, document)


@pytest.fixture
def submitted(
    higgsdemo: Higgsdemo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Made]:
    """Give the words of `submit` besides the plain ones; return what it would make."""
    (tmp_path / "samples.yaml").write_text(SAMPLES.format(files=FILES))
    for name in PASSED:
        monkeypatch.delenv(name, raising=False)
    came: list[Made] = []
    monkeypatch.setattr(submit, "launch", lambda *said, **_: came.append(made_of(*said)))

    def make(*words: str) -> Made:
        said = higgsdemo("submit", *PLAIN, *words)
        assert said.status == 0, said.err
        return came.pop()

    return make


# What a command says, and what of it is in a cluster: a value, and what it must be.
TABLE: list[tuple[str, Callable[[Made], object], object]] = [
    ("--bucket other", lambda made: made.reads, {"s3://other"}),
    ("--storage-type gcs", lambda made: made.reads, {"gs://bucket"}),
    ("--bucket other --storage-type gcs", lambda made: made.reads, {"gs://other"}),
    ("--output-bucket out", lambda made: made.delivers_to, ["s3://b/p", "s3://out/higgsdemo"]),
    (
        "--output-bucket out --storage-type gcs",
        lambda made: made.delivers_to[1:],
        ["gs://out/higgsdemo"],
    ),
    ("--redis-host bus:6380", lambda made: made.delivers_to, ["s3://b/p", "redis://bus:6380"]),
    ("--redis-host rediss://bus", lambda made: made.delivers_to[1:], ["rediss://bus"]),
    ("--sink s3://more", lambda made: made.delivers_to, ["s3://b/p", "s3://more"]),
    ("--gcs-project-id payer", lambda made: made.env["GOOGLE_CLOUD_PROJECT"], "payer"),
    (
        "--queue-name team",
        lambda made: made.job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"],
        "team",
    ),
    ("--backoff-limit 5", lambda made: made.spec["backoffLimitPerIndex"], 5),
    ("--backoff-limit 5", lambda made: made.settings.tries, 6),
    ("--parallelism 2", lambda made: made.spec["parallelism"], 2),
    ("--tasks-per-pod 2", lambda made: made.spec["completions"], 2),
    ("--cpu-limit 500m", lambda made: made.limits["cpu"], "500m"),
    ("--memory 3GB", lambda made: made.limits["memory"], "3000000000"),
    (
        "--spot",
        lambda made: made.pod["tolerations"][0],
        {"key": "cloud.google.com/gke-spot", "operator": "Exists", "effect": "NoSchedule"},
    ),
    (
        "--node-selector disk=fast --node-selector a=b",
        lambda made: made.pod["nodeSelector"],
        {"disk": "fast", "a": "b"},
    ),
    (
        "--toleration ours=yes:NoExecute --toleration any",
        lambda made: made.pod["tolerations"],
        [
            {"key": "ours", "operator": "Equal", "value": "yes", "effect": "NoExecute"},
            {"key": "any", "operator": "Exists"},
        ],
    ),
    ("--resource nvidia.com/gpu=1", lambda made: made.limits["nvidia.com/gpu"], "1"),
    ("--claim disk:/data", lambda made: made.mounts["claim-0"], "/data"),
    (
        "--claim disk:/data",
        lambda made: made.volumes["claim-0"]["persistentVolumeClaim"],
        {"claimName": "disk"},
    ),
    ("--env MY_SETTING=x=y", lambda made: made.env["MY_SETTING"], "x=y"),
    ("--pull-secret key", lambda made: made.pod["imagePullSecrets"], [{"name": "key"}]),
    ("--pull-policy Always", lambda made: made.container["imagePullPolicy"], "Always"),
    ("--image w:2", lambda made: made.container["image"], "w:2"),
    ("--namespace mine", lambda made: made.job["metadata"]["namespace"], "mine"),
    ("--stage-in /no/such/place:1GB", lambda made: made.mounts["stage"], "/no/such/place"),
    (
        "--stage-in /no/such/place:1GB",
        lambda made: made.volumes["stage"]["emptyDir"],
        {"medium": "Memory", "sizeLimit": "1000000000"},
    ),
    (
        "--stage-in /no/such/place:1GB",
        lambda made: made.env["HIGGSDEMO_STAGE_IN"],
        "/no/such/place:1000000000",
    ),
    ("--stage-in /stage", lambda made: made.limits["memory"], "6000000000"),  # with 4 GB of files
    (
        "--storage-host http://minio:9000",
        lambda made: made.env["HIGGSDEMO_STORAGE_HOST"],
        "http://minio:9000",
    ),
    ("--download-max-kb 150", lambda made: made.env["HIGGSDEMO_DOWNLOAD_MAX_KB"], "150"),
    ("--upload-max-kb 50", lambda made: made.env["HIGGSDEMO_UPLOAD_MAX_KB"], "50"),
    ("--anonymous", lambda made: made.env["HIGGSDEMO_ANONYMOUS"], "1"),
]
# Options that say nothing of pods: where and how we send, and which of the clusters.
NOT_OF_PODS = {"clusters", "cluster", "kubeconfig", "cluster_patience"}


@pytest.mark.parametrize(("words", "found", "value"), TABLE, ids=[row[0] for row in TABLE])
def test_each_option_reaches_the_pod(
    submitted: Callable[..., Made],
    words: str,
    found: Callable[[Made], object],
    value: object,
) -> None:
    try:
        without = found(submitted())
    except (KeyError, IndexError):
        without = None
    assert without != value
    assert found(submitted(*words.split())) == value


def test_no_option_is_left_out_of_the_table() -> None:
    options = {
        name for name in inspect.signature(placing._chosen).parameters if name not in NOT_OF_PODS
    }
    told = {word[2:].replace("-", "_") for row in TABLE for word in row[0].split()}
    assert options - told == set()


def test_no_setting_of_pods_is_without_an_option(submitted: Callable[..., Made]) -> None:
    """Deadlines and priority classes were settings that nobody could set."""
    words = [word for row in TABLE for word in row[0].split()]
    plain, all_of_it = submitted(), submitted(*words, "--skip-bad-files")
    unreached = {
        one.name
        for one in dataclasses.fields(PodSettings)
        if getattr(plain.settings, one.name) == getattr(all_of_it.settings, one.name)
    }
    # --clusters, which is one cluster here; --storage-ca and --certified-sections, which are files
    assert unreached == {"clusters", "files"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--toleration ours:Noschedule", "did you mean: NoSchedule"),
        ("--toleration =yes", "not a toleration: '=yes'"),
        ("--toleration ours:", "a taint has no effect ''"),
        ("--node-selector fast", "not a label of nodes: 'fast'"),
        ("--stage-in shm:1GB", "a folder of a pod is named from its root on"),
        ("--stage-in /", "a folder of a pod is named from its root on"),
    ],
)
def test_what_no_cluster_would_take_is_told_here(
    higgsdemo: Higgsdemo, tmp_path: Path, words: str, said: str
) -> None:
    """Tolerations went to the API server unread."""
    (tmp_path / "samples.yaml").write_text(SAMPLES.format(files=FILES))
    answer = higgsdemo("submit", *PLAIN, *words.split())
    assert answer.status == 2
    assert said in answer.err


def test_a_file_that_no_pod_can_stage_in(higgsdemo: Higgsdemo) -> None:
    """Told before anything is sent; what this machine has room for is no matter."""
    words = ("--samples", "nanoaod-2012", *PLAIN[2:], "--stage-in", "/stage:100MB", "--dry-run")
    answer = higgsdemo("submit", *words)
    assert answer.status == 2
    assert "pods have no space to stage the files in" in answer.err
    assert "their limit is 100.0 MB" in answer.err


def test_run_stages_in_where_its_workers_are(higgsdemo: Higgsdemo, tmp_path: Path) -> None:
    (tmp_path / "samples.yaml").write_text(SAMPLES.format(files=FILES))
    here = higgsdemo("run", "samples.yaml", "--stage-in", "/no/such/place")
    assert (here.status, "there is no such folder" in here.err) == (2, True)
    words = ("--executor", "kubernetes", "--stage-in", "/no/such/place")
    pods = higgsdemo("run", "samples.yaml", *words)
    assert (pods.status, "no cluster is named" in pods.err) == (2, True)
