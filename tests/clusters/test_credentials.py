"""Credentials for workers, from the environment into files of a secret."""

from pathlib import Path

import pytest

from higgsdemo.clusters.credentials import from_environment
from higgsdemo.clusters.prepare import Preparation
from higgsdemo.errors import UsageError

AWS = {"AWS_ACCESS_KEY_ID": "aid", "AWS_SECRET_ACCESS_KEY": "asecret"}
GS = {"GS_ACCESS_KEY_ID": "gid", "GS_SECRET_ACCESS_KEY": "gsecret"}


def test_what_the_environment_has(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("certificate")
    more = {"AWS_SESSION_TOKEN": "st", "REDIS_PASSWORD": "rp", "HIGGSDEMO_STORAGE_CA": authority}
    assert from_environment({**AWS, **GS, **{k: str(v) for k, v in more.items()}}) == {
        "access-key": b"aid",
        "secret-key": b"asecret",
        "session-token": b"st",
        "redis-password": b"rp",
        "ca": b"certificate",
    }
    assert from_environment({}) == {}
    assert from_environment(GS)["access-key"] == b"gid"


def test_given_keys_come_first_and_alone() -> None:
    found = from_environment({**AWS, "AWS_SESSION_TOKEN": "st"}, ("k", "s"))
    assert found == {"access-key": b"k", "secret-key": b"s"}


def test_half_a_pair() -> None:
    with pytest.raises(UsageError, match="belong together"):
        from_environment({"AWS_ACCESS_KEY_ID": "aid"})


def test_certificates_that_are_not_there() -> None:
    with pytest.raises(UsageError, match="cannot read the certificates"):
        from_environment({"HIGGSDEMO_STORAGE_CA": "/absent"})


def test_a_preparation_shows_no_secret() -> None:
    assert "hidden-value" not in repr(Preparation(credentials={"access-key": b"hidden-value"}))
