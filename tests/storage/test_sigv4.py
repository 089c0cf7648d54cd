"""Against AWS's published examples, and a server that checks."""

from datetime import UTC, datetime

import pytest

from higgsdemo.storage.sigv4 import Keys, sign

# AWS, "Authenticating Requests (AWS Signature Version 4)", examples for S3.
KEYS = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
NOW = datetime(2013, 5, 24, tzinfo=UTC)
HOST = "https://examplebucket.s3.amazonaws.com"


@pytest.mark.parametrize(
    ("url", "headers", "signature"),
    [
        (
            f"{HOST}/test.txt",
            {"Range": "bytes=0-9"},
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            f"{HOST}/?lifecycle",
            {},
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            f"{HOST}/?max-keys=2&prefix=J",
            {},
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_the_published_examples(url: str, headers: dict[str, str], signature: str):
    signed = sign("GET", url, KEYS, "us-east-1", headers=headers, now=NOW)
    assert signed["authorization"].endswith(f"Signature={signature}")


def test_a_session_token_is_sent_and_signed():
    keys = Keys("a", "s", "the-token")
    signed = sign("GET", f"{HOST}/k", keys, "us-east-1", now=NOW)
    assert signed["x-amz-security-token"] == "the-token"
    assert "x-amz-security-token" in signed["authorization"]


def test_keys_do_not_show_their_secrets():
    assert "SECRET" not in repr(Keys("id", "SECRET-1", "SECRET-2"))
