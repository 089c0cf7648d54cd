"""Real services, a small file of events, and settings that do not wait long."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from higgsdemo import workflows
from higgsdemo.model import Result, Task, TaskFile
from higgsdemo.simulation import Settings, generate
from higgsdemo.storage import Access, Source
from higgsdemo.storage.wire import close_all
from tests.services.fixtures import (
    fault_server_of_session,
    faults,
    gcs,
    http_files,
    pytest_runtest_makereport,
    s3,
    s3_tls,
    xrootd,
    xrootd_gsi,
    xrootd_tokens,
)

__all__ = [
    "fault_server_of_session",
    "faults",
    "gcs",
    "http_files",
    "pytest_runtest_makereport",
    "s3",
    "s3_tls",
    "xrootd",
    "xrootd_gsi",
    "xrootd_tokens",
]


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No credentials of whoever runs the tests, and no connection left open."""
    for name in os.environ:
        if name.startswith(("AWS_", "GOOGLE_", "GS_", "BEARER_", "X509_", "HIGGSDEMO_", "STORAGE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    yield
    close_all()


@pytest.fixture
def access() -> Callable[..., Access]:
    """Make settings: `access({"AWS_PROFILE": "x"}, stall_s=1)`, quick to give up."""

    def make(variables: dict[str, str] | None = None, **changes: object) -> Access:
        import dataclasses

        read = Access.from_environment({"HOME": os.environ["HOME"], **(variables or {})})
        quick = {"pause_s": 0.002, "longest_pause_s": 0.02, "stall_s": 10.0, "connect_s": 1.0}
        return dataclasses.replace(read, **{**quick, **changes})  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ROOT file of 3,000 simulated events."""
    folder = tmp_path_factory.mktemp("events")
    generate(Settings(folder, events_scale=0.01))
    return folder / "SMHiggsToZZTo4L.root"


@pytest.fixture(scope="session")
def digest() -> Callable[[Source], str]:
    """Run the analysis over a file; return the digest of its result."""

    def run(source: Source) -> str:
        task = Task(sample="s", files=(TaskFile("f", source.url),))
        workflow = workflows.load("h4l")
        output = workflow.process(task, [source])
        return Result(
            task_id=task.id,
            sample="s",
            workflow="h4l",
            version=workflow.version,
            files=1,
            output=output,
            provenance={},
            counters={},
        ).digest

    return run


@pytest.fixture(scope="session")
def true_digest(events: Path, digest: Callable[[Source], str]) -> str:
    """The digest of the result over the local file."""
    from higgsdemo.storage import open_source

    with open_source(events) as source:
        return digest(source)


def blob(size: int, seed: str = "x") -> bytes:
    """Return bytes that repeat nowhere."""
    return hashlib.shake_256(seed.encode()).digest(size)


def publish(path: Path, folder: Path, name: str) -> None:
    """Put a copy of a file into a served folder, at once: an older one may still be sent."""
    copy = folder / f".{name}.new"
    shutil.copyfile(path, copy)
    copy.replace(folder / name)
