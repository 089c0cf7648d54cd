"""Buckets as sinks: S3 that enforces its keys, and Google's interface."""

import re
from pathlib import Path

import pytest

from higgsdemo.errors import CredentialsError, RunError, TransientError, UsageError
from higgsdemo.sinks import bucket as module
from higgsdemo.sinks import open_sink
from higgsdemo.sinks.parcel import ENDING, pack
from tests.ledger.builders import make_task, result_of
from tests.services.process import free_ports
from tests.services.s3 import S3Server
from tests.sinks.conftest import QUICK, use_s3

pytest.importorskip("obstore")

RESULT = result_of(make_task(1))
NAME, PAYLOAD = pack(RESULT, "r")


def deliver(url: str) -> None:
    with open_sink(url, patience=QUICK) as sink:
        sink.deliver(RESULT, "r")


def look(url: str) -> None:
    with open_sink(url, patience=QUICK) as sink:
        list(sink.pages("r"))


def keys(server: S3Server, bucket: str) -> list[str]:
    return re.findall("<Key>([^<]+)</Key>", server.request("GET", f"/{bucket}").decode())


def test_keys_carry_the_run(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    use_s3(s3, monkeypatch)
    bucket = s3.create_bucket()
    deliver(f"s3://{bucket}")
    deliver(f"s3://{bucket}/some/prefix/")
    ending = f"r/results/{NAME}{ENDING}"
    assert keys(s3, bucket) == [ending, f"some/prefix/{ending}"]
    assert s3.request("GET", f"/{bucket}/{ending}") == PAYLOAD


def test_an_object_is_never_overwritten(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    use_s3(s3, monkeypatch)
    bucket = s3.create_bucket()
    first = f"r/results/{NAME}{ENDING}"
    s3.put(bucket, first, b"bit rot")
    deliver(f"s3://{bucket}")
    assert s3.request("GET", f"/{bucket}/{first}") == b"bit rot"
    second = f"r/results/{NAME}-2{ENDING}"
    assert keys(s3, bucket) == sorted([first, second])
    assert s3.request("GET", f"/{bucket}/{second}") == PAYLOAD
    for number in range(2, 6):
        s3.put(bucket, f"r/results/{NAME}-{number}{ENDING}", b"bit rot")
    with pytest.raises(RunError, match="5 damaged"):
        deliver(f"s3://{bucket}")


def test_strange_and_huge_objects_are_named_not_fetched(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_s3(s3, monkeypatch)
    bucket = s3.create_bucket()
    monkeypatch.setattr(module, "MAX_STORED_BYTES", len(PAYLOAD))
    deliver(f"s3://{bucket}")
    s3.put(bucket, f"r/results/{NAME}-2{ENDING}", PAYLOAD + b"!")
    s3.put(bucket, "r/results/deeper/x", b"x")
    with open_sink(f"s3://{bucket}") as sink:
        found = {a.name: a for page in sink.pages("r") for a in page.arrivals}
    assert found[NAME].payload == PAYLOAD
    assert "more than any result" in (found[f"{NAME}-2"].problem or "")
    assert found["deeper/x"].payload is None


def test_listing_goes_on_after_each_page_of_keys(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_s3(s3, monkeypatch)
    bucket = s3.create_bucket()
    monkeypatch.setattr(module, "LISTED", 4)
    with open_sink(f"s3://{bucket}") as sink:
        for number in range(11):
            sink.deliver(result_of(make_task(number)), "r")
        assert len([a for page in sink.pages("r") for a in page.arrivals]) == 11


def test_wrong_keys(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    use_s3(s3, monkeypatch)
    url = f"s3://{s3.create_bucket()}"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    for call in (deliver, look):
        with pytest.raises(CredentialsError) as caught:
            call(url)
        assert "not-the-secret" not in str(caught.value)
        assert len(str(caught.value)) < 1000


def test_keys_that_may_only_read(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    use_s3(s3, monkeypatch)
    url = f"s3://{s3.create_bucket()}"
    deliver(url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.readonly_access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.readonly_secret_key)
    with open_sink(url) as sink:
        assert len([a for page in sink.pages("r") for a in page.arrivals]) == 1
        with pytest.raises(CredentialsError, match="let us in"):
            sink.deliver(RESULT, "r")


def test_no_keys_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(CredentialsError, match="no keys"):
        open_sink("s3://bucket")


def test_a_missing_bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    use_s3(s3, monkeypatch)
    for call in (deliver, look):
        with pytest.raises(RunError, match="not there"):
            call("s3://there-is-none")


def test_an_unreachable_host(monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "hush",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    with pytest.raises(TransientError, match=r"tried for \d s") as caught:
        deliver("s3://bucket")
    assert "hush" not in str(caught.value)


def test_a_certificate_that_must_be_told(s3_tls: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    use_s3(s3_tls, monkeypatch)
    assert s3_tls.certificates
    url = f"s3://{s3_tls.create_bucket()}"
    with pytest.raises(CredentialsError, match="who it is"):
        deliver(url)
    monkeypatch.setenv("HIGGSDEMO_STORAGE_CA", str(s3_tls.certificates.authority))
    deliver(url)
    monkeypatch.setenv("HIGGSDEMO_STORAGE_CA", "/no/such/file")
    with pytest.raises(UsageError, match="certificates"):
        open_sink(url)


def test_a_sink_says_which_google_credentials_are_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrong = tmp_path / "key.json"
    wrong.write_text('{"private_key": "hush"}')
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(wrong))
    with pytest.raises(CredentialsError) as caught:
        open_sink("gs://bucket")
    assert "hush" not in str(caught.value)
