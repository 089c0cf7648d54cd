"""`prepare` and `cleanup`, where what is said is wrong or a cluster does not answer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.terminal import in_terminal
from tests.clusters.conftest import scripted
from tests.clusters.scripted_api import Reply, ScriptedApi, kubeconfig, refused
from tests.kubernetes.control_plane import ControlPlane

__all__ = ["scripted"]
Higgsdemo = Callable[..., Any]


def contexts(folder: Path, **servers: str) -> str:
    parts = [kubeconfig(server, name, {"token": "t"}) for name, server in servers.items()]
    merged = {**parts[0]}
    for key in ("clusters", "users", "contexts"):
        merged[key] = [each for part in parts for each in part[key]]
    path = folder / "kubeconfig"
    path.write_text(json.dumps(merged))
    return str(path)


@pytest.mark.parametrize("command", ["prepare", "cleanup --yes"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no cluster is named"),
        (["--clusters", ","], "--clusters names no cluster"),
        (["--clusters", "one,tow"], "there is no context 'tow'"),
        (["--clusters", "one", "--cluster", "two"], "'two' is none of --clusters"),
        (["--cluster", "one", "--namespace", "Not_one"], "not the name of a namespace"),
        (["--cluster", "one", "--kubeconfig", "/absent"], "there is no kubeconfig"),
        (["--dataset-mapping", "m.json", "--clusters", "one"], "exclude each other"),
        (["--dataset-mapping", "m.json", "--cluster", "five"], "no cluster 'five'"),
        (["--dataset-mapping", "absent.json"], "cannot read the dataset mapping"),
    ],
)
def test_wrong_words(
    higgsdemo: Higgsdemo, tmp_path: Path, command: str, words: list[str], said: str
) -> None:
    made = contexts(tmp_path, one="http://127.0.0.1:9", two="http://127.0.0.1:9")
    (tmp_path / "m.json").write_text('[{"datasets": []}]')
    told = [str(tmp_path / word) if word.endswith(".json") else word for word in words]
    given = [] if "--kubeconfig" in words else ["--kubeconfig", made]
    done = higgsdemo(*command.split(), *told, *given)
    assert done.status == 2
    assert said in done.err
    if "tow" in said:
        assert "did you mean: two" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["prepare", "--access-key", "only"], "belong together"),
        (["prepare", "--toleration", "k=v:Never"], "a taint has no effect 'Never'"),
        (["prepare", "--node-selector", "type"], "not a label of nodes"),
        (["prepare", "--image", "x", "--check-command", "'"], "--check-command is not a command"),
        (["cleanup", "--run", "with space"], "a run in a cluster cannot be called"),
        (["cleanup", "--run", "r", "--all"], "exclude each other"),
    ],
)
def test_words_of_one_command(
    higgsdemo: Higgsdemo, tmp_path: Path, words: list[str], said: str
) -> None:
    made = contexts(tmp_path, one="http://127.0.0.1:9")
    done = higgsdemo(*words, "--cluster", "one", "--kubeconfig", made)
    assert done.status == 2
    assert said in done.err


def test_a_cluster_that_does_not_answer_is_told_in_seconds(
    higgsdemo: Higgsdemo, tmp_path: Path, scripted: ScriptedApi
) -> None:
    scripted.say(*[Reply(silent_s=60)] * 9)
    made = contexts(tmp_path, silent=scripted.url)
    words = ("--cluster", "silent", "--patience", "1", "--kubeconfig", made)
    done = higgsdemo("cleanup", *words, "--yes")
    assert done.status == 1
    assert "cluster 'silent' cannot be reached" in done.err
    assert "no answer within 1 s" in done.err


@pytest.mark.parametrize(
    ("more", "said"),
    [((), "all runs would"), (("--all",), "all runs and what prepare made would")],
)
def test_not_all_runs_are_removed_where_nobody_can_be_asked(
    higgsdemo: Higgsdemo,
    tmp_path: Path,
    scripted: ScriptedApi,
    more: tuple[str, ...],
    said: str,
) -> None:
    """In a pipe, all of them went unasked."""
    words = ("cleanup", "--cluster", "one", "--kubeconfig", contexts(tmp_path, one=scripted.url))
    done = higgsdemo(*words, *more)
    assert done.status == 2
    assert f"{said} be removed in namespace higgsdemo of one" in done.err
    assert "--yes" in done.err
    assert scripted.asked == []


@pytest.mark.parametrize("more", [("--run", "r"), ("--yes",), ("--dry-run",)])
def test_what_need_not_be_asked(
    higgsdemo: Higgsdemo, tmp_path: Path, scripted: ScriptedApi, more: tuple[str, ...]
) -> None:
    words = ("cleanup", "--cluster", "one", "--kubeconfig", contexts(tmp_path, one=scripted.url))
    done = higgsdemo(*words, *more)
    assert done.status == 0, done.err
    assert scripted.asked


@pytest.mark.parametrize("answer", ["y", "n"])
def test_in_a_terminal_it_is_asked_first(
    tmp_path: Path, scripted: ScriptedApi, answer: str
) -> None:
    made = contexts(tmp_path, one=scripted.url)
    status, seen = in_terminal(answer, "cleanup", "--cluster", "one", "--kubeconfig", made)
    assert "this removes all runs in namespace higgsdemo of one" in seen
    assert "remove them? [y/N]:" in seen
    if answer == "y":
        assert (status, "removed nothing" in seen) == (0, True), seen
    else:
        assert (status, "nothing was removed" in seen) == (1, True), seen
    assert bool(scripted.asked) == (answer == "y")


def test_expired_credentials(higgsdemo: Higgsdemo, tmp_path: Path, scripted: ScriptedApi) -> None:
    scripted.say(*[refused(401, "Unauthorized")] * 2)
    made = contexts(tmp_path, late=scripted.url)
    done = higgsdemo("prepare", "--cluster", "late", "--kubeconfig", made)
    assert done.status == 1
    assert "cluster 'late' does not let you in" in done.err
    assert "expired" in done.err
    assert len(scripted.asked) == 2


def test_keys_of_a_command_line_are_warned_of_and_not_repeated(
    higgsdemo: Higgsdemo, tmp_path: Path, scripted: ScriptedApi
) -> None:
    scripted.say(Reply(document={"major": "1", "minor": "20"}))
    made = contexts(tmp_path, old=scripted.url)
    keys = ["--access-key", "AKIDENTITY", "--secret-key", "SECRETVALUE"]
    done = higgsdemo("prepare", "--cluster", "old", "--kubeconfig", made, *keys)
    assert "seen by all users of this machine" in done.err
    assert "too old: 1.20, needed is 1.33" in done.err
    assert not any(key in done.out + done.err for key in ("AKIDENTITY", "SECRETVALUE"))
    assert len(scripted.asked) == 1


@pytest.mark.slow
def test_one_cluster_that_fails_leaves_the_others_alone(
    higgsdemo: Higgsdemo, tmp_path: Path, control_plane: ControlPlane
) -> None:
    from tests.kubernetes.client import kubeconfig as context
    from tests.kubernetes.client import write_kubeconfig

    dead = context("dead", "https://127.0.0.1:9", control_plane.authority, "t")
    made = str(write_kubeconfig(tmp_path / "both", [control_plane.context(), dead]))
    asked = ["--clusters", f"dead,{control_plane.name}", "--namespace", "of-both"]
    words = [*asked, "--kubeconfig", made, "--patience", "1", "--json"]
    done = higgsdemo("prepare", *words)
    assert done.status == 1
    (prepared,) = done.json
    assert prepared["cluster"] == control_plane.name
    assert "Secret higgsdemo-credentials" in prepared["objects"]
    assert "cluster 'dead' cannot be reached" in done.err
    assert "1 of 2 clusters failed" in done.err
    cleaned = higgsdemo(
        "cleanup", "--cluster", control_plane.name, "--all", "--yes", "--json",
        "--namespace", "of-both", "--kubeconfig", made,
    )  # fmt: skip
    assert cleaned.status == 0
    (told,) = cleaned.json
    assert told["removed"]["namespaces"] == 1
    assert told["kinds_looked_through"] >= 40
    assert control_plane.client.find("/api/v1/namespaces/of-both") is None
