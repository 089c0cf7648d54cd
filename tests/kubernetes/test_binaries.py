"""The clusters' programs are found, or said to be missing with what to do."""

import subprocess
from pathlib import Path

import pytest

from tests.kubernetes import binaries
from tests.kubernetes.binaries import INSTALLER, MODULES, built, folder, installed
from tests.services.programs import UnavailableError


@pytest.fixture(autouse=True)
def _nothing_known() -> None:
    built.cache_clear()


def test_a_missing_program_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UnavailableError, match="'etcd' here: run scripts/install-test-kubernetes"):
        built("etcd")
    with pytest.raises(UnavailableError, match="run scripts/install-test-kubernetes"):
        installed("no-such-program")


def test_a_build_that_was_broken_off_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (folder() / "bin").mkdir(parents=True)
    (folder() / "bin" / "etcd").touch()
    with pytest.raises(UnavailableError):
        built("etcd")
    (folder() / ".complete").touch()
    built.cache_clear()
    assert built("etcd") == folder() / "bin" / "etcd"


def test_real_nodes_need_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(UnavailableError, match="need root"):
        binaries.needs_root()


def install(home: Path, path: str) -> "subprocess.CompletedProcess[str]":
    environment = {"XDG_CACHE_HOME": str(home), "PATH": path, "HOME": str(home)}
    return subprocess.run(
        [INSTALLER], env=environment, capture_output=True, text=True, timeout=180, check=False
    )


def test_the_installer_names_the_same_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all there it is quick and says nothing; the folder it looks at is ours."""
    try:
        for name in ("runc", "podman", "debootstrap", "host-local", "ip", "busybox"):
            installed(name)
    except UnavailableError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder().mkdir(parents=True)
    (folder() / ".complete").touch()
    done = install(tmp_path, "/usr/bin:/bin")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_go_the_installer_says_so(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "sh", "cat", "sha256sum", "cut", "id", "dirname", "basename", "sort"):
        (tools / name).symlink_to(installed(name))
    done = install(tmp_path, str(tools))
    assert done.returncode == 1
    assert "needs Go 1.26 or newer to build the clusters' programs" in done.stderr


def test_every_module_is_pinned() -> None:
    modules = sorted(MODULES.glob("*/go.mod"))
    assert len(modules) == 6
    for module in modules:
        assert module.parent.name == "pause" or module.with_name("go.sum").exists()
