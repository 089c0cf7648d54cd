"""The options of storage: what they become, who sees it, and what is told of wrong ones."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.cli.parts import storing
from higgsdemo.cli.parts.storing import Storing, storage_options
from higgsdemo.errors import UsageError
from higgsdemo.ledger import open_run
from tests.services.certificates import make_certificates

Higgsdemo = Callable[..., Any]


def chosen(**options: Any) -> Storing:
    seen: list[Storing] = []

    @storage_options
    def command(*, storage: Storing) -> None:
        seen.append(storage)

    names = ("storage_host", "storage_ca", "stage_in", "access_key", "secret_key",
             "download_max_kb", "upload_max_kb")  # fmt: skip
    command(**{**dict.fromkeys(names), "anonymous": False, **options})
    return seen[0]


def test_they_become_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trustme")
    monkeypatch.chdir(tmp_path)
    authority = make_certificates(tmp_path / "tls").authority
    found = chosen(
        storage_host="minio:9000",
        storage_ca=Path("tls/ca.pem"),
        stage_in=".:2GB",
        access_key="mine",
        secret_key="hush",
        download_max_kb=0.5,
        upload_max_kb=2e6,
    )
    assert found.plain == {
        "HIGGSDEMO_STORAGE_HOST": "minio:9000",
        "HIGGSDEMO_STORAGE_CA": str(authority),
        "HIGGSDEMO_STAGE_IN": f"{tmp_path}:2000000000",
        "HIGGSDEMO_DOWNLOAD_MAX_KB": "0.5",
        "HIGGSDEMO_UPLOAD_MAX_KB": "2e+06",
    }
    assert found.secret == {"HIGGSDEMO_ACCESS_KEY": "mine", "HIGGSDEMO_SECRET_KEY": "hush"}
    assert "hush" not in repr(found)
    access = found.access()
    assert access.keys() == ("mine", "hush", None)
    assert (access.download_bytes_per_second, access.upload_bytes_per_second) == (500, 2e9)
    assert chosen().variables == {}
    assert chosen(anonymous=True).access().anonymous


def test_what_is_said_now_counts_more_than_what_was_said_then() -> None:
    now = Storing({"HIGGSDEMO_STORAGE_HOST": "b"}, {"HIGGSDEMO_ACCESS_KEY": "k"})
    both = now.over({"HIGGSDEMO_STORAGE_HOST": "a", "HIGGSDEMO_ANONYMOUS": "1"})
    assert both.plain == {"HIGGSDEMO_STORAGE_HOST": "b", "HIGGSDEMO_ANONYMOUS": "1"}
    assert both.secret == now.secret


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--storage-host", "htps://h"), "did you mean: https://"),
        (("--storage-host", "https://u:hush@h"), "there is a secret in it"),
        (("--storage-ca", "nowhere.pem"), "No such file"),
        (("--storage-ca", "empty"), "no certificate in it"),
        (("--stage-in", "nowhere:1GB"), "no such folder"),
        (("--stage-in", "empty"), "no such folder"),
        (("--access-key", "k"), "belong together"),
        (("--secret-key", "hush"), "belong together"),
        (("--access-key", "k", "--secret-key", "hush", "--anonymous"), "signs nothing"),
        (("--download-max-kb", "-1"), "--download-max-kb"),
        (("--upload-max-kb", "fast"), "--upload-max-kb"),
    ],
)
def test_what_makes_no_sense_is_told_before_anything_is_done(
    higgsdemo: Higgsdemo, words: tuple[str, ...], said: str
) -> None:
    Path("empty").touch()
    told = higgsdemo("run", "x.root", *words)
    assert told.status == 2
    assert said in " ".join(told.err.split())
    assert "hush" not in told.err
    assert not Path("runs").exists()


@pytest.mark.parametrize("command", ["plan", "resume", "collect --from file:///x"])
def test_other_commands_have_them_too(higgsdemo: Higgsdemo, command: str) -> None:
    told = higgsdemo(*command.split(), "x", "--access-key", "k")
    assert told.status == 2
    assert "belong together" in told.err


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing.os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(UsageError, match="cannot stage files in there") as caught:
        chosen(stage_in=str(tmp_path))
    assert caught.value.why == "it is not writable"


def test_keys_in_a_command_line_are_warned_of_and_reach_workers_alone(
    higgsdemo: Higgsdemo, scripts: Callable[..., Path]
) -> None:
    """Workers have them in their environment; no file, no argument and no word has them."""
    folder = scripts(a={"do": "tell", "variables": ["HIGGSDEMO_SECRET_KEY", "HIGGSDEMO_STAGE_IN"]})
    keys = ("--access-key", "the-access-key", "--secret-key", "the-secret-key")
    words = ("run", folder, "-w", "scripted", "--run", "r", "--no-plot", "--stage-in", "/dev/shm")
    said = higgsdemo(*words, *keys)
    assert said.status == 0, said.err
    assert "seen by all users" in said.err
    told = (folder / "a.told").read_text().splitlines()
    assert told == ["the-secret-key", "/dev/shm"]
    (folder / "a.told").unlink()
    assert open_run(Path("runs"), "r").record["storage"] == {"HIGGSDEMO_STAGE_IN": "/dev/shm"}
    assert "the-secret-key" not in said.err + said.out
    for path in Path().rglob("*"):
        assert path.is_dir() or b"the-secret-key" not in path.read_bytes()
    assert not any("the-secret-key" in value for value in os.environ.values())


def test_a_run_that_is_resumed_keeps_what_it_was_begun_with(
    higgsdemo: Higgsdemo, scripts: Callable[..., Path]
) -> None:
    says = {"variables": ["HIGGSDEMO_STORAGE_HOST", "HIGGSDEMO_STAGE_IN"]}
    folder = scripts(a={"do": "tell", "times": 5, "then": "bad", **says})
    words = ("-w", "scripted", "--run", "r", "--no-plot")
    host = ("--storage-host", "http://there")
    assert higgsdemo("run", folder, *words, *host, "--stage-in", "/dev/shm").status == 1
    assert higgsdemo("resume", "r", "--no-plot").status == 1
    assert (folder / "a.told").read_text().splitlines() == ["http://there", "/dev/shm"] * 2
    assert higgsdemo("resume", "r", "--no-plot", "--stage-in", "").status == 1
    assert (folder / "a.told").read_text().splitlines()[4:] == ["http://there", ""]
