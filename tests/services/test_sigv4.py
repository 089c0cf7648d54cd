"""The signature, against the one of AWS's own client."""

from datetime import UTC, datetime

import pytest

from tests.services import sigv4


def test_the_same_signature_as_botocore() -> None:
    """AWS's own client signs the same request the same way."""
    auth = pytest.importorskip("botocore.auth")
    awsrequest = pytest.importorskip("botocore.awsrequest")
    credentials = pytest.importorskip("botocore.credentials").Credentials("AKID", "secret/+=")
    url = "http://127.0.0.1:8333/bucket/a%20b/%C3%A9~.root"
    ours = sigv4.sign("PUT", url, b"bytes", "AKID", "secret/+=", datetime(2026, 11, 23, tzinfo=UTC))
    request = awsrequest.AWSRequest("PUT", url, data=b"bytes")
    signer = auth.S3SigV4Auth(credentials, "s3", sigv4.REGION)
    request.context["timestamp"] = "20261123T000000Z"
    request.headers["X-Amz-Date"] = "20261123T000000Z"
    request.headers["X-Amz-Content-SHA256"] = ours["x-amz-content-sha256"]
    to_sign = signer.string_to_sign(request, signer.canonical_request(request))
    assert ours["authorization"].endswith("Signature=" + signer.signature(to_sign, request))
