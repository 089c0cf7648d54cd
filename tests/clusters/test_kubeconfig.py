"""Writing kubeconfigs: merged, whole at every moment, never open to others."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from higgsdemo.clusters.kubeconfig import Entry, default_path, remove_entries, write_entries
from higgsdemo.errors import HiggsdemoError, UsageError

MINE = {
    "apiVersion": "v1",
    "kind": "Config",
    "preferences": {"colors": True},
    "current-context": "mine",
    "clusters": [{"name": "mine", "cluster": {"server": "https://10.0.0.1"}}],
    "users": [{"name": "mine", "user": {"token": "t"}}],
    "contexts": [{"name": "mine", "context": {"cluster": "mine", "user": "mine"}}],
}


def entry(name: str, server: str = "https://10.9.9.9") -> Entry:
    return Entry(name, server, "Q0E=", {"token": f"token of {name}"})


def read(path: Path) -> dict[str, object]:
    return dict(yaml.safe_load(path.read_text()))


def names(path: Path) -> list[list[str]]:
    document = yaml.safe_load(path.read_text())
    return [[each["name"] for each in document[key]] for key in ("clusters", "users", "contexts")]


def test_entries_are_merged_and_others_kept(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(MINE))
    path.chmod(0o644)
    write_entries([entry("a"), entry("b")], path)
    assert names(path) == [["mine", "a", "b"]] * 3
    assert path.stat().st_mode & 0o777 == 0o600
    document = read(path)
    assert document["current-context"] == "mine"
    assert document["preferences"] == {"colors": True}
    write_entries([entry("a", "https://10.8.8.8")], path)
    assert sorted(names(path)[0]) == ["a", "b", "mine"]
    remove_entries(["a", "b", "never there"], path)
    assert read(path) == MINE


def test_a_new_file_is_made_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "kube" / "config"
    write_entries([entry("a")], path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert read(path)["current-context"] == "a"
    assert sorted(each.name for each in path.parent.iterdir()) == [
        ".config.higgsdemo-lock",
        "config",
    ]
    remove_entries(["a"], path)
    assert read(path)["current-context"] == ""


def test_the_written_context_is_one_for_kubernetes_own_package(tmp_path: Path) -> None:
    from higgsdemo.clusters.contexts import context_names, load_login

    path = tmp_path / "config"
    write_entries([entry("a")], path)
    assert context_names(path) == ("a",)
    assert load_login("a", path).host == "https://10.9.9.9"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text(yaml.safe_dump(MINE))
    (tmp_path / "config").symlink_to(tmp_path / "real")
    write_entries([entry("a")], tmp_path / "config")
    assert (tmp_path / "config").is_symlink()
    assert names(tmp_path / "real")[0] == ["mine", "a"]


def test_the_file_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/one:{tmp_path}/two")
    assert default_path() == tmp_path / "one"
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_path() == tmp_path / ".kube" / "config"


@pytest.mark.parametrize("text", ["[1]", "{", "clusters: 3", "\x00"])
def test_what_is_not_a_kubeconfig_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(UsageError, match="not a kubeconfig"):
        write_entries([entry("a")], path)
    assert path.read_text() == text
    assert not (tmp_path / "config.lock").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HiggsdemoError, match="cannot be written"):
        write_entries([entry("a")], tmp_path / "file" / "config")


def test_secrets_are_not_shown() -> None:
    assert "token" not in repr(entry("a"))


def _write(path: Path, number: int) -> None:
    write_entries([entry(f"c{number}")], path)


def test_many_processes_lose_no_entry(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(MINE))
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write, args=(path, number)) for number in range(12)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(names(path)[2]) == sorted(["mine", *(f"c{number}" for number in range(12))])


def test_a_lock_left_by_a_killed_kubectl_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "config"
    lock = tmp_path / "config.lock"
    lock.touch()
    old = time.time() - 3600
    os.utime(lock, (old, old))
    write_entries([entry("a")], path)
    assert names(path)[2] == ["a"]
    assert not lock.exists()


KILLED = """
import sys, pathlib
from higgsdemo.clusters.kubeconfig import Entry, write_entries
path = pathlib.Path(sys.argv[1])
for number in range(10**6):
    write_entries([Entry(f"c{number % 50}", f"https://{number}", "Q0E=", {})], path)
"""


def test_kill_at_any_instruction_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(MINE))
    for turn in range(4):
        writer = subprocess.Popen([sys.executable, "-c", KILLED, str(path)])
        deadline = time.monotonic() + 60
        before = path.read_bytes()
        while path.read_bytes() == before and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.013 * turn)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        assert "mine" in names(path)[0]
        assert path.stat().st_mode & 0o777 == 0o600
        (tmp_path / "config.lock").unlink(missing_ok=True)  # as if it had grown old
