import base64
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from higgsdemo.errors import CredentialsError
from higgsdemo.storage import Access
from higgsdemo.storage.tokens import (
    Bearer,
    bearer_token,
    jwt_expiry,
    proxy_expiry,
    proxy_path,
)

Make = Callable[..., Access]


def jwt(**claims: object) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in ({}, claims)]
    return b".".join([*(part.rstrip(b"=") for part in parts), b"signature"]).decode()


def test_tokens_are_discovered_in_the_order_of_wlcg(access: Make, tmp_path: Path):
    runtime, told, mounted = tmp_path / "run", tmp_path / "told", tmp_path / "mounted"
    runtime.mkdir()
    mounted.mkdir()
    variables = {"XDG_RUNTIME_DIR": str(runtime)}
    assert bearer_token(access(variables)) is None
    (runtime / f"bt_u{os.geteuid()}").write_text("from-runtime\n")
    assert bearer_token(access(variables)) == "from-runtime"
    told.write_text("from-file\n")
    variables["BEARER_TOKEN_FILE"] = str(told)
    assert bearer_token(access(variables)) == "from-file"
    variables["BEARER_TOKEN"] = "from-variable"
    assert bearer_token(access(variables)) == "from-variable"
    (mounted / "bearer-token").write_text("from-mount")
    variables["HIGGSDEMO_SECRETS_DIR"] = str(mounted)
    assert bearer_token(access(variables)) == "from-mount"


def test_a_file_that_was_named_must_be_there(access: Make, tmp_path: Path):
    with pytest.raises(CredentialsError, match="missing"):
        bearer_token(access({"BEARER_TOKEN_FILE": str(tmp_path / "none")}))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(CredentialsError, match="cannot read"):
        bearer_token(access({"BEARER_TOKEN_FILE": str(tmp_path / "binary")}))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file of somebody else")
def test_a_token_of_somebody_else_is_not_taken(access: Make, tmp_path: Path):
    path = tmp_path / f"bt_u{os.geteuid()}"
    path.write_text("planted")
    os.chown(path, 12345, 12345)
    assert bearer_token(access({"XDG_RUNTIME_DIR": str(tmp_path)})) is None


def test_when_a_token_ends():
    assert jwt_expiry(jwt(exp=1_900_000_000)) == datetime.fromtimestamp(1_900_000_000, UTC)
    for other in (jwt(), "opaque", "a.b.c", jwt(exp="soon"), jwt(exp=1e300), ""):
        assert jwt_expiry(other) is None


def test_the_hint_says_that_the_token_ended(access: Make):
    bearer = Bearer(access({"BEARER_TOKEN": jwt(exp=1_500_000_000)}))
    bearer.headers("http://h/")
    assert "ended at 2017-07-14 02:40:00 UTC" in bearer.hint
    anonymous = Bearer(access({"BEARER_TOKEN": "t"}, anonymous=True))
    assert anonymous.headers("http://h/") == {}


def proxy(path: Path, *ends: datetime) -> Path:
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "proxy")])
    made = [
        x509.CertificateBuilder(name, name, key.public_key(), 7, datetime(2000, 1, 1), end)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        for end in ends
    ]
    path.write_bytes(b"".join(made))
    return path


def test_when_a_proxy_ends(tmp_path: Path, access: Make):
    soon, later, far = (datetime(year, 5, 6, 7, 8, 9) for year in (2030, 2049, 2055))
    path = proxy(tmp_path / "proxy", later, soon, far)
    assert proxy_expiry(path) == soon.replace(tzinfo=UTC)
    assert proxy_expiry(proxy(tmp_path / "far", far)) == far.replace(tzinfo=UTC)
    assert proxy_expiry(tmp_path / "none") is None
    assert proxy_path(access({"X509_USER_PROXY": str(path)})) == path
    for content in (b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(CredentialsError, match=r"not an X\.509 proxy"):
            proxy_expiry(tmp_path / "bad")
    half = path.read_bytes()[:200] + b"\n-----END CERTIFICATE-----\n"
    (tmp_path / "half").write_bytes(half)
    with pytest.raises(CredentialsError):
        proxy_expiry(tmp_path / "half")
