"""Real control planes, real Jobs, simulated nodes: submitted and followed by the command line.

Whatever is killed, every task is accounted for at the end.
"""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from higgsdemo.clusters import Cluster, Patience
from higgsdemo.clusters.prepare import Preparation, prepare
from higgsdemo.executors.kubernetes.reconcile import WAITING_ASKED_S
from higgsdemo.executors.kubernetes.state import ClusterState
from higgsdemo.ledger import closing_check, open_run
from tests.cli.conftest import SAMPLES
from tests.executors.kubernetes.pods import Workers
from tests.kubernetes.client import wait_for, write_kubeconfig
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.stages import Stages
from tests.ledger.builders import check_accounting
from tests.services.redis import RedisServer
from tests.sinks.conftest import use_redis

TASKS = 40
USER = "developer"
QUICK = Patience(total_s=2.0, connect_s=2.0, silence_s=5.0)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def clusters(
    kwok_cluster: Callable[..., ControlPlane], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, ControlPlane]:
    """Two clusters that an admin has prepared; we are a user with the role that is granted."""
    stages = Stages(run_ms=(300, 3000), bad_input=[3], transient=[5], preempted=[2])
    made = {name: kwok_cluster("3:4:16Gi", stages, name=name) for name in ("one", "two")}
    for name, each in made.items():
        with Cluster.open(name, each.kubeconfig) as admin:
            prepare(admin, Preparation("higgsdemo", grant=(USER,)))
    contexts = [each.context(USER) for each in made.values()]
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", contexts)))
    return made


@pytest.fixture
def sink(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> str:
    redis.restart(keep_data=False)  # the run of the test before has the same name and the same plan
    return use_redis(redis, monkeypatch)


@pytest.fixture
def submitting(tmp_path: Path, sink: str) -> list[str]:
    files = ", ".join(f"s3://bucket/{number}.root" for number in range(TASKS))
    (tmp_path / "samples.yaml").write_text(SAMPLES.format(files=files))
    return [
        *("submit", "--samples", "samples.yaml", "--workflow", "scripted"),
        *("--clusters", "one,two", "--image", "worker:1", "--run", "demo", "--skip-bad-files"),
        *("--sink", sink, "--memory", "500MB", "--backoff-limit", "0"),
    ]


def start(tmp_path: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "higgsdemo", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str], timeout: float = 300) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, out, err


def jobs(cluster: ControlPlane) -> dict[str, tuple[str, int]]:
    """Return uid and generation of each Job: another one, or a changed one, has another."""
    listed = cluster.client.items("/apis/batch/v1/namespaces/higgsdemo/jobs")
    return {
        each["metadata"]["name"]: (each["metadata"]["uid"], each["metadata"]["generation"])
        for each in listed
    }


def check(tmp_path: Path, *, bad: int | None = None) -> Counter[str]:
    """Check the accounts of the run; return how attempts ended."""
    made = open_run(tmp_path / "runs", "demo")
    with made.ledger() as ledger:
        counts = ledger.counts()
        check_accounting(counts, TASKS)
        assert closing_check(ledger, made.manifest()) == []
        assert set(counts.failed) <= {"bad-input"}
        assert counts.ended
        if bad is not None:
            assert counts.failed == {"bad-input": bad}
        assert len(ledger.digests()) == counts.done == TASKS - sum(counts.failed.values())
        attempts = [each for row in ledger.rows() for each in ledger.attempts(row["id"])]
    return Counter(each["outcome"] for each in attempts)


def test_a_run_survives_the_death_of_everything(
    clusters: dict[str, ControlPlane], submitting: list[str], sink: str, tmp_path: Path
) -> None:
    """kill -9 of submit and watch, an API server that restarts, results that never come."""
    chance = random.Random(5)
    for _ in range(2):
        process = start(tmp_path, *submitting)
        time.sleep(chance.uniform(2, 6))
        process.kill()
        end(process)
    status, out, err = end(start(tmp_path, *submitting))
    assert status == 0, err
    before = {name: jobs(each) for name, each in clusters.items()}
    assert sum(len(each) for each in before.values()) == 2
    status, out, err = end(start(tmp_path, *submitting))
    assert (status, "nothing was changed" in out) == (0, True), err
    assert {name: jobs(each) for name, each in clusters.items()} == before

    opened = {name: Cluster.open(name, patience=QUICK) for name in clusters}
    lost = set[str]()

    def keep_back(task: object, job: str) -> bool:
        """The first two results of the first job are lost, once."""
        if job.endswith("-1") and len(lost) < 2:
            lost.add(str(task))
            return True
        return False

    with Workers(opened, "higgsdemo", "demo", sink, keep_back=keep_back, bad_input=[3]):
        for _ in range(2):
            process = start(tmp_path, "watch", "demo")
            time.sleep(chance.uniform(5, 9))
            process.send_signal(signal.SIGKILL)
            end(process)
        process = start(tmp_path, "watch", "demo")
        time.sleep(5)
        server = clusters["one"].api_server
        server.kill()
        time.sleep(2)
        server.start()
        server.wait()
        status, out, err = end(process)
    assert status == 0, err
    assert "'pods': {" in out
    outcomes = check(tmp_path)
    assert outcomes["lost"] >= 2
    status, out, err = end(start(tmp_path, "cleanup", "--clusters", "one,two", "--run", "demo"))
    assert status == 0, err
    assert {name: jobs(each) for name, each in clusters.items()} == {"one": {}, "two": {}}
    for cluster in opened.values():
        cluster.close()


def test_the_tasks_of_a_lost_cluster_go_to_the_others(
    clusters: dict[str, ControlPlane], submitting: list[str], sink: str, tmp_path: Path
) -> None:
    status, _, err = end(start(tmp_path, *submitting))
    assert status == 0, err
    opened = {name: Cluster.open(name, patience=QUICK) for name in clusters}
    with Workers(opened, "higgsdemo", "demo", sink, bad_input=[3]):
        process = start(tmp_path, "watch", "demo", "--cluster-patience", "8")
        time.sleep(8)
        clusters["two"].kill()
        status, out, err = end(process)
    assert status == 0, err
    assert "cluster two is given up" in err or "two" not in out
    check(tmp_path)
    for cluster in opened.values():
        cluster.close()


def test_pods_that_cannot_be_made(
    clusters: dict[str, ControlPlane], submitting: list[str], tmp_path: Path
) -> None:
    """There is no pod to look at, so the Job's events tell why, once for all of them."""
    client = clusters["one"].client
    submitting = [word.replace("one,two", "one") for word in submitting]
    account = "/api/v1/namespaces/higgsdemo/serviceaccounts"
    client.delete(f"{account}/higgsdemo-worker")
    status, _, err = end(start(tmp_path, *submitting))
    assert status == 2, err
    assert "has no service account 'higgsdemo-worker'" in err
    assert not (tmp_path / "runs" / "demo").exists()
    client.create(account, {"metadata": {"name": "higgsdemo-worker"}})

    limits = "/api/v1/namespaces/higgsdemo/limitranges"
    small = {"limits": [{"type": "Container", "max": {"cpu": "100m"}}]}
    client.create(limits, {"metadata": {"name": "small"}, "spec": small})
    status, _, err = end(start(tmp_path, *submitting))
    assert status == 0, err
    told = tmp_path / "told"
    with told.open("w") as file:
        words = [sys.executable, "-m", "higgsdemo", "watch", "demo"]
        process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=file)
        try:
            wait_for(lambda: "no pod can be made" in told.read_text(), "the reason", seconds=200)
            time.sleep(WAITING_ASKED_S + 5)  # it is asked once more, and says nothing new
        except AssertionError as error:
            pods = client.items("/api/v1/namespaces/higgsdemo/pods")
            events = client.items("/api/v1/namespaces/higgsdemo/events")
            raise AssertionError(
                f"{error}; it said {told.read_text()!r}; {len(pods)} pods; events:"
                f" {[(one.get('reason'), one.get('message')) for one in events[-5:]]}"
            ) from None
        finally:
            process.terminate()
            process.wait()
    (said,) = [line for line in told.read_text().splitlines() if "no pod can be made" in line]
    assert "pods are forbidden: maximum cpu usage per Container is 100m" in said


def test_a_node_that_is_deleted_for_good(
    clusters: dict[str, ControlPlane], submitting: list[str], sink: str, tmp_path: Path
) -> None:
    """With its pods midway: they never end, Kubernetes clears them away, and others do the work."""
    status, _, err = end(start(tmp_path, *submitting))
    assert status == 0, err
    client = clusters["one"].client

    def midway() -> list[str]:
        return [
            pod["metadata"]["name"]
            for pod in client.items("/api/v1/namespaces/higgsdemo/pods")
            if (pod["spec"].get("nodeName"), pod["status"]["phase"]) == ("kwok-0000", "Running")
        ]

    wait_for(midway, "pods on the node")
    client.delete("/api/v1/nodes/kwok-0000")
    lost = midway()
    assert lost
    opened = {name: Cluster.open(name, patience=QUICK) for name in clusters}
    with Workers(opened, "higgsdemo", "demo", sink, bad_input=[3]):
        status, _, err = end(start(tmp_path, "watch", "demo"))
    assert status == 0, err
    check(tmp_path)
    for cluster in opened.values():
        cluster.close()


def test_the_line_of_the_demo() -> None:
    state = ClusterState("c", running=48, succeeded=8, indexes=56, completed=8)
    assert str(state.line) == (
        "{'pods': {'Running': 48, 'Succeeded': 8, 'total': 56}, "
        "'jobs': {'total': 56, 'succeeded': 8}}"
    )
