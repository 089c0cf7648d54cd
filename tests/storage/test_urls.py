from pathlib import Path

import pytest

from higgsdemo.storage.urls import bucket_and_key, has_secret, normalise, origin, redact, scheme_of


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("s3/bucket/a/b.root", "s3://bucket/a/b.root"),
        ("gs/bucket/b.root", "gs://bucket/b.root"),
        ("s3/bucket", "s3/bucket"),
        ("s3://bucket/key", "s3://bucket/key"),
        ("data/s3/bucket/key", "data/s3/bucket/key"),
        ("/s3/bucket/key", "/s3/bucket/key"),
    ],
)
def test_the_spelling_of_the_demos_indexes(text: str, means: str):
    assert normalise(text) == means


def test_a_local_folder_named_s3_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3" / "b").mkdir(parents=True)
    (tmp_path / "s3" / "b" / "f").touch()
    assert normalise("s3/b/f") == "s3/b/f"
    assert normalise("s3/b/g") == "s3://b/g"


def test_schemes():
    assert scheme_of("ROOT://host//a") == "root"
    assert scheme_of("file:/a") == "file"
    assert scheme_of("/a:/b") is None
    assert scheme_of("a/b.root") is None


def test_buckets_and_keys_as_they_are():
    assert bucket_and_key("s3://b/a%20b/c?d#e") == ("b", "a%20b/c?d#e")
    assert bucket_and_key("s3://b") == ("b", "")


def test_origins_tell_ports_and_schemes_apart():
    assert origin("https://U:p@Host:1/a") == ("https", "host:1")
    assert origin("http://host/") != origin("https://host/")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@host/f", "https://***@host/f"),
        ("https://aToken@host/f", "https://***@host/f"),
        ("root://me@host//f", "root://me@host//f"),
        ("root://me:secret@host//f", "root://***@host//f"),
        ("https://h/f?X-Amz-Signature=ab&x=1", "https://h/f?X-Amz-Signature=***&x=1"),
        ("https://h/f?X-Amz-Credential=A&Signature=b", "https://h/f?X-Amz-Credential=***&Signature=***"),
        ("root://h//f?authz=abc&xrd.wantprot=unix", "root://h//f?authz=***&xrd.wantprot=unix"),
        ("https://h/f?q=" + 30 * "x", "https://h/f?q=***"),
        ("https://h/f?access_token=1", "https://h/f?access_token=***"),
        ("https://h/a@b/f", "https://h/a@b/f"),
        ("s3://bucket/run=2012/f@x.root", "s3://bucket/run=2012/f@x.root"),
    ],
)  # fmt: skip
def test_secrets_are_not_shown(url: str, shown: str):
    assert redact(url) == shown
    assert has_secret(url) == (url != shown)
    message = f"cannot open '{url}': no"
    assert redact(message) == f"cannot open '{shown}': no"
