"""The wire to an API server: what is asked, counted, tried again and given up."""

import dataclasses
import json
import pickle
from pathlib import Path

import pytest

from higgsdemo.clusters import Cluster, ClusterApiError, Gone
from higgsdemo.errors import CredentialsError, TransientError, UsageError
from tests.clusters.conftest import QUICK
from tests.clusters.scripted_api import Reply, ScriptedApi, refused

JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "namespace": "ns"}}
ENDS = (("Connection", "close"),)


def test_apply_is_a_forced_server_side_apply(cluster: Cluster, scripted: ScriptedApi) -> None:
    cluster.apply(JOB)
    (asked,) = scripted.asked
    assert asked.method == "PATCH"
    assert asked.target == "/apis/batch/v1/namespaces/ns/jobs/j?fieldManager=higgsdemo&force=true"
    assert asked.headers["Content-Type"] == "application/apply-patch+yaml"
    assert asked.headers["Authorization"] == "Bearer t0k"
    assert json.loads(asked.body) == JOB


def test_each_try_and_each_byte_is_counted(cluster: Cluster, scripted: ScriptedApi) -> None:
    scripted.say(refused(503, "starting"), Reply(document={"a": 1}))
    assert cluster.get("/version") == {"a": 1}
    cluster.create(JOB)
    assert cluster.traffic.requests == len(scripted.asked) == 3
    assert cluster.traffic.sent_bytes == len(json.dumps(JOB, separators=(",", ":")))
    answers = [refused(503, "starting").document, {"a": 1}, {}]
    assert cluster.traffic.received_bytes == sum(len(json.dumps(each)) for each in answers)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(cluster: Cluster, scripted: ScriptedApi, status: int) -> None:
    scripted.say(*[refused(status, "busy")] * 5, Reply(document={"ok": True}))
    assert cluster.get("/x") == {"ok": True}
    assert len(scripted.asked) == 6


def test_a_server_that_stays_busy_is_named(scripted: ScriptedApi, tmp_path: Path) -> None:
    patience = dataclasses.replace(QUICK, total_s=0.2)
    with Cluster.open("scripted", scripted.kubeconfig(tmp_path), patience) as cluster:
        scripted.say(*[refused(429, "too many requests")] * 200)
        with pytest.raises(TransientError, match="'scripted' cannot be reached") as caught:
            cluster.get("/x")
    assert "too many requests" in str(caught.value)
    assert 2 <= len(scripted.asked) < 100


def test_retry_after_is_kept(
    cluster: Cluster, scripted: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", pauses.append)
    scripted.say(refused(429, "slow down", Retry_After="3"))
    cluster.get("/x")
    (pause,) = pauses
    assert 3 <= pause <= 3.3


def test_a_retry_after_beyond_our_patience_ends_it(cluster: Cluster, scripted: ScriptedApi) -> None:
    scripted.say(refused(503, "come back tomorrow", Retry_After="86400"))
    with pytest.raises(TransientError, match="come back tomorrow"):
        cluster.get("/x")
    assert len(scripted.asked) == 1


def test_a_reset_connection_is_opened_again(cluster: Cluster, scripted: ScriptedApi) -> None:
    scripted.say(Reply(reset=True), Reply(reset=True), Reply(document={"ok": True}))
    assert cluster.apply(JOB) == {"ok": True}


def test_an_answer_that_breaks_off_is_asked_for_again(
    cluster: Cluster, scripted: ScriptedApi
) -> None:
    cut = Reply(body=b'{"items": [', headers=(("Content-Length", "9999"), *ENDS))
    scripted.say(cut, Reply(document={"ok": True}))
    assert cluster.get("/x") == {"ok": True}


def test_silence_is_told_in_seconds(scripted: ScriptedApi, tmp_path: Path) -> None:
    patience = dataclasses.replace(QUICK, total_s=0.1, silence_s=0.3)
    with Cluster.open("scripted", scripted.kubeconfig(tmp_path), patience) as cluster:
        scripted.say(*[Reply(silent_s=30)] * 3)
        with pytest.raises(TransientError, match=r"no answer within 0\.3 s"):
            cluster.get("/x")


def test_nobody_listening_is_told(tmp_path: Path, scripted: ScriptedApi) -> None:
    path = scripted.kubeconfig(tmp_path)
    path.write_text(path.read_text().replace(scripted.url, "http://127.0.0.1:9"))
    patience = dataclasses.replace(QUICK, total_s=0.1)
    with (
        Cluster.open("scripted", path, patience) as cluster,
        pytest.raises(TransientError, match="refused") as caught,
    ):
        cluster.get("/x")
    assert "object at 0x" not in str(caught.value)


def test_401_signs_in_once_more_then_gives_up(tmp_path: Path, scripted: ScriptedApi) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    path = scripted.kubeconfig(tmp_path, user={"tokenFile": str(token)})
    with Cluster.open("scripted", path, QUICK) as cluster:
        token.write_text("new")
        scripted.say(refused(401, "Unauthorized"), Reply(document={"ok": True}))
        assert cluster.get("/x") == {"ok": True}
        assert [each.headers["Authorization"] for each in scripted.asked] == [
            "Bearer old",
            "Bearer new",
        ]
        scripted.say(refused(401, "Unauthorized"), refused(401, "Unauthorized"))
        with pytest.raises(CredentialsError, match="does not let you in"):
            cluster.get("/x")
    assert len(scripted.asked) == 4


def test_403_says_which_verb_on_what(cluster: Cluster, scripted: ScriptedApi) -> None:
    message = (
        'jobs.batch is forbidden: User "eve" cannot create resource "jobs" in API group "batch"'
        ' in the namespace "ns"'
    )
    scripted.say(refused(403, message, "Forbidden"))
    with pytest.raises(CredentialsError, match=r"create jobs\.batch in namespace 'ns'"):
        cluster.create(JOB)


def test_a_403_of_admission_is_no_question_of_credentials(
    cluster: Cluster, scripted: ScriptedApi
) -> None:
    scripted.say(refused(403, 'pods "x" is forbidden: exceeded quota: small', "Forbidden"))
    with pytest.raises(ClusterApiError, match="exceeded quota") as caught:
        cluster.create(JOB)
    assert (caught.value.status, caught.value.reason) == (403, "Forbidden")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.status) == (str(caught.value), 403)


def test_find_and_delete_take_absence_for_an_answer(
    cluster: Cluster, scripted: ScriptedApi
) -> None:
    scripted.say(refused(404, "not found", "NotFound"), refused(404, "not found", "NotFound"))
    assert cluster.find("/x") is None
    cluster.delete("/x", propagationPolicy="Foreground")
    assert scripted.asked[1].target == "/x?propagationPolicy=Foreground"


def test_lists_come_in_pages(cluster: Cluster, scripted: ScriptedApi) -> None:
    scripted.say(
        Reply(document={"metadata": {"continue": "c/1"}, "items": [1, 2]}),
        Reply(document={"metadata": {}, "items": [3]}),
    )
    assert list(cluster.items("/p", selector="a=b", limit=2)) == [1, 2, 3]
    assert [each.target for each in scripted.asked] == [
        "/p?labelSelector=a%3Db&limit=2",
        "/p?labelSelector=a%3Db&limit=2&continue=c%2F1",
    ]


def test_a_list_whose_place_expired_goes_on_where_the_server_says(
    cluster: Cluster, scripted: ScriptedApi
) -> None:
    expired = refused(410, "too old", "Expired")
    expired.document["metadata"] = {"continue": "newer"}
    scripted.say(
        Reply(document={"metadata": {"continue": "old"}, "items": [1]}),
        expired,
        Reply(document={"metadata": {}, "items": [2]}),
    )
    assert list(cluster.items("/p")) == [1, 2]
    assert scripted.asked[-1].target.endswith("continue=newer")


def event(kind: str, version: str) -> bytes:
    said = {"type": kind, "object": {"metadata": {"resourceVersion": version}}}
    return json.dumps(said).encode() + b"\n"


def test_a_watch_yields_events_and_ends_where_it_broke_off(
    cluster: Cluster, scripted: ScriptedApi
) -> None:
    body = event("ADDED", "5") + event("BOOKMARK", "9")
    scripted.say(Reply(body=body + b'{"type": "ADD', headers=(("Content-Length", "9999"), *ENDS)))
    events = list(cluster.watch("/p", version="4", selector="a", timeout_s=30))
    assert [each["type"] for each in events] == ["ADDED", "BOOKMARK"]
    (asked,) = scripted.asked
    for part in ("watch=1", "allowWatchBookmarks=true", "resourceVersion=4", "timeoutSeconds=30"):
        assert part in asked.target
    assert cluster.traffic.received_bytes == len(body) + 13


@pytest.mark.parametrize("in_the_stream", [False, True])
def test_a_watch_from_too_long_ago_is_gone(
    cluster: Cluster, scripted: ScriptedApi, in_the_stream: bool
) -> None:
    said = refused(410, "too old resource version", "Expired")
    if in_the_stream:
        said = Reply(body=json.dumps({"type": "ERROR", "object": said.document}).encode() + b"\n")
    scripted.say(said)
    with pytest.raises(Gone, match="too old resource version"):
        list(cluster.watch("/p", version="1", timeout_s=5))


def test_a_page_that_is_not_json_is_no_api_server(cluster: Cluster, scripted: ScriptedApi) -> None:
    scripted.say(Reply(body=b"<html>Please sign in"))
    with pytest.raises(CredentialsError, match="no Kubernetes API server"):
        cluster.get("/x")


def test_kinds_of_others_are_discovered_once(cluster: Cluster, scripted: ScriptedApi) -> None:
    listed = {
        "resources": [
            {"name": "localqueues", "kind": "LocalQueue", "namespaced": True},
            {"name": "localqueues/status", "kind": "LocalQueue", "namespaced": True},
        ]
    }
    scripted.say(Reply(document=listed))
    queue = {"apiVersion": "kueue.x-k8s.io/v1beta1", "kind": "LocalQueue",
             "metadata": {"name": "q", "namespace": "ns"}}  # fmt: skip
    cluster.apply(queue)
    cluster.apply(queue)
    assert [each.target.partition("?")[0] for each in scripted.asked] == [
        "/apis/kueue.x-k8s.io/v1beta1",
        *["/apis/kueue.x-k8s.io/v1beta1/namespaces/ns/localqueues/q"] * 2,
    ]
    with pytest.raises(UsageError, match="has no Topology"):
        cluster.apply({**queue, "kind": "Topology"})
