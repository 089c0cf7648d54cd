"""SeaweedFS with the clients a user has: s3fs and obstore; keys, errors, ranges, restart, TLS."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.services import sigv4
from tests.services.fixtures import or_skip
from tests.services.s3 import S3Server, s3_server

BODY = os.urandom(300_000)


def filesystem(server: S3Server, **changes: Any) -> Any:
    s3fs = pytest.importorskip("s3fs")
    more = {"verify": str(server.certificates.authority)} if server.certificates else {}
    options = {
        "key": server.access_key,
        "secret": server.secret_key,
        "client_kwargs": {"endpoint_url": server.endpoint, "region_name": server.region, **more},
        "skip_instance_cache": True,
    }
    return s3fs.S3FileSystem(**options | changes)


def store(server: S3Server, bucket: str, **changes: Any) -> Any:
    stores = pytest.importorskip("obstore.store")
    options = {
        "endpoint": server.endpoint,
        "access_key_id": server.access_key,
        "secret_access_key": server.secret_key,
        "region": server.region,
        "virtual_hosted_style_request": False,
        "client_options": {"allow_http": True},
        "retry_config": {"max_retries": 0},
    }
    return stores.S3Store(bucket, **options | changes)


def test_s3fs_round_trip(s3: S3Server) -> None:
    bucket = s3.create_bucket()
    client = filesystem(s3)
    client.pipe(f"{bucket}/folder/a file.root", BODY)
    assert client.ls(f"{bucket}/folder") == [f"{bucket}/folder/a file.root"]
    assert client.cat(f"{bucket}/folder/a file.root") == BODY
    assert client.cat_file(f"{bucket}/folder/a file.root", start=1000, end=1999) == BODY[1000:1999]


def test_obstore_round_trip(s3: S3Server) -> None:
    obstore = pytest.importorskip("obstore")
    at = store(s3, s3.create_bucket())
    obstore.put(at, "a.root", BODY)
    assert bytes(obstore.get(at, "a.root").bytes()) == BODY
    assert bytes(obstore.get_range(at, "a.root", start=7, end=1007)) == BODY[7:1007]


def test_put_without_a_client(s3: S3Server) -> None:
    url = s3.put(s3.create_bucket(), "folder/é + ~.root", BODY)
    assert filesystem(s3).cat(url) == BODY


def test_conditional_write(s3: S3Server) -> None:
    obstore = pytest.importorskip("obstore")
    errors = pytest.importorskip("obstore.exceptions")
    at = store(s3, s3.create_bucket())
    obstore.put(at, "once", b"1", mode="create")
    with pytest.raises(errors.AlreadyExistsError):
        obstore.put(at, "once", b"2", mode="create")
    assert bytes(obstore.get(at, "once").bytes()) == b"1"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"secret": "wrong"}, "SignatureDoesNotMatch"), ({"key": "nobody"}, "InvalidAccessKeyId")],
)
def test_wrong_keys_are_refused(s3: S3Server, wrong: dict[str, str], code: str) -> None:
    bucket = s3.create_bucket()
    url = s3.put(bucket, "a", b"1")
    with pytest.raises(PermissionError):
        filesystem(s3, **wrong).cat(url)
    keys = {"key": s3.access_key, "secret": s3.secret_key, **wrong}
    status, why = sigv4.request("GET", s3.endpoint, f"/{bucket}/a", keys["key"], keys["secret"])
    assert (status, f"<Code>{code}</Code>" in why.decode()) == (403, True)


def test_nobody_without_keys_is_let_in(s3: S3Server) -> None:
    url = s3.put(s3.create_bucket(), "a", b"1")
    with pytest.raises(PermissionError):
        filesystem(s3, key=None, secret=None, anon=True).cat(url)


def test_the_reader_may_read_and_not_write(s3: S3Server) -> None:
    bucket = s3.create_bucket()
    url = s3.put(bucket, "a", b"1")
    reader = filesystem(s3, key=s3.readonly_access_key, secret=s3.readonly_secret_key)
    assert reader.cat(url) == b"1"
    with pytest.raises(PermissionError):
        reader.pipe(f"{bucket}/b", b"2")


def test_a_missing_bucket_or_object_is_missing(s3: S3Server) -> None:
    bucket = s3.create_bucket()
    with pytest.raises(FileNotFoundError):
        filesystem(s3).cat(f"{bucket}/nothing")
    with pytest.raises(FileNotFoundError):
        filesystem(s3).cat("no-such-bucket/nothing")
    with pytest.raises(OSError, match="404"):
        s3.put("no-such-bucket", "a", b"made on demand?")


def test_two_at_once_and_a_restart_keeps_the_objects(tmp_path: Path) -> None:
    with or_skip(s3_server(tmp_path / "one")) as one, s3_server(tmp_path / "two") as two:
        one.create_bucket("hep")
        one.put("hep", "a", BODY)
        assert one.port != two.port
        with pytest.raises(OSError, match="404"):
            two.request("GET", "/hep/a")
    assert not one.process.alive()
    with s3_server(tmp_path / "one") as again:
        assert again.secret_key != one.secret_key
        assert again.request("GET", "/hep/a") == BODY
    left = list(Path("/tmp").glob(f"seaweedfs-s3-grpc-{again.port + 10_000}.sock"))
    assert left == []


def test_tls_with_its_own_authority(s3_tls: S3Server) -> None:
    assert s3_tls.endpoint.startswith("https://")
    url = s3_tls.put(s3_tls.create_bucket(), "a", BODY)
    assert filesystem(s3_tls).cat(url) == BODY


def test_tls_of_an_unknown_authority_is_refused(s3_tls: S3Server) -> None:
    url = s3_tls.put(s3_tls.create_bucket(), "a", BODY)
    botocore = pytest.importorskip("botocore.exceptions")
    client = {"endpoint_url": s3_tls.endpoint, "region_name": s3_tls.region}
    once = {"retries": {"max_attempts": 0}}
    with pytest.raises(botocore.SSLError):
        filesystem(s3_tls, client_kwargs=client, config_kwargs=once).cat(url)


def test_only_the_owner_may_read_the_keys(tmp_path: Path) -> None:
    with or_skip(s3_server(tmp_path)):
        assert (tmp_path / "s3-identities.json").stat().st_mode & 0o077 == 0
