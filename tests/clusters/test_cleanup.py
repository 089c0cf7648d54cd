"""Cleaning up after runs on a real control plane: what goes, what stays, the proof."""

import threading
from pathlib import Path

import pytest

from higgsdemo.clusters import Cluster, labels
from higgsdemo.clusters.cleanup import Scope, _end_namespace, cleanup
from higgsdemo.clusters.discovery import Kind, kinds
from higgsdemo.clusters.documents import RESTRICTED
from higgsdemo.clusters.prepare import Preparation, prepare
from higgsdemo.errors import TransientError, UsageError
from tests.clusters.conftest import CLEANUP_REQUESTS
from tests.clusters.scripted_api import Reply, ScriptedApi, refused
from tests.clusters.test_prepare import as_user, opened, space
from tests.kubernetes.control_plane import ControlPlane

__all__ = ["opened", "space"]


def config(inside: str, name: str, **said: object) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": inside, **said},
    }


def job(inside: str, name: str, run: str) -> dict[str, object]:
    container = {"name": "c", "image": "x", "securityContext": dict(RESTRICTED)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": inside, "labels": labels.ours(run)},
        "spec": {
            "completions": 3, "parallelism": 3, "completionMode": "Indexed",
            "template": {
                "metadata": {"labels": labels.ours(run)},
                "spec": {"containers": [container], "restartPolicy": "Never"},
            },
        },
    }  # fmt: skip


@pytest.fixture
def two_runs(opened: Cluster, space: str) -> str:
    prepare(opened, Preparation(space))
    for run in ("one", "two"):
        opened.apply(config(space, f"{run}-tasks", labels=labels.ours(run)))
        opened.apply(job(space, f"{run}-job", run))
    opened.apply(config(space, "of-others"))
    opened.apply(config(space, "like-ours", labels={labels.RUN: "one"}))
    return space


def names(cluster: Cluster, path: str) -> set[str]:
    return {each["metadata"]["name"] for each in cluster.metadata(path)}


def test_what_a_run_created_goes_and_nothing_else(opened: Cluster, two_runs: str) -> None:
    core, batch = f"/api/v1/namespaces/{two_runs}", f"/apis/batch/v1/namespaces/{two_runs}"
    before = opened.traffic.requests
    done = cleanup(opened, Scope(two_runs, "one"))
    assert opened.traffic.requests - before <= CLEANUP_REQUESTS
    assert done.removed["jobs.batch"] == 1
    assert done.removed["configmaps"] == 1
    assert done.runs == ("one",)
    assert done.kinds >= 40
    assert done.unseen == ()
    assert names(opened, f"{core}/configmaps") == {
        "two-tasks", "of-others", "like-ours", "kube-root-ca.crt",
    }  # fmt: skip
    assert names(opened, f"{batch}/jobs") == {"two-job"}
    assert {each.rpartition("-")[0] for each in names(opened, f"{core}/pods")} <= {
        "two-job-0", "two-job-1", "two-job-2",
    }  # fmt: skip
    assert labels.CREDENTIALS in names(opened, f"{core}/secrets")
    again = cleanup(opened, Scope(two_runs, "one"))
    assert again.removed == {}


def test_the_proof_sees_every_kind(opened: Cluster, control_plane: ControlPlane) -> None:
    told = control_plane.kubectl("api-resources", "--verbs=list,delete", "-o", "name")
    ours = {kind.name for kind in kinds(opened)}
    assert set(told.split()) == ours


def test_a_dry_run_counts_and_removes_nothing(opened: Cluster, two_runs: str) -> None:
    done = cleanup(opened, Scope(two_runs, dry_run=True))
    assert done.removed["configmaps"] == 2
    assert done.removed["jobs.batch"] == 2
    assert done.runs == ("one", "two")
    assert len(names(opened, f"/apis/batch/v1/namespaces/{two_runs}/jobs")) == 2


def test_everything_but_not_the_namespace_where_others_are(opened: Cluster, two_runs: str) -> None:
    done = cleanup(opened, Scope(two_runs, prepared=True))
    assert done.removed["secrets"] == 1
    assert any("others have objects in it (configmaps)" in note for note in done.notes)
    core = f"/api/v1/namespaces/{two_runs}"
    assert names(opened, f"{core}/configmaps") == {"of-others", "like-ours", "kube-root-ca.crt"}
    for name in ("of-others", "like-ours"):
        opened.delete(f"{core}/configmaps/{name}")
    assert cleanup(opened, Scope(two_runs, prepared=True)).removed == {"namespaces": 1}
    assert opened.find(core) is None


def test_a_namespace_that_was_there_before_stays(
    opened: Cluster, space: str, control_plane: ControlPlane
) -> None:
    opened.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
    prepare(opened, Preparation(space))
    done = cleanup(opened, Scope(space, prepared=True))
    assert any("was there before us" in note for note in done.notes)
    assert opened.find(f"/api/v1/namespaces/{space}") is not None


def test_what_does_not_go_is_named(opened: Cluster, space: str) -> None:
    prepare(opened, Preparation(space))
    held = config(space, "held", labels=labels.ours("r"), finalizers=["example.org/held"])
    opened.apply(held)
    with pytest.raises(TransientError, match="has not let go of everything after 1 s") as caught:
        cleanup(opened, Scope(space, "r", timeout_s=1))
    assert "configmaps/held (held by example.org/held)" in str(caught.value)
    path = f"/api/v1/namespaces/{space}/configmaps/held"
    opened.patch(path, {"metadata": {"finalizers": None}})
    assert cleanup(opened, Scope(space, "r")).removed == {}


def test_pages_of_deletions(opened: Cluster, space: str) -> None:
    prepare(opened, Preparation(space))
    for number in range(7):
        opened.apply(config(space, f"c{number}", labels={"odd": str(number % 2)}))
    path = f"/api/v1/namespaces/{space}/configmaps"
    before = opened.traffic.requests
    gone = [each["metadata"]["name"] for each in opened.delete_all(path, selector="odd=0", limit=2)]
    assert gone == ["c0", "c2", "c4", "c6"]
    assert 2 <= opened.traffic.requests - before <= 4
    assert names(opened, path) == {"c1", "c3", "c5", "kube-root-ca.crt"}


def test_kinds_that_may_not_be_seen_are_named(
    opened: Cluster, space: str, control_plane: ControlPlane, tmp_path: Path
) -> None:
    prepare(opened, Preparation(space, grant=("developer",)))
    with as_user(control_plane, "developer", tmp_path) as developer:
        developer.apply(config(space, "mine", labels=labels.ours("r")))
        done = cleanup(developer, Scope(space, "r"))
    assert done.removed == {"configmaps": 1}
    assert "secrets" in done.unseen
    assert "configmaps" not in done.unseen


def test_names_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="not the name of a namespace"):
        labels.check_namespace("UPPER")
    with pytest.raises(UsageError, match="cannot be called"):
        labels.selector("a/b")


def test_a_namespace_that_nobody_can_look_through_stays(
    cluster: Cluster, scripted: ScriptedApi
) -> None:
    ours = {"metadata": {"name": "ns", "labels": {labels.MANAGED_BY: labels.MANAGER}}}
    denied = 'User "eve" cannot list resource "secrets" in API group "" in the namespace "ns"'
    scripted.say(Reply(document=ours), refused(403, denied, "Forbidden"), refused(404, "no"))
    every = [Kind("v1", name, True, frozenset()) for name in ("secrets", "gone")]
    gone, note = _end_namespace(cluster, every, Scope("ns", prepared=True), 0.0, threading.Event())
    assert not gone
    assert "may not be seen (secrets)" in note
