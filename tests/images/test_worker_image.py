"""The worker's image: built by podman, and run as it would be in a pod."""

import json
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from higgsdemo.model import Result, Task, TaskFile
from higgsdemo.simulation import Settings, generate
from higgsdemo.worker import ENVIRONMENT, run_task
from tests.kubernetes.binaries import ROOT
from tests.kubernetes.fixtures import WorkerImage

IMAGE = ROOT / "images" / "worker"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(worker_image: WorkerImage, tmp_path: Path) -> Run:
    """Run the image as a pod would be run: nobody, read-only, without any capability."""
    tmp_path.chmod(0o755)

    def call(*command: str, entrypoint: str = "") -> "subprocess.CompletedProcess[str]":
        options = ["--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges"]
        options += ["--network", "none", "--no-healthcheck", "-v", f"{tmp_path}:/data:ro"]
        if entrypoint:
            options += ["--entrypoint", entrypoint]
        return worker_image.podman("run", "--rm", *options, worker_image.name, *command)

    return call


@pytest.mark.slow
def test_a_task_gives_the_same_result_as_here(run: Run, tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir(mode=0o755)
    generate(Settings(tmp_path / "demo", events_scale=0.001))
    path = min((tmp_path / "demo").glob("*.root"), key=lambda one: one.stat().st_size)
    name = f"demo/{path.name}"
    inside = Task("s", (TaskFile(path.name, f"/data/{name}", path.stat().st_size),))
    (tmp_path / "task.json").write_text(json.dumps(inside.to_json()))
    done = run("/data/task.json")
    assert done.returncode == 0, done.stderr
    there = Result.from_json(json.loads(done.stdout))
    here = run_task(Task("s", (TaskFile(path.name, str(path), path.stat().st_size),)))
    assert there.output.events > 0
    assert there.content == here.content


@pytest.mark.slow
def test_a_file_that_is_not_there_is_bad_input(run: Run, tmp_path: Path) -> None:
    task = Task("s", (TaskFile("a.root", "/data/a.root", 1),))
    (tmp_path / "task.json").write_text(json.dumps(task.to_json()))
    assert run("/data/task.json").returncode == 65


@pytest.mark.slow
def test_nobody_runs_it_and_there_is_nothing_to_build_with(run: Run) -> None:
    tools = "id -u; for tool in cc gcc make pip pip3 curl; do command -v $tool; done; exit 0"
    assert run("-c", tools, entrypoint="sh").stdout == "65532\n"


@pytest.mark.slow
def test_every_storage_and_sink_is_in_it(run: Run) -> None:
    modules = "obstore, botocore.session, google.auth, google_crc32c, redis, XRootD.client, uproot"
    done = run("-c", f"import {modules}, awkward, higgsdemo.sinks", entrypoint="python3")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_what_it_says_of_itself(worker_image: WorkerImage) -> None:
    (told,) = json.loads(worker_image.podman("image", "inspect", worker_image.name).stdout)
    assert told["User"] == "65532:65532"
    assert told["Labels"]["org.opencontainers.image.title"] == "higgsdemo worker"
    assert told["Labels"]["org.opencontainers.image.version"][0].isdigit()
    assert told["Config"]["Entrypoint"] == ["python3", "-m", "higgsdemo.worker"]
    assert ENVIRONMENT.items() <= dict(one.split("=", 1) for one in told["Config"]["Env"]).items()
    assert told["Size"] < 400e6
    check = told["Healthcheck"]["Test"]
    assert check[0] == "CMD"
    done = worker_image.podman(
        "run", "--rm", "--no-healthcheck", "--entrypoint", check[1], worker_image.name, *check[2:]
    )
    assert done.returncode == 0, done.stderr


def test_what_is_in_it_is_pinned_and_fits_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    name = re.compile(r"[\w-]+")
    core = {name.match(one)[0] for one in project["dependencies"]}  # type: ignore[index]
    for file in sorted((IMAGE / "requirements").glob("*.txt")):
        lines = file.read_text().splitlines()
        assert all(re.match(r"[\w-]+==[\w.]+", line) for line in lines), file
        pinned = {line.partition("==")[0] for line in lines}
        if file.stem != "core":
            extra = project["optional-dependencies"][file.stem]
            asked = {name.match(one)[0] for one in extra}  # type: ignore[index]
            assert asked <= pinned, file
        else:
            assert {"numpy", "isal", "cramjam", "xxhash", "orjson", "uproot"} <= pinned & core
