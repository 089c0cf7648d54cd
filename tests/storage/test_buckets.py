"""How obstore is told where to go and as whom."""

from pathlib import Path

import pytest

from higgsdemo.errors import CredentialsError, UsageError
from higgsdemo.storage.access import Access
from higgsdemo.storage.buckets import bucket_store

pytest.importorskip("obstore")


def access(**variables: str) -> Access:
    keys = {"AWS_ACCESS_KEY_ID": "key-in-clear", "AWS_SECRET_ACCESS_KEY": "hush-hush"}
    return Access.from_environment({"HOME": "/nobody", **keys, **variables})


def test_the_endpoint_is_that_of_the_storage_room() -> None:
    own = access(AWS_ENDPOINT_URL="http://127.0.0.1:1")
    store = bucket_store("s3", "b", own, "s3://b")
    assert "127.0.0.1:1" in str(store.config)
    assert "hush-hush" not in repr(store)
    host = access(HIGGSDEMO_STORAGE_HOST="store.example.org")
    assert "https://store.example.org" in str(bucket_store("s3", "b", host, "s3://b").config)


def test_a_public_bucket_needs_no_keys() -> None:
    nobody = Access.from_environment({"HOME": "/nobody", "HIGGSDEMO_ANONYMOUS": "1"})
    bucket_store("s3", "b", nobody, "s3://b")
    bucket_store("gs", "b", nobody, "gs://b")
    with pytest.raises(CredentialsError, match="no keys"):
        bucket_store("s3", "b", Access.from_environment({"HOME": "/nobody"}), "s3://b")


def test_mounted_secrets(tmp_path: Path) -> None:
    (tmp_path / "access-key").write_text("k\n")
    (tmp_path / "secret-key").write_text("s\n")
    mounted = Access.from_environment({"HOME": "/nobody", "HIGGSDEMO_SECRETS_DIR": str(tmp_path)})
    bucket_store("s3", "b", mounted, "s3://b")


def test_certificates_that_cannot_be_read() -> None:
    with pytest.raises(UsageError, match="certificates"):
        bucket_store("s3", "b", access(HIGGSDEMO_STORAGE_CA="/no/such/file"), "s3://b")
