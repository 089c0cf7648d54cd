"""S3 on a real server that checks keys, and where keys come from."""

import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from higgsdemo.errors import CredentialsError, InputError, UsageError
from higgsdemo.storage import Access, Source, open_source
from higgsdemo.storage.aws import S3
from higgsdemo.storage.refusals import Reply
from higgsdemo.storage.sigv4 import Keys
from tests.services.faults import Status, fault_server, slow_down
from tests.services.s3 import S3Server

Make = Callable[..., Access]
Digest = Callable[[Source], str]


def keys_of(server: S3Server) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ACCESS_KEY_ID": server.readonly_access_key,
        "AWS_SECRET_ACCESS_KEY": server.readonly_secret_key,
    }


def test_the_same_result_as_from_disk(
    s3: S3Server, access: Make, events: Path, digest: Digest, true_digest: str
):
    bucket = s3.create_bucket()
    for key in ("a.root", "deep/with space/käse+%20=&.root"):
        s3.put(bucket, key, events.read_bytes())
        for url in (f"s3://{bucket}/{key}", f"s3/{bucket}/{key}"):
            with open_source(url, access=access(keys_of(s3))) as source:
                assert digest(source) == true_digest


def test_a_busy_store_is_waited_for(
    s3: S3Server, access: Make, events: Path, digest: Digest, true_digest: str, tmp_path: Path
):
    bucket = s3.create_bucket()
    s3.put(bucket, "a.root", events.read_bytes())
    with fault_server(tmp_path, upstream=s3.endpoint) as between:
        between.scatter("*", slow_down(), Status(500), share=0.5, seed=1)
        told = access({**keys_of(s3), "AWS_ENDPOINT_URL": between.endpoint})
        with open_source(f"s3://{bucket}/a.root", access=told) as source:
            assert digest(source) == true_digest


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong-secret-key"}, "the secret key is wrong"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "the access key is not known there"),
        ({"AWS_ACCESS_KEY_ID": ""}, "no keys for s3://"),
        ({"HIGGSDEMO_ANONYMOUS": "1"}, "no permission to read it"),
    ],
)
def test_wrong_keys(s3: S3Server, access: Make, changes: dict[str, str], says: str):
    bucket = s3.create_bucket()
    s3.put(bucket, "a", b"x")
    with pytest.raises(CredentialsError) as caught:
        open_source(f"s3://{bucket}/a", access=access(keys_of(s3) | changes))
    assert caught.value.what == says
    assert "wrong-secret-key" not in str(caught.value)
    assert s3.readonly_secret_key not in str(caught.value)


def test_a_wrong_clock(s3: S3Server, access: Make, monkeypatch: pytest.MonkeyPatch):
    bucket = s3.create_bucket()
    s3.put(bucket, "a", b"x")
    from higgsdemo.storage import sigv4

    class Late(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # noqa: ARG003
            return datetime(2020, 1, 1, tzinfo=UTC)

    monkeypatch.setattr(sigv4, "datetime", Late)
    with pytest.raises(CredentialsError, match="clock"):
        open_source(f"s3://{bucket}/a", access=access(keys_of(s3)))


def test_missing_buckets_and_files(s3: S3Server, access: Make):
    bucket = s3.create_bucket()
    with pytest.raises(InputError, match="no such file"):
        open_source(f"s3://{bucket}/none.root", access=access(keys_of(s3)))
    with pytest.raises(InputError, match="no such bucket"):
        open_source("s3://no-such-bucket-here/a.root", access=access(keys_of(s3)))
    for url in ("s3://bucket", "s3://bucket/", "s3:///key"):
        with pytest.raises(UsageError, match="s3://BUCKET/KEY"):
            open_source(url, access=access(keys_of(s3)))


def test_tls_with_an_authority_of_our_own(s3_tls: S3Server, access: Make):
    bucket = s3_tls.create_bucket()
    url = s3_tls.put(bucket, "a", b"content")
    with pytest.raises(CredentialsError, match="cannot prove who it is") as caught:
        open_source(url, access=access(keys_of(s3_tls)))
    assert "HIGGSDEMO_STORAGE_CA" in (caught.value.hint or "")
    assert s3_tls.certificates is not None
    trusted = access(keys_of(s3_tls), authority=str(s3_tls.certificates.authority))
    with open_source(url, access=trusted) as source:
        assert bytes(source.read([(0, 7)])[0]) == b"content"


def test_tls_asked_of_an_endpoint_without(s3: S3Server, access: Make):
    told = access(keys_of(s3) | {"AWS_ENDPOINT_URL": s3.endpoint.replace("http:", "https:")})
    with pytest.raises(CredentialsError, match="does not speak TLS"):
        open_source("s3://b/k", access=told)


def test_where_the_endpoint_comes_from(access: Make, tmp_path: Path):
    def address(variables: dict[str, str], **changes: object) -> str:
        return S3(access(variables, **changes)).address("s3://bucket/a b")

    assert address({}) == "https://bucket.s3.us-east-1.amazonaws.com/a%20b"
    assert address({"AWS_REGION": "eu-west-1"}).startswith("https://bucket.s3.eu-west-1.")
    assert address({"AWS_ENDPOINT_URL": "http://h:1/"}) == "http://h:1/bucket/a%20b"
    both = {"AWS_ENDPOINT_URL": "http://h:1", "AWS_ENDPOINT_URL_S3": "http://h:2"}
    assert address(both).startswith("http://h:2/")
    assert address(both, storage_host="s3.cern.ch") == "https://s3.cern.ch/bucket/a%20b"
    config = tmp_path / "config"
    config.write_text("[profile here]\nendpoint_url = http://h:3\nregion = x\n")
    profile = {"AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "here"}
    assert address(profile).startswith("http://h:3/")
    dots = S3(access()).address("s3://a.bucket.org/k")
    assert dots == "https://s3.us-east-1.amazonaws.com/a.bucket.org/k"


def test_where_keys_come_from(access: Make, tmp_path: Path):
    home = tmp_path / ".aws"
    home.mkdir()
    (home / "credentials").write_text(
        "[default]\naws_access_key_id = d\naws_secret_access_key = ds\n"
        "[other]\naws_access_key_id = o\naws_secret_access_key = os\naws_session_token = t\n"
    )
    assert S3(access()).keys() == Keys("d", "ds")
    assert S3(access({"AWS_PROFILE": "other"})).keys() == Keys("o", "os", "t")
    own = {"AWS_ACCESS_KEY_ID": "e", "AWS_SECRET_ACCESS_KEY": "es", "AWS_PROFILE": "other"}
    assert S3(access(own)).keys() == Keys("e", "es")
    (tmp_path / "access-key").write_text("m\n")
    (tmp_path / "secret-key").write_text("ms\n")
    mounted = access({**own, "HIGGSDEMO_SECRETS_DIR": str(tmp_path)})
    assert S3(mounted).keys() == Keys("m", "ms")


def test_the_end_of_a_session(access: Make):
    told = {
        "AWS_ACCESS_KEY_ID": "e",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_CREDENTIAL_EXPIRATION": "2030-01-02T03:04:05Z",
    }
    assert S3(access(told)).keys().expires == datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_an_unknown_profile_names_those_there_are(access: Make, tmp_path: Path):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text("[profile higgs]\nregion = x\n")
    with pytest.raises(UsageError) as caught:
        S3(access({"AWS_PROFILE": "higs"}))
    assert caught.value.nearest == ("higgs",)


def test_a_broken_file_of_settings_is_not_quoted(access: Make, tmp_path: Path):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text("my-secret-without-section\n")
    with pytest.raises(UsageError) as caught:
        S3(access())
    assert "my-secret" not in str(caught.value)


def test_keys_that_a_program_gives_are_renewed(
    s3: S3Server, access: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("botocore")
    program = tmp_path / "keys"
    program.write_text(
        "#!/bin/sh\necho once >> $0.log\n"
        f'echo \'{{"Version": 1, "AccessKeyId": "{s3.access_key}", '
        f'"SecretAccessKey": "{s3.secret_key}"}}\'\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    config = tmp_path / "config"
    config.write_text(f"[profile p]\ncredential_process = {program}\n")
    told = {"AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "p", "AWS_ENDPOINT_URL": s3.endpoint}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    url = s3.put(s3.create_bucket(), "a", b"content")
    with open_source(url, access=access(told)) as source:
        assert source.size == 7
    assert (tmp_path / "keys.log").read_text() == "once\n"


def test_a_bucket_is_followed_to_its_region(access: Make):
    store = S3(access({"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}))
    moved = Reply(301, "Moved", {"x-amz-bucket-region": "eu-south-2"}, "")
    assert store.renew(moved)
    assert "s3.eu-south-2." in store.address("s3://bucket/k")
    assert not store.renew(moved)


def test_a_session_that_ended_is_replaced_once_there_is_another(access: Make, tmp_path: Path):
    for name in ("access-key", "secret-key", "session-token"):
        (tmp_path / name).write_text("one")
    store = S3(access({"HIGGSDEMO_SECRETS_DIR": str(tmp_path)}))
    ended = Reply(400, "Bad Request", {}, "<Error><Code>ExpiredToken</Code></Error>")
    assert store.keys().token == "one"
    assert not store.renew(ended)
    (tmp_path / "session-token").write_text("two")
    assert store.renew(ended)
    assert store.keys().token == "two"
