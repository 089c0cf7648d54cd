import json
from collections.abc import Callable
from pathlib import Path

import pytest

from higgsdemo.errors import CredentialsError, InputError, UsageError
from higgsdemo.storage import Access, Source, open_source
from higgsdemo.storage.gcs import Gcs
from higgsdemo.storage.refusals import Reply
from tests.services.gcs import GcsServer
from tests.services.http_files import Answer, HttpServer

Make = Callable[..., Access]


def test_the_same_result_as_from_disk(
    gcs: GcsServer, access: Make, events: Path, digest: Callable[[Source], str], true_digest: str
):
    bucket = gcs.create_bucket()
    for key in ("a.root", "deep/with space+.root"):
        url = gcs.put(bucket, key, events.read_bytes())
        for one in (url, url.replace("://", "/")):
            with open_source(one, access=access(gcs.environment)) as source:
                assert digest(source) == true_digest


def test_missing_files(gcs: GcsServer, access: Make):
    bucket = gcs.create_bucket()
    with pytest.raises(InputError, match="no such file"):
        open_source(f"gs://{bucket}/none", access=access(gcs.environment))
    with pytest.raises(UsageError, match="gs://BUCKET/KEY"):
        open_source(f"gs://{bucket}", access=access(gcs.environment))


def test_addresses(access: Make):
    assert Gcs(access()).address("gs://b/a b") == "https://storage.googleapis.com/b/a%20b"
    emulator = access({"STORAGE_EMULATOR_HOST": "127.0.0.1:1"})
    assert Gcs(emulator).address("gs://b/a") == "http://127.0.0.1:1/b/a"


def test_nobody_and_hmac_keys(access: Make):
    url = "https://storage.googleapis.com/b/a"
    assert Gcs(access(anonymous=True)).headers(url) == {}
    keys = {"GS_ACCESS_KEY_ID": "GOOG1", "GS_SECRET_ACCESS_KEY": "hmac-secret"}
    signed = Gcs(access(keys)).headers(url)
    assert "Credential=GOOG1/" in signed["authorization"]
    assert "/auto/s3/aws4_request" in signed["authorization"]
    assert "hmac-secret" not in str(signed)


def test_without_credentials_it_is_said(access: Make, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("google.auth")
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nowhere")
    with pytest.raises(CredentialsError, match="no credentials for gs://"):
        open_source("gs://bucket/a", access=access())


def test_application_default_credentials(
    http_files: HttpServer, access: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A service account's key, exchanged for a token at the address the key names."""
    pytest.importorskip("google.auth")
    rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    file = tmp_path / "account.json"
    file.write_text(
        json.dumps(
            {
                "type": "service_account",
                "client_email": "me@example.org",
                "private_key": key.decode(),
                "token_uri": http_files.url("token"),
            }
        )
    )
    given: list[str] = []

    def answer(asked, entry):
        assert b"assertion=" in asked.body
        given.append(f"token-{len(given)}")
        body = {"access_token": given[-1], "expires_in": 3600, "token_type": "Bearer"}
        return Answer(200, {"Content-Type": "application/json"}, [json.dumps(body).encode()])

    monkeypatch.setattr(http_files, "answer", answer)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    store = Gcs(access())
    assert store.headers("https://x/") == {"Authorization": "Bearer token-0"}
    assert store.headers("https://x/") == {"Authorization": "Bearer token-0"}
    assert store.renew(Reply(401, "Unauthorized", {}, ""))
    assert store.headers("https://x/") == {"Authorization": "Bearer token-1"}
    monkeypatch.setattr(http_files, "answer", lambda *_: Answer(403, {}, [b"no"]))
    store.renew(Reply(401, "Unauthorized", {}, ""))
    with pytest.raises(CredentialsError):
        store.headers("https://x/")
