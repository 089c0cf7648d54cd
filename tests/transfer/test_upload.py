"""Uploading into real stores; what is there whole stays, what is not right never appears."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.catalog import load_set
from higgsdemo.errors import CredentialsError, InputError, TransientError, UsageError
from higgsdemo.ledger import open_run
from higgsdemo.storage import Access, open_source
from higgsdemo.transfer import Bucket, Outcome, Upload, items_of
from tests.cli.conftest import Said, higgsdemo
from tests.services.gcs import GcsServer
from tests.services.http_files import HttpServer
from tests.services.s3 import S3Server
from tests.services.xrootd import XrootdServer
from tests.sinks.xml_gcs import xml_gcs
from tests.transfer.files import MB, adler32, contents, publish, set_of

__all__ = ["higgsdemo"]

pytest.importorskip("obstore")

Make = Callable[..., Access]
FILES = contents(17 * MB + 5, 1, 70_000, 8 * MB)


def keys(s3: S3Server, secret: str | None = None) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": secret or s3.secret_key,
        "AWS_ENDPOINT_URL": s3.endpoint,
        "AWS_REGION": s3.region,
    }


@pytest.fixture
def place(s3: S3Server, access: Make) -> tuple[str, Access]:
    return f"s3://{s3.create_bucket()}/pre/fix", access(keys(s3))


def run(samples: Any, url: str, access: Access, streams: int = 3) -> Outcome:
    return Upload(items_of(samples), Bucket(url, access), access, streams=streams).run()


def check(url: str, access: Access, files: dict[str, bytes] = FILES) -> None:
    for name, data in files.items():
        with open_source(f"{url}/S/{name}", access=access) as source:
            assert source.size == len(data)
            assert b"".join(source.read([(0, source.size)])) == data


@pytest.mark.parametrize("kind", ["file", "http", "root", "s3"])
def test_from_every_kind_of_store_and_again(
    kind: str,
    http_files: HttpServer,
    xrootd: XrootdServer,
    s3: S3Server,
    place: tuple[str, Access],
    tmp_path: Path,
) -> None:
    url, access = place
    if kind == "s3":
        bucket = s3.create_bucket()
        base = f"s3://{bucket}"
        for name, data in FILES.items():
            s3.put(bucket, name, data)
    else:
        folder, base = {
            "file": (tmp_path / "there", str(tmp_path / "there")),
            "http": (http_files.folder / "up", http_files.url("up")),
            "root": (xrootd.folder / "up", xrootd.url("up")),
        }[kind]
        publish(folder, FILES)
    samples = set_of(base, FILES, known=kind != "file")
    outcome = run(samples, url, access)
    assert outcome.complete, outcome.failed
    assert (outcome.moved, outcome.present) == (4, 0)
    assert outcome.bytes_moved == outcome.bytes == sum(map(len, FILES.values()))
    check(url, access)
    outcome = run(samples, url, access)
    assert (outcome.moved, outcome.present, outcome.bytes_moved) == (0, 4, 0)
    assert outcome.checksums["S/f0.root"] == adler32(FILES["f0.root"])


def test_where_nobody_knows_a_checksum_the_bytes_are_compared(
    http_files: HttpServer, place: tuple[str, Access]
) -> None:
    url, access = place
    files = contents(9 * MB, 1000)
    publish(http_files.folder / "bare", files)
    samples = set_of(http_files.url("bare"), files, known=False)
    assert run(samples, url, access).moved == 2
    check(url, access, files)
    outcome = run(samples, url, access)
    assert (outcome.complete, outcome.present) == (True, 2)


def test_into_gcs(gcs: GcsServer, http_files: HttpServer, access: Make, s3: S3Server) -> None:
    files = contents(MB, 1000)
    publish(http_files.folder / "gcs", files)
    with xml_gcs(gcs.endpoint) as address:
        settings = access({"STORAGE_EMULATOR_HOST": address})
        url = f"gs://{gcs.create_bucket()}"
        samples = set_of(http_files.url("gcs"), files)
        assert run(samples, url, settings).moved == 2
        check(url, settings, files)
        assert run(samples, url, settings).present == 2


def test_what_is_not_the_file_never_appears(
    http_files: HttpServer, s3: S3Server, place: tuple[str, Access]
) -> None:
    url, access = place
    files = contents(9 * MB, 1000)
    publish(http_files.folder / "wrong", {**files, "f0.root": b"x" * 9 * MB})
    outcome = run(set_of(http_files.url("wrong"), files), url, access)
    ((item, error),) = outcome.failed
    assert item.path == "S/f0.root"
    assert "another checksum" in str(error)
    assert outcome.moved == 1
    with pytest.raises(InputError, match="no such file"):
        open_source(f"{url}/S/f0.root", access=access)
    publish(http_files.folder / "wrong", files)
    assert run(set_of(http_files.url("wrong"), files), url, access).moved == 1


def test_another_object_is_not_overwritten(
    http_files: HttpServer, s3: S3Server, place: tuple[str, Access]
) -> None:
    url, access = place
    files = contents(1000, 2000)
    publish(http_files.folder / "mine", files)
    bucket = url.split("/")[2]
    s3.put(bucket, "pre/fix/S/f0.root", b"m" * 1000)
    s3.put(bucket, "pre/fix/S/f1.root", b"mine")
    outcome = run(set_of(http_files.url("mine"), files), url, access)
    assert len(outcome.failed) == 2
    assert all("another object is there" in str(error) for _, error in outcome.failed)
    with open_source(f"{url}/S/f1.root", access=access) as source:
        assert source.size == 4


def test_stopped_in_the_middle_nothing_half_is_there(
    http_files: HttpServer, place: tuple[str, Access]
) -> None:
    url, access = place
    files = contents(20 * MB)
    publish(http_files.folder / "stop", files)
    samples = set_of(http_files.url("stop"), files)
    bucket = Bucket(url, access)
    work = Upload(items_of(samples), bucket, access)

    def stop(state: Any) -> None:
        if state.bytes_moved > 5 * MB:
            raise KeyboardInterrupt

    class Slow:
        def take(self, count: int) -> None:
            threading.Event().wait(0.3)

    work._rate = Slow()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        work.run(stop)
    assert bucket.size_of("S/f0.root") is None
    assert run(samples, url, access).moved == 1
    check(url, access, files)


def test_not_let_in_and_no_bucket(s3: S3Server, http_files: HttpServer, access: Make) -> None:
    files = contents(100)
    publish(http_files.folder / "no", files)
    samples = set_of(http_files.url("no"), files)
    with pytest.raises(CredentialsError):
        run(samples, f"s3://{s3.create_bucket()}", access(keys(s3, "wrong")))
    reader = {"AWS_ACCESS_KEY_ID": s3.readonly_access_key,
              "AWS_SECRET_ACCESS_KEY": s3.readonly_secret_key}  # fmt: skip
    with pytest.raises(CredentialsError):
        run(samples, f"s3://{s3.create_bucket()}", access({**keys(s3), **reader}))
    outcome = run(samples, "s3://no-such-bucket-here", access(keys(s3)))
    assert "no such bucket" in str(outcome.failed[0][1])
    for wrong in ("http://h/x", "s3://", "/a/folder"):
        with pytest.raises(UsageError, match="into a bucket"):
            Bucket(wrong, access())


def test_a_store_that_is_away(http_files: HttpServer, access: Make, s3: S3Server) -> None:
    from higgsdemo.transfer import bucket as module

    files = contents(100)
    publish(http_files.folder / "away", files)
    gone = {**keys(s3), "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    patience = module._PERSISTENCE
    module._PERSISTENCE = module.Persistence()
    try:
        outcome = run(set_of(http_files.url("away"), files), "s3://b", access(gone))
    finally:
        module._PERSISTENCE = patience
    assert isinstance(outcome.failed[0][1], TransientError)


def test_the_whole_way(
    higgsdemo: Callable[..., Said],
    s3: S3Server,
    events: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Up from a folder, analysed there; down into another, analysed there: the same results."""
    for name, value in keys(s3).items():
        monkeypatch.setenv(name, value)
    folder, bucket = events.parent, s3.create_bucket()
    one = ("--filter", "sample=SMHiggsToZZTo4L")
    plan = higgsdemo("samples", "upload", folder, "--to", f"s3://{bucket}/d", *one, "--dry-run")
    assert "to upload" in plan.out
    said = higgsdemo(
        "samples", "upload", folder, "--to", f"s3://{bucket}/d", *one,
        "--output", "there.yaml", "--indexes", "indexes",
    )  # fmt: skip
    assert said.status == 0, said.err
    assert "what comes next: higgsdemo run there.yaml" in said.out
    (index,) = (tmp_path / "indexes").iterdir()
    assert index.name == "SMHiggsToZZTo4L_file_index.txt"
    assert index.read_text() == f"s3/{bucket}/d/SMHiggsToZZTo4L/SMHiggsToZZTo4L.root\n"
    said = higgsdemo("samples", "download", "there.yaml", "--output", "here", "--json")
    assert said.status == 0, said.err
    assert said.json["next"] == "higgsdemo run here"
    again = higgsdemo("samples", "download", "there.yaml", "--output", "here")
    assert "1 were there" in again.out
    tasks = {
        tuple(file.name for file in load_set(spec)["SMHiggsToZZTo4L"].files)
        for spec in (folder, "there.yaml", "here")
    }
    assert tasks == {("SMHiggsToZZTo4L.root",)}
    results = []
    for spec in (folder, "there.yaml", "here"):
        name = f"of-{Path(spec).stem}"
        said = higgsdemo("run", spec, *one, "--run", name, "--workers", "1", "--no-plot")
        assert said.status == 0, said.err
        with open_run(tmp_path / "runs", name).ledger() as ledger:
            results.append(dict(ledger.digests()))
    assert results[0]
    assert results[0] == results[1] == results[2]  # task ids and the digests of their results


@pytest.fixture(scope="session")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from higgsdemo.simulation import Settings, generate

    folder = tmp_path_factory.mktemp("generated") / "demo"
    generate(Settings(folder, events_scale=0.005))
    return folder / "SMHiggsToZZTo4L.root"
