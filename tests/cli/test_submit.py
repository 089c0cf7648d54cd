"""Wrong words of `submit`: told before any cluster is asked for anything."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.cli import submit
from higgsdemo.cli.parts.forecasting import Wanted
from higgsdemo.cli.parts.placing import Placing
from higgsdemo.cli.parts.pods import pod_settings
from higgsdemo.cli.parts.storing import Storing
from higgsdemo.executors import Policy
from higgsdemo.ledger import create_run
from tests.cli.conftest import Said

Higgsdemo = Callable[..., Said]
FULL = ("--samples", "nanoaod-2012", "--clusters", "one", "--image", "w:1", "--sink", "s3://b")


@pytest.fixture(autouse=True)
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubeconfig whose only cluster is nowhere."""
    path = tmp_path / "kubeconfig"
    cluster = {"name": "one", "cluster": {"server": "https://127.0.0.1:1"}}
    context = {"name": "one", "context": {"cluster": "one", "user": "one"}}
    user = {"name": "one", "user": {"token": "t"}}
    path.write_text(
        json.dumps(
            {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "contexts": [context],
             "users": [user]}
        )
    )  # fmt: skip
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--samples", "nanoaod-2012"), "no cluster is named"),
        (("--clusters", "one"), "nothing to analyse is named"),
        (FULL[:4], "no image of the workers"),
        (FULL[:6], "results have no way back"),
        ((*FULL, "--clusters", "onne"), "did you mean: one"),
        ((*FULL, "--tasks-per-pod", "0"), "--tasks-per-pod is a number"),
        ((*FULL, "--env", "MY_PASSWORD=x"), "looks like a secret"),
        ((*FULL, "--env", "HTTPS_PROXY=http://u:pw@proxy:1"), "looks like a secret"),
        ((*FULL, "--sink", "redis://:secret@bus"), "carries a secret"),
        ((*FULL, "--sink", "file:///results"), "cannot deliver to a folder"),
        ((*FULL, "--storage-type", "azure"), "s3 or gcs"),
        ((*FULL, "--claim", "name"), "is not NAME:/PATH"),
        ((*FULL, "--toleration", "k:Noschedule"), "did you mean: NoSchedule"),
        ((*FULL, "--cpu-limit", "many"), "not a Kubernetes quantity"),
        ((*FULL, "--run", "ends-with-"), "cannot be called"),
        ((*FULL, "--namespace", "No"), "not the name of a namespace"),
        (("--samples", "nanoaod-2O12", *FULL[2:]), "did you mean: nanoaod-2012"),
        ((*FULL, "--dataset-mapping", "absent.json"), "exclude each other"),
    ],
)
def test_wrong_words(
    higgsdemo: Higgsdemo, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    if "absent.json" in words:
        (tmp_path / "absent.json").write_text('[{"datasets": ["a"]}]')
    answer = higgsdemo("submit", *words)
    assert answer.status == 2, answer.err
    assert said in answer.err
    assert not (tmp_path / "runs").exists()


def test_files_of_this_machine_are_refused(higgsdemo: Higgsdemo, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ZZTo4mu.root").write_bytes(b"not yet")
    answer = higgsdemo("submit", "--samples", "data", *FULL[2:])
    assert answer.status == 2
    assert "pods cannot read files of this machine" in answer.err


def test_no_kubeconfig(
    higgsdemo: Higgsdemo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    answer = higgsdemo("submit", *FULL)
    assert answer.status == 2
    assert "there is no kubeconfig" in answer.err


def test_clusters_that_are_not_there_yet_are_forecast_from_the_mapping(
    higgsdemo: Higgsdemo, tmp_path: Path
) -> None:
    mapping = [{"datasets": ["nanoaod-2012/ZZTo*"], "flavor": "n1-highmem-16", "nodes": 2}]
    (tmp_path / "mapping.json").write_text(json.dumps(mapping))
    answer = higgsdemo("submit", "--dataset-mapping", "mapping.json", "--dry-run", "--json")
    assert answer.status == 0, answer.err
    assert answer.json["clusters"][0]["slots"] == 30
    assert answer.json["price"] > 0


@pytest.fixture
def again(
    higgsdemo: Higgsdemo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Said, bool]]:
    """A run that was submitted with many options; submit it again, with others besides.

    Returns what was said, and whether anything would be sent.
    """
    monkeypatch.delenv("HIGGSDEMO_IMAGE", raising=False)
    first = (
        *("--samples", "nanoaod-2012", "--run", "r", "--clusters", "one,two", "--image", "w:1"),
        *("--sink", "s3://b", "--redis-host", "bus", "--memory", "2GB", "--limit", "1"),
        *("--env", "A=1", "--toleration", "ours=yes:NoExecute", "--stage-in", "/dev/shm:7GB"),
        *("--tasks-per-pod", "3", "--storage-host", "http://minio:9000", "--queue-name", "q"),
    )

    def launch(
        wanted: Wanted, name: str, runs: Path, placing: Placing, storage: Storing, policy: Policy,
        **_: Any,
    ) -> None:  # fmt: skip
        """Record the run as it is recorded, and be killed before anything is sent."""
        kept = pod_settings(
            placing, storage, policy, wanted.clusters, wanted.planned.tasks
        ).to_json()
        create_run(
            runs, name, record={**wanted.record, "executor": "kubernetes", "kubernetes": kept},
            samples=wanted.planned.samples, tasks=wanted.planned.tasks,
        )  # fmt: skip

    sent: list[object] = []
    monkeypatch.setattr(submit, "launch", launch)
    monkeypatch.setattr(submit, "submit_again", lambda *_, **__: sent.append(1))
    said = higgsdemo("submit", *first)
    assert said.status == 0, said.err

    def call(*words: str, plain: bool = False) -> tuple[Said, bool]:
        sent.clear()
        answer = higgsdemo("submit", *(first[:4] if plain else first), *words)
        return answer, bool(sent)

    return call


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--memory", "2000MB"),
        ("--clusters", "two,one"),
        ("--stage-in", "/dev/shm:7000MB"),
        # How it is sent, and as whom, may be another each time.
        ("--cluster-patience", "9", "--access-key", "k", "--secret-key", "s", "--json"),
    ],
)
def test_the_same_command_goes_on_with_the_run(
    again: Callable[..., tuple[Said, bool]], words: tuple[str, ...]
) -> None:
    said, sent = again(*words)
    assert (said.status, sent) == (0, True), said.err


def test_what_is_not_said_again_stays_as_it_was(again: Callable[..., tuple[Said, bool]]) -> None:
    said, sent = again(plain=True)
    assert (said.status, sent) == (0, True), said.err


@pytest.mark.parametrize(
    ("words", "was"),
    [
        ("--image w:2", "it was w:1, now it is w:2"),
        ("--memory 3GB", "it was 2000000000 bytes, now it is 3000000000 bytes"),
        ("--sink s3://c", "it was redis://bus, s3://b, now it is redis://bus, s3://b, s3://c"),
        ("--redis-host b2", "it was redis://bus, s3://b, now it is redis://b2, s3://b"),
        ("--output-bucket o", "now it is redis://bus, s3://b, s3://o/higgsdemo"),
        ("--clusters one", "it was one, two, now it is one"),
        ("--cluster two", "it was one, two, now it is two"),
        ("--cpu-limit 2", "it was 1, now it is 2"),
        ("--backoff-limit 0", "it was 2, now it is 0"),
        ("--parallelism 7", "it was 0, now it is 7"),
        ("--tasks-per-pod auto", "it was 3, now it is auto"),
        ("--namespace mine", "it was higgsdemo, now it is mine"),
        ("--queue-name p", "it was q, now it is p"),
        ("--skip-bad-files", "it was off, now it is on"),
        ("--env A=2", "it was A=1, now it is A=2"),
        ("--env B=2", "it was A=1, now it is A=1, B=2"),
        ("--gcs-project-id p", "it was none, now it is p"),
        ("--storage-host http://m:1", "it was http://minio:9000, now it is http://m:1"),
        ("--anonymous", "it was none, now it is 1"),
        ("--download-max-kb 5", "it was none, now it is 5"),
        ("--toleration any", "it was ours=yes:NoExecute, now it is any, ours=yes:NoExecute"),
        ("--spot", "it was ours=yes:NoExecute, now it is cloud.google.com/gke-preemptible:"),
        ("--node-selector a=b", "it was none, now it is a=b"),
        ("--resource gpu=1", "it was none, now it is gpu=1"),
        ("--claim c:/data", "it was none, now it is c=/data"),
        ("--pull-secret s", "it was none, now it is s"),
        ("--pull-policy Never", "it was IfNotPresent, now it is Never"),
        ("--stage-in /tmp/shm", "it was /dev/shm:7000000000, now it is /tmp/shm:4000000000"),
        ("--limit 2", "it was 1, now it is 2"),
        ("--filter year=2012", "it was none, now it is year=2012"),
        ("--files-per-task 4", "it was 1, now it is 4"),
        ("--storage-type gcs", "it was s3, now it is gcs"),
        ("--bucket other", "it was none, now it is other"),
    ],
)
def test_another_option_for_a_run_that_was_submitted(
    again: Callable[..., tuple[Said, bool]], words: str, was: str
) -> None:
    """The run went on as it was, and nothing said that the option was not looked at."""
    said, sent = again(*words.split())
    assert (said.status, sent) == (2, False)
    (headline,) = [line for line in said.err.splitlines() if "run r was not made with" in line]
    assert words.split()[0] in headline.split()
    assert was in said.err
    assert "give a new run another name: --run NAME" in said.err


def test_another_image_in_the_environment(
    again: Callable[..., tuple[Said, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIGGSDEMO_IMAGE", "w:2")
    assert again()[1]  # the command says another, which counts
    said, sent = again(plain=True)
    assert (said.status, sent) == (2, False)
    assert "it was w:1, now it is w:2" in said.err


def test_options_that_say_one_thing_together(again: Callable[..., tuple[Said, bool]]) -> None:
    said, _ = again("--redis-host", "another")
    assert "run r was not made with this --sink and --redis-host" in said.err


def test_a_dry_run_sends_nothing_for_a_run_that_was_submitted(
    again: Callable[..., tuple[Said, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It did: what was missing was made."""
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr(submit, "launch", lambda *_, **how: shown.append(how))
    said, sent = again("--dry-run")
    assert (said.status, sent) == (0, False), said.err
    assert [how["dry_run"] for how in shown] == [True]
