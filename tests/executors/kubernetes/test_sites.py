"""A cluster as one thread watches it, against a server that answers by script."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from higgsdemo.clusters import Cluster, Patience
from higgsdemo.errors import UsageError
from higgsdemo.executors.kubernetes import sites
from higgsdemo.executors.kubernetes.engine import reconciling
from higgsdemo.executors.kubernetes.settings import PodSettings
from higgsdemo.executors.kubernetes.sites import ClusterSite
from higgsdemo.ledger import create_run
from higgsdemo.ledger.placements import NewJob, Placements
from tests.clusters.scripted_api import Reply, ScriptedApi, scripted_api
from tests.executors.kubernetes.model import RUN
from tests.ledger.builders import SAMPLES, make_tasks

LIST = Reply(document={"metadata": {"resourceVersion": "7"}, "items": []})
OLD = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}
QUICK = Patience(total_s=5, first_s=0.01, longest_s=0.05, connect_s=2, silence_s=1)


@pytest.fixture
def scripted() -> Iterator[ScriptedApi]:
    with scripted_api() as api:
        yield api


@contextmanager
def watched(api: ScriptedApi, folder: Path, watch_s: float = 60) -> Iterator[ClusterSite]:
    site = ClusterSite(
        Cluster.open("scripted", api.kubeconfig(folder), QUICK), "ns", "demo", watch_s
    )
    try:
        yield site
    finally:
        site.close()


def wait_for(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_watch_that_is_open_is_a_sign_of_life(
    scripted: ScriptedApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sites, "PAUSE_S", 0.01)
    # The server agrees to the watch, and nothing happens in it.
    scripted.say(LIST, Reply(headers=(("Content-Length", "1000"),), body=b" "))
    with watched(scripted, tmp_path, watch_s=20) as site:
        heard: list[None] = []
        note = site._note

        def heed(*said: object, **more: object) -> None:
            heard.append(None)
            note(*said, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(site, "_note", heed)
        wait_for(lambda: bool(heard))
    (watch,) = [each.target for each in scripted.asked if "watch=1" in each.target][:1]
    assert "timeoutSeconds=20" in watch


def test_a_server_that_has_forgotten_every_version_is_not_asked_without_a_pause(
    scripted: ScriptedApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Reply(body=json.dumps(OLD).encode() + b"\n")
    scripted.say(*[LIST, gone] * 3)
    with watched(scripted, tmp_path) as site:
        pauses: list[float] = []
        rests = site._closed.wait
        monkeypatch.setattr(site._closed, "wait", lambda s: pauses.append(s) or rests(0.001))
        wait_for(lambda: len(scripted.asked) >= 6)
    assert len(pauses) >= 4


def test_a_cluster_that_was_given_up_is_tried_once_and_then_not_for_a_while(
    scripted: ScriptedApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.say(LIST)
    with watched(scripted, tmp_path) as site:
        wait_for(lambda: site.seen().listed_at > 0)
        site.rest()
        pauses: list[float] = []
        scripted.say(*[Reply(reset=True)] * 1000)
        monkeypatch.setattr(
            site._closed, "wait", lambda s: pauses.append(s) or time.sleep(0.01) or False
        )
        before = len(scripted.asked)
        wait_for(lambda: len(pauses) >= 5)
        site._closed.set()
        assert len(scripted.asked) - before <= len(pauses) + 5
    assert set(pauses[1:]) == {sites.REST_S}


def test_giving_up_what_the_run_does_not_know_or_the_kubeconfig_has_no_more(
    scripted: ScriptedApi, tmp_path: Path
) -> None:
    config = scripted.kubeconfig(tmp_path)
    settings = PodSettings("w:1", (f"file://{tmp_path}/sink",), ("scripted", "deleted"))
    tasks = make_tasks(2)
    made = create_run(
        tmp_path / "runs", RUN, record={"kubernetes": settings.to_json()}, samples=SAMPLES,
        tasks=tasks,
    )  # fmt: skip
    with made.driving(), made.ledger() as ledger:
        Placements(ledger).place(
            [NewJob("deleted", "a", [[task.id for task in tasks]], 1, 1)], lambda *_: "job"
        )
        with (
            pytest.raises(UsageError, match="did you mean: deleted"),
            reconciling(made, ledger, kubeconfig=config, give_up=["deletedd"]),
        ):
            pass
        for give_up in (["deleted"], []):  # said once, it need not be said again
            with reconciling(made, ledger, kubeconfig=config, give_up=give_up) as reconciler:
                assert [each.name for each in reconciler.clusters()] == ["scripted"]
