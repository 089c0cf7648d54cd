from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from higgsdemo.errors import CredentialsError
from higgsdemo.storage import Access
from higgsdemo.storage.expiry import expires
from tests.storage.test_tokens import jwt, proxy

Make = Callable[..., Access]
END = datetime(2030, 1, 1, tzinfo=UTC)


def test_when_credentials_end(access: Make, tmp_path: Path):
    token = {"BEARER_TOKEN": jwt(exp=END.timestamp())}
    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    assert expires("https://h/f", access(token)) == END
    assert expires("https://h/f", access()) is None
    assert expires("s3://b/k", access(keys)) is None
    ends = keys | {"AWS_CREDENTIAL_EXPIRATION": "2030-01-01T00:00:00Z"}
    assert expires("s3/b/k", access(ends)) == END
    assert expires("/local", access(token)) is None
    assert expires("gs://b/k", access(token)) is None
    sooner = proxy(tmp_path / "proxy", datetime(2029, 1, 1))
    both = token | {"X509_USER_PROXY": str(sooner)}
    assert expires("root://h//f", access(both)) == datetime(2029, 1, 1, tzinfo=UTC)
    assert expires("https://h/f", access(both)) == END
    assert expires("root://h//f", access(both, anonymous=True)) is None


def test_no_keys_at_all_is_known_before_a_run(access: Make):
    with pytest.raises(CredentialsError, match="no keys"):
        expires("s3://b/k", access())


def test_the_environment_is_what_counts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BEARER_TOKEN", jwt(exp=END.timestamp()))
    assert expires("https://h/f") == END
