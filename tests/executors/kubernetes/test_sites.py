"""A cluster as one thread watches it, against a server that answers by script."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from higgsdemo.clusters import Cluster, Patience
from higgsdemo.errors import Cause, UsageError
from higgsdemo.executors.kubernetes import sites
from higgsdemo.executors.kubernetes.engine import reconciling
from higgsdemo.executors.kubernetes.pods import INDEX
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


def job(version: int, **status: object) -> dict[str, object]:
    metadata = {"name": "a", "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {"completions": 3}, "status": status}


def stream(*events: tuple[str, dict[str, object]]) -> Reply:
    lines = [json.dumps({"type": kind, "object": each}) + "\n" for kind, each in events]
    return Reply(body="".join(lines).encode())


def watches(scripted: ScriptedApi) -> list[dict[str, str]]:
    asked = [urlsplit(each.target).query for each in scripted.asked]
    return [dict(parse_qsl(query)) for query in asked if "watch=1" in query]


def test_a_watch_goes_on_where_the_last_one_ended_and_bookmarks_move_it(
    scripted: ScriptedApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sites, "PAUSE_S", 0.01)
    bookmark = ("BOOKMARK", {"metadata": {"resourceVersion": "90"}})
    scripted.say(
        LIST,
        stream(("ADDED", job(12, active=3)), ("MODIFIED", job(15, active=1, succeeded=2))),
        stream(bookmark),  # nothing of ours happened for a long while
        stream(("MODIFIED", job(95, succeeded=3))),
    )
    with watched(scripted, tmp_path) as site:
        wait_for(lambda: len(watches(scripted)) >= 4)
        seen = site.seen()
    asked = watches(scripted)[:4]
    assert [each["resourceVersion"] for each in asked] == ["7", "15", "90", "95"]
    assert all(each["allowWatchBookmarks"] in ("1", "true") for each in asked)
    assert (seen.jobs["a"].active, seen.jobs["a"].succeeded) == (0, 3)
    assert len(scripted.asked) - len(watches(scripted)) == 1  # one list was enough


def test_a_version_that_is_too_old_is_listed_anew_and_what_went_meanwhile_is_gone(
    scripted: ScriptedApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sites, "PAUSE_S", 0.01)
    later = Reply(document={"metadata": {"resourceVersion": "500"}, "items": []})
    scripted.say(LIST, stream(("ADDED", job(12, active=3)), ("ERROR", OLD["object"])), later)
    with watched(scripted, tmp_path) as site:
        wait_for(lambda: "500" in [each["resourceVersion"] for each in watches(scripted)])
        assert site.seen().jobs == {}
        assert site.seen().problem == ""  # of no interest to anybody


def failed_pod(index: int, when: str, code: int) -> dict[str, object]:
    ended = {"name": "worker", "state": {"terminated": {"exitCode": code}}}
    return {
        "metadata": {
            "name": f"p-{index}-{when}",
            "labels": {INDEX: str(index)},
            "creationTimestamp": when,
        },
        "status": {"phase": "Failed", "containerStatuses": [ended]},
    }


def test_only_failed_pods_are_asked_about_and_never_all_at_once(
    scripted: ScriptedApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClusterSite, "_follow", lambda _: None)
    first = [failed_pod(3, "2026-01-02", 65), failed_pod(3, "2026-01-01", 75)]
    scripted.say(Reply(document={"items": first}), Reply(document={"items": []}))
    with watched(scripted, tmp_path) as site:
        found = site.endings("a", range(100)).result(60)
    assert len(found) == 100
    assert [index for index, each in found.items() if each is not None] == [3]
    last = found[3]
    assert last is not None
    assert last.cause is Cause.BAD_INPUT  # of two tries the later one
    asked = [dict(parse_qsl(urlsplit(each.target).query)) for each in scripted.asked]
    assert len(asked) == 3
    assert {each["fieldSelector"] for each in asked} == {"status.phase=Failed"}
    assert all(int(each["limit"]) <= 5 * sites.PODS_ASKED for each in asked)
    assert all(
        each["labelSelector"].startswith("batch.kubernetes.io/job-name=a,") for each in asked
    )
    assert max(len(each.target) for each in scripted.asked) < 2000


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
