"""What goes wrong in clusters: what the user sees, and that every task is counted exactly after."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from higgsdemo.ledger import open_run
from tests.kubernetes.client import wait_for
from tests.kubernetes.laboratory import objects
from tests.kubernetes.proxy import proxy
from tests.kubernetes.stage import JOBS, NAMESPACE, Stage, done_in, uids
from tests.services.redis import redis_server
from tests.services.tcp_faults import tcp_faults

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PATIENCE_S = 600


@pytest.fixture(scope="module")
def prepared_once(stage: Stage) -> Stage:
    stage.commands.good(*stage.preparation())
    return stage


@pytest.fixture
def prepared(prepared_once: Stage) -> Iterator[Stage]:
    """The stage, prepared; all runs are removed afterwards, and it is seen that they are."""
    stage = prepared_once
    yield stage
    stage.commands.good("cleanup", "--clusters", stage.names, "--yes")
    for cluster in stage.clusters:
        assert [name for _, name in objects(cluster.client) if "higgsdemo/run" in name] == []


def later(seconds: float, do: Callable[[], None]) -> threading.Timer:
    """Do something a little later, in a thread."""
    timer = threading.Timer(seconds, do)
    timer.start()
    return timer


@pytest.mark.parametrize("part", ["api_server", "etcd"])
def test_killed_and_restarted_under_submit_and_watch(prepared: Stage, part: str) -> None:
    (one, *_), call = prepared.clusters, prepared.commands
    stage = prepared.on(one)
    run = f"restart-{part.replace('_', '-')}"
    killed = getattr(one.control_plane, part)
    killed.kill()
    timer = later(3, killed.restart)
    call.good(*stage.submission(run))
    timer.join()
    with call.start("watch", run) as watching:
        wait_for(lambda: done_in(one.client) > 0, "the first task")
        killed.kill()
        timer = later(3, killed.restart)
        out, err = watching.communicate(timeout=PATIENCE_S)
        timer.join()
    assert watching.returncode == 0, out + err
    assert "Traceback" not in err
    assert stage.totals(run) == stage.here()


def test_a_storm_of_429(prepared: Stage, tmp_path: Path) -> None:
    (one, *_) = prepared.clusters
    with proxy(one.control_plane, tmp_path) as before:
        stage = prepared.on(one).through([before.context()])
        before.weather.refuse = 4
        stage.commands.good(*stage.submission("storm"))
        seen = stage.commands.in_terminal("watch", "storm", seconds=PATIENCE_S)
        assert seen.status == 0, seen.out
        assert f"{one.name}: " in seen.out  # the cluster has a line on the screen
        assert "significance" in seen.out  # the end is told, as that of any run
        assert before.weather.seen[429] > 10
        assert stage.totals("storm") == stage.here()


def test_a_cluster_that_never_answers(prepared: Stage, tmp_path: Path) -> None:
    """It is named, and nothing is made in the others."""
    one, two, _ = prepared.clusters
    with proxy(two.control_plane, tmp_path) as before:
        before.weather.silent = True
        stage = prepared.on(one, two).through([one.control_plane.context(), before.context()])
        said = stage.commands(*stage.submission("silence"), seconds=PATIENCE_S)
        assert said.status == 1
        assert two.name in said.err
        assert "Traceback" not in said.err
        assert uids(one.client) == []
        assert not (stage.commands.folder / "runs" / "silence").exists()


def test_a_cluster_that_refuses_after_all(prepared: Stage, tmp_path: Path) -> None:
    """It had agreed when it was asked. What others have taken already is taken back."""
    one, two, _ = prepared.clusters
    with proxy(two.control_plane, tmp_path) as before:
        before.weather.jobs = "refused"
        stage = prepared.on(one, two).through([one.control_plane.context(), before.context()])
        said = stage.commands(*stage.submission("refused"), seconds=PATIENCE_S)
        assert said.status == 1
        assert f"cluster {two.name} refused the run; nothing of it is left" in said.err
        assert "no more jobs today" in said.err
        assert not (stage.commands.folder / "runs" / "refused").exists()

        def left() -> list[str]:
            every = [each for cluster in (one, two) for each in objects(cluster.client)]
            return [name for _, name in every if "refused" in name]

        wait_for(lambda: not left(), "its end")
        before.weather.jobs = "made"
        stage.commands.good(*stage.submission("refused"))
        stage.commands.good("watch", "refused", seconds=PATIENCE_S)
        assert stage.totals("refused") == stage.here()


def test_a_cluster_that_stops_to_answer_while_jobs_are_made(
    prepared: Stage, tmp_path: Path
) -> None:
    """The others work; who looks on from elsewhere finds the plan; said again, it is made."""
    one, two, _ = prepared.clusters
    with proxy(two.control_plane, tmp_path) as before:
        before.weather.jobs = "unanswered"
        stage = prepared.on(one, two).through([one.control_plane.context(), before.context()])
        said = stage.commands(*stage.submission("midway"), seconds=PATIENCE_S)
        assert said.status == 1
        assert f"the run waits for 1 of 2 clusters: {two.name}" in said.err
        assert "the others work" in said.err
        assert uids(one.client)
        assert uids(two.client) == []
        elsewhere = ("--sink", stage.sinks[0], "--runs", "elsewhere", "--once", "--json")
        assert '"planned"' in stage.commands("watch", "midway", *elsewhere).out
        before.weather.jobs = "made"
        stage.commands.good(*stage.submission("midway"))
        stage.commands.good("watch", "midway", seconds=PATIENCE_S)
        assert stage.totals("midway") == stage.here()


def test_a_cluster_that_falls_silent(prepared: Stage, tmp_path: Path) -> None:
    """Its tasks go to the others. What it goes on doing unseen is counted once."""
    one, two, _ = prepared.clusters
    with proxy(two.control_plane, tmp_path) as before:
        stage = prepared.on(one, two, files_per_sample=3)  # so many that not all are under way
        stage = stage.through([one.control_plane.context(), before.context()])
        stage.commands.good(*stage.submission("lost"))
        with stage.commands.start("watch", "lost", "--cluster-patience", 10) as watch:
            wait_for(lambda: done_in(two.client) > 0, "the first task")
            with two.node.hanging():  # or its results would come in before it is missed
                before.weather.silent = True
                before.break_all()
                out, err = watch.communicate(timeout=PATIENCE_S)
        assert watch.returncode == 0, out + err
        assert two.name in err
        assert stage.totals("lost") == stage.here()
    delivered = done_in(two.client)
    wait_for(lambda: done_in(two.client) > delivered, "what it had in hand")
    stage.commands.good("collect", "lost", "--from", stage.sinks[0])
    assert stage.totals("lost") == stage.here()


def test_a_node_that_loses_its_power(prepared: Stage) -> None:
    """With all of its pods midway; the machine comes back, the pods do not."""
    *_, three = prepared.clusters
    stage = prepared.on(three)
    stage.commands.good(*stage.submission("power"))
    with stage.commands.start("watch", "power") as watching:
        wait_for(lambda: done_in(three.client) > 0, "the first task")
        wait_for(lambda: three.node.pids("higgsdemo.worker"), "a task under way")
        three.node.power_off()
        three.node.start()
        out, err = watching.communicate(timeout=PATIENCE_S)
    assert watching.returncode == 0, out + err
    assert stage.totals("power") == stage.here()


def test_a_worker_killed_between_the_tasks_of_its_pod(prepared: Stage) -> None:
    """It costs what it had in hand: what it had delivered before is not done again."""
    (one, *_) = prepared.clusters
    stage = prepared.on(one, files_per_sample=3)
    stage.commands.good(*stage.submission("several", "--tasks-per-pod", 4))
    jobs = one.client.items(JOBS)
    assert {job["metadata"]["annotations"]["higgsdemo/tasks"] for job in jobs} == {"3"}
    assert {job["spec"]["completions"] for job in jobs} == {1}

    def ended() -> dict[str, list[tuple[str, str]]]:
        """Return job and outcome of the attempts at each task."""
        with open_run(stage.commands.folder / "runs", "several").look() as ledger:
            return {
                row["id"]: [
                    (each["place"].partition("/")[2].partition("/")[0], each["outcome"])
                    for each in ledger.attempts(row["id"])
                    if each["ended"] is not None
                ]
                for row in ledger.rows()
            }

    def kill_midway() -> tuple[str, set[str]] | None:
        """Kill the worker of a pod that has delivered one task; return its job, and which."""
        done: dict[str, set[str]] = {}
        for task, attempts in ended().items():
            for job, _ in attempts:
                done.setdefault(job, set()).add(task)
        for pid in one.node.pids("higgsdemo.worker"):
            with contextlib.suppress(OSError):  # it ended by itself meanwhile
                variables = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
                for job, tasks in done.items():
                    if len(tasks) == 1 and f"HOSTNAME={job}-0" in variables:
                        os.kill(pid, signal.SIGKILL)
                        return job, tasks
        return None

    with stage.commands.start("watch", "several") as watching:
        killed, delivered = wait_for(kill_midway, "a pod midway")
        at_once: list[int] = []

        def has_ended() -> bool:
            counts = [job["status"].get("active", 0) for job in one.client.items(JOBS)]
            at_once.append(sum(counts))
            return watching.poll() is not None

        wait_for(has_ended, "the end", seconds=PATIENCE_S)
        out, err = watching.communicate(timeout=PATIENCE_S)
    assert watching.returncode == 0, out + err
    assert max(at_once) == 2  # of nine jobs in all
    assert stage.totals("several") == stage.here()
    attempts = ended()
    assert len(attempts) == 24
    assert all(attempts[task] == [(killed, "done")] for task in delivered)
    # Each is done once, and of the tasks of the killed pod one alone had been begun.
    assert {tried[-1][1] for tried in attempts.values()} == {"done"}
    assert all([how for _, how in tried].count("done") == 1 for tried in attempts.values())
    assert not any(how == "duplicate" for tried in attempts.values() for _, how in tried)
    begun = [task for task, tried in attempts.items() if (killed, "transient") in tried]
    assert len(begun) == 1
    assert killed not in {job for job, _ in attempts[begun[0]][1:]}


def test_a_quota_too_small(prepared: Stage) -> None:
    """It is said before anything is made."""
    (one, *_) = prepared.clusters
    stage = prepared.on(one)
    path = f"/api/v1/namespaces/{NAMESPACE}/resourcequotas"
    quota = {"metadata": {"name": "small"}, "spec": {"hard": {"limits.memory": "100Mi"}}}
    one.client.create(path, quota)
    try:
        wait_for(lambda: one.client.get(f"{path}/small")["status"].get("used"), "the quota")
        said = stage.commands(*stage.submission("quota"))
        assert said.status in (1, 2)
        assert "quota" in said.err
        assert "memory" in said.err
        assert uids(one.client) == []
        assert not (stage.commands.folder / "runs" / "quota").exists()
    finally:
        one.client.delete(f"{path}/small")


def test_redis_is_gone(prepared: Stage, tmp_path: Path) -> None:
    """The object store is the record: what was only on the bus is had from there."""
    (one, *_) = prepared.clusters
    with ExitStack() as stack:
        bus = stack.enter_context(redis_server(tmp_path))
        door = stack.enter_context(tcp_faults(bus.port, host=one.gateway))
        sinks = (prepared.sinks[0], f"redis://{door.host}:{door.port}/0")
        stage = prepared.on(one).with_sinks(sinks, bus)
        stage.commands.good(*stage.preparation())
        stage.commands.good(*stage.submission("no-bus"))
        with stage.commands.start("watch", "no-bus") as watching:
            wait_for(lambda: done_in(one.client) > 0, "the first task")
            bus.kill()
            out, err = watching.communicate(timeout=PATIENCE_S)
        assert watching.returncode == 0, out + err
        assert stage.totals("no-bus") == stage.here()
