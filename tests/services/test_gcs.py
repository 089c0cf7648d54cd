"""fake-gcs-server with gcsfs, Google's own client and obstore."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.services.fixtures import or_skip
from tests.services.gcs import GcsServer, gcs_server

BODY = os.urandom(300_000)


@pytest.fixture
def filesystem(gcs: GcsServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in gcs.environment.items():
        monkeypatch.setenv(name, value)
    gcsfs = pytest.importorskip("gcsfs")
    return gcsfs.GCSFileSystem(
        token="anon", endpoint_url=gcs.endpoint, project="p", skip_instance_cache=True
    )


def test_gcsfs_round_trip(gcs: GcsServer, filesystem: Any) -> None:
    bucket = gcs.create_bucket()
    filesystem.pipe(f"{bucket}/folder/a file.root", BODY)
    assert filesystem.ls(f"{bucket}/folder") == [f"{bucket}/folder/a file.root"]
    assert filesystem.cat(f"{bucket}/folder/a file.root") == BODY
    part = filesystem.cat_file(f"{bucket}/folder/a file.root", start=1000, end=1999)
    assert part == BODY[1000:1999]


def test_put_without_a_client(gcs: GcsServer, filesystem: Any) -> None:
    assert filesystem.cat(gcs.put(gcs.create_bucket(), "folder/é + ~.root", BODY)) == BODY


def test_googles_client(gcs: GcsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in gcs.environment.items():
        monkeypatch.setenv(name, value)
    storage = pytest.importorskip("google.cloud.storage")
    exceptions = pytest.importorskip("google.api_core.exceptions")
    anonymous = pytest.importorskip("google.auth.credentials").AnonymousCredentials()
    with storage.Client(project="p", credentials=anonymous) as client:
        blob = client.bucket(gcs.create_bucket()).blob("a.root")
        blob.upload_from_string(BODY, if_generation_match=0)
        assert blob.download_as_bytes(start=1000, end=1998) == BODY[1000:1999]
        with pytest.raises(exceptions.PreconditionFailed):
            blob.upload_from_string(b"again", if_generation_match=0)


def test_obstore_reads(gcs: GcsServer) -> None:
    obstore = pytest.importorskip("obstore")
    stores = pytest.importorskip("obstore.store")
    bucket = gcs.create_bucket()
    gcs.put(bucket, "a.root", BODY)
    http = {"allow_http": True}
    at = stores.GCSStore(bucket, service_account_key=gcs.obstore_key, client_options=http)
    assert bytes(obstore.get_range(at, "a.root", start=7, end=1007)) == BODY[7:1007]


def test_what_is_missing_is_missing(gcs: GcsServer, filesystem: Any) -> None:
    with pytest.raises(FileNotFoundError):
        filesystem.cat(f"{gcs.create_bucket()}/nothing")
    with pytest.raises(FileNotFoundError):
        filesystem.cat("no-such-bucket/nothing")


def test_two_at_once_and_a_restart_keeps_the_objects(tmp_path: Path) -> None:
    with or_skip(gcs_server(tmp_path / "one")) as one, gcs_server(tmp_path / "two") as two:
        assert one.port != two.port
        one.create_bucket("hep")
        one.put("hep", "a", BODY)
        two.create_bucket("hep")  # another one of the same name
    with gcs_server(tmp_path / "one") as again:
        again.put("hep", "b", b"the bucket is there")
