"""What is made in a cluster, looked at as documents."""

import base64
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.executors.kubernetes.documents import (
    MAP_BYTES,
    TASKS_DIR,
    anchor,
    failure_rules,
    file_name,
    job_documents,
)
from higgsdemo.executors.kubernetes.settings import KEY, SPOT, PodSettings
from higgsdemo.ledger.placements import JobState, PlacedJob
from higgsdemo.model import Task, TaskFile
from higgsdemo.worker.blocks import read_tasks

SETTINGS = PodSettings(
    image="registry/worker:1", sinks=("s3://b/p", "redis://bus:6379"), clusters=("c",)
)


def make(
    count: int = 3, per_pod: int = 1, settings: PodSettings = SETTINGS, **more: Any
) -> tuple[list[dict[str, Any]], list[Task]]:
    tasks = [
        Task("S", (TaskFile(f"{n}", f"s3://b/{n}", n),), **more) for n in range(count * per_pod)
    ]
    indexes = tuple(
        tuple(task.id for task in tasks[n * per_pod : (n + 1) * per_pod]) for n in range(count)
    )
    job = PlacedJob(1, "c", "h-run-s-1", "S", 5000, 2, 0.0, JobState.PLANNED, indexes)
    by_id = {task.id: task for task in tasks}
    return job_documents("run", settings, job, by_id, "uid"), tasks


def mounted(documents: list[dict[str, Any]], folder: Path) -> None:
    for document in documents[:-1]:
        for name, content in document["binaryData"].items():
            (folder / name).write_bytes(base64.b64decode(content))


def test_the_same_each_time_and_every_index_finds_its_tasks(tmp_path: Path) -> None:
    documents, tasks = make(700, 2)
    assert documents == make(700, 2)[0]
    mounted(documents, tmp_path)
    assert list(read_tasks(tmp_path, 699, "run")) == tasks[-2:]
    job = documents[-1]
    assert (job["spec"]["completions"], job["spec"]["parallelism"]) == (700, 2)
    names = [each["metadata"]["name"] for each in documents[:-1]]
    sources = job["spec"]["template"]["spec"]["volumes"][1]["projected"]["sources"]
    assert [each["configMap"]["name"] for each in sources] == names


def test_everything_is_labelled_and_owned() -> None:
    for document in make()[0]:
        metadata = document["metadata"]
        assert metadata["labels"]["higgsdemo/run"] == "run"
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "higgsdemo"
        assert metadata["ownerReferences"][0]["uid"] == "uid"
        assert metadata["namespace"] == "higgsdemo"
    assert anchor("run", SETTINGS)["metadata"]["labels"]["higgsdemo/run"] == "run"


def test_a_pod_may_do_nothing_it_need_not() -> None:
    """What Pod Security `restricted` asks for, and more."""
    pod = make()[0][-1]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["restartPolicy"] == "Never"
    inner = container["securityContext"]
    assert inner["allowPrivilegeEscalation"] is False
    assert inner["readOnlyRootFilesystem"] is True
    assert inner["capabilities"] == {"drop": ["ALL"]}
    resources = container["resources"]
    assert resources["requests"] == resources["limits"]
    assert resources["limits"]["memory"] == "5000"
    assert not any("hostPath" in volume for volume in pod["volumes"])


def test_what_is_staged_in_counts_as_memory() -> None:
    settings = dataclasses.replace(SETTINGS, stage_bytes=1000, stage_folder="/dev/shm")
    pod = make(settings=settings)[0][-1]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"]["memory"] == "6000"
    (stage,) = [volume for volume in pod["volumes"] if volume["name"] == "stage"]
    assert stage["emptyDir"] == {"medium": "Memory", "sizeLimit": "1000"}
    assert {"name": "HIGGSDEMO_STAGE_IN", "value": "/dev/shm:1000"} in container["env"]


def test_exit_codes_decide_what_a_cluster_does() -> None:
    disrupted, index, job = failure_rules()
    assert disrupted["action"] == "Ignore"
    assert (index["action"], index["onExitCodes"]["values"]) == ("FailIndex", [65, 137])
    assert (job["action"], job["onExitCodes"]["values"]) == ("FailJob", [70, 77])


def test_options_pass_through() -> None:
    settings = dataclasses.replace(
        SETTINGS,
        tolerations=SPOT,
        node_selector={"disk": "fast"},
        resources={"nvidia.com/gpu": "1"},
        queue_name="team",
        claims={"results": "/results"},
        environment={"AWS_REGION": "x"},
    )
    job = make(settings=settings)[0][-1]
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team"
    assert "suspend" not in job["spec"]  # Kueue's to set
    assert len(pod["tolerations"]) == len(SPOT)
    assert pod["nodeSelector"] == {"disk": "fast"}
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {"name": "AWS_REGION", "value": "x"} in container["env"]
    assert any(mount["mountPath"] == "/results" for mount in container["volumeMounts"])
    assert container["args"].count("--sink") == 2
    plain = make()[0][-1]["spec"]["template"]["spec"]
    assert "tolerations" not in plain
    assert "nodeSelector" not in plain


def test_certified_sections_travel_with_the_run(tmp_path: Path) -> None:
    path = "/home/me/golden.json"
    settings = dataclasses.replace(SETTINGS, files={file_name(path): "{}"})
    documents, tasks = make(2, settings=settings, certified=path, is_data=True)
    mounted(documents, tmp_path)
    (shipped,) = read_tasks(tmp_path, 1, "run")
    assert shipped.certified == f"{TASKS_DIR}/{file_name(path)}"
    assert shipped.id == tasks[1].id
    assert anchor("run", settings)["data"][file_name(path)] == "{}"


def test_no_configmap_is_too_large_for_kubernetes() -> None:
    documents, _ = make(40_000)
    sizes = [len(json.dumps(document)) for document in documents[:-1]]
    assert max(sizes) < 1.4 * MAP_BYTES  # base64 on the wire; Kubernetes counts what it holds
    for document in documents[:-1]:
        held = sum(len(base64.b64decode(each)) for each in document["binaryData"].values())
        assert held <= MAP_BYTES < 1024**2


def test_settings_are_kept_in_the_record() -> None:
    record = json.loads(json.dumps({"id": "r", KEY: SETTINGS.to_json()}))
    assert PodSettings.of_record(record) == SETTINGS
    record[KEY] |= {"deadline_s": 0, "priority_class": ""}  # of runs made by an earlier version
    assert PodSettings.of_record(record) == SETTINGS
    with pytest.raises(Exception, match="was not submitted to clusters"):
        PodSettings.of_record({"id": "r"})
