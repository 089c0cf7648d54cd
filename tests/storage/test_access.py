from pathlib import Path

import pytest

from higgsdemo.errors import UsageError
from higgsdemo.storage import Access
from higgsdemo.storage.access import StageIn


def test_everything_is_read_from_the_environment():
    access = Access.from_environment(
        {
            "HIGGSDEMO_STORAGE_HOST": "s3.example.org",
            "HIGGSDEMO_STORAGE_CA": "/ca.pem",
            "HIGGSDEMO_ANONYMOUS": "1",
            "HIGGSDEMO_STAGE_IN": "/dev/shm:4GB",
            "HIGGSDEMO_DOWNLOAD_MAX_KB": "500",
            "HIGGSDEMO_UPLOAD_MAX_KB": "20",
            "HIGGSDEMO_CONNECTIONS": "3",
            "HIGGSDEMO_STALL_S": "7.5",
            "HIGGSDEMO_STAGGER_S": "2",
            "HIGGSDEMO_SECRETS_DIR": "/secrets",
            "AWS_REGION": "eu-north-1",
            "EDITOR": "ed",
        }
    )
    assert (access.storage_host, access.authority) == ("https://s3.example.org", "/ca.pem")
    assert access.anonymous
    assert access.stage_in == StageIn(Path("/dev/shm"), 4 * 10**9)
    assert access.download_bytes_per_second == 500_000
    assert access.upload_bytes_per_second == 20_000
    assert (access.connections, access.stall_s, access.stagger_s) == (3, 7.5, 2)
    assert access.secrets == Path("/secrets")
    assert access.variables == (("AWS_REGION", "eu-north-1"),)


def test_nothing_set_is_fine_and_two_of_the_same_are_one():
    assert Access.from_environment({}) == Access()
    assert hash(Access.from_environment({"BEARER_TOKEN": "t"})) == hash(
        Access.from_environment({"BEARER_TOKEN": "t"})
    )


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("/dev/shm", StageIn(Path("/dev/shm"))),
        ("/dev/shm:500M", StageIn(Path("/dev/shm"), 500_000_000)),
        ("/data:1.5 GB", StageIn(Path("/data"), 1_500_000_000)),
        ("/odd:name", StageIn(Path("/odd:name"))),
        ("/odd:7:1000", StageIn(Path("/odd:7"), 1000)),
        ("", None),
    ],
)
def test_stage_in(text: str, stage: StageIn | None):
    assert Access.from_environment({"HIGGSDEMO_STAGE_IN": text}).stage_in == stage


@pytest.mark.parametrize(
    "name", ["DOWNLOAD_MAX_KB", "UPLOAD_MAX_KB", "CONNECTIONS", "STALL_S", "STAGGER_S"]
)
@pytest.mark.parametrize("text", ["many", "-1", "nan", "inf"])
def test_values_that_make_no_sense(name: str, text: str):
    with pytest.raises(UsageError, match=f"HIGGSDEMO_{name}"):
        Access.from_environment({f"HIGGSDEMO_{name}": text})


SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "the-secret-key-1",
    "AWS_SESSION_TOKEN": "the-session-token-1",
    "GS_SECRET_ACCESS_KEY": "the-hmac-key-1",
    "BEARER_TOKEN": "the-bearer-token-1",
    "HIGGSDEMO_SECRET_KEY": "the-option-key-1",
}


def test_no_secret_is_shown():
    access = Access.from_environment(SECRETS | {"HIGGSDEMO_ACCESS_KEY": "mine"})
    assert not any(secret in repr(access) for secret in SECRETS.values())
    said = access.scrub(f"no: {' '.join(SECRETS.values())} https://u:p@h/f")
    assert said == "no: *** *** *** *** *** https://***@h/f"


def test_mounted_secrets_are_read_anew(tmp_path: Path):
    access = Access.from_environment({"HIGGSDEMO_SECRETS_DIR": str(tmp_path)})
    assert access.secret("access-key") is None
    (tmp_path / "access-key").write_text("one\n")
    assert access.secret("access-key") == "one"
    (tmp_path / "access-key").write_text("two\n")
    assert access.secret("access-key") == "two"
    (tmp_path / "secret-key").mkdir()
    with pytest.raises(UsageError, match="mounted secret"):
        access.secret("secret-key")


def test_mounted_secrets_are_not_shown_either(tmp_path: Path):
    (tmp_path / "secret-key").write_text("the-mounted-key-1\n")
    (tmp_path / "bearer-token").mkdir()  # cannot be read: no reason to fail in a message
    access = Access.from_environment({"HIGGSDEMO_SECRETS_DIR": str(tmp_path)})
    assert access.scrub("he said the-mounted-key-1") == "he said ***"


def test_keys_given_come_before_those_mounted(tmp_path: Path):
    for name, value in (("access-key", "a"), ("secret-key", "s"), ("session-token", "t")):
        (tmp_path / name).write_text(value)
    mounted = {"HIGGSDEMO_SECRETS_DIR": str(tmp_path)}
    given = {"HIGGSDEMO_ACCESS_KEY": "b", "HIGGSDEMO_SECRET_KEY": "u"}
    assert Access.from_environment({}).keys() is None
    assert Access.from_environment(mounted).keys() == ("a", "s", "t")
    assert Access.from_environment(mounted | given).keys() == ("b", "u", None)
    with pytest.raises(UsageError, match="belong together"):
        Access.from_environment({"HIGGSDEMO_ACCESS_KEY": "b"})


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("minio:9000", "https://minio:9000"),
        ("http://127.0.0.1:8333/", "http://127.0.0.1:8333"),
        ("https://s3.example.org/store", "https://s3.example.org/store"),
        ("", None),
    ],
)
def test_storage_host(text: str, host: str | None):
    assert Access.from_environment({"HIGGSDEMO_STORAGE_HOST": text}).storage_host == host


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("htps://h", "did you mean: https://"),
        ("https://", "names no host"),
        ("https://h:port", "number of a port"),
        ("https://h:99999", "number of a port"),
        ("https://h:0", "port is 0"),
        ("https://h?x=1", "names no host alone"),
        ("https://two words", "names no host alone"),
        ("https://me:hush@h", "there is a secret in it"),
        ("https://me@h", "there is a secret in it"),
    ],
)
def test_what_is_no_storage_host(text: str, said: str):
    with pytest.raises(UsageError, match="not a storage host") as caught:
        Access.from_environment({"HIGGSDEMO_STORAGE_HOST": text})
    assert said in str(caught.value)
    assert "hush" not in str(caught.value)


def test_certificates_mounted_with_the_secrets_are_trusted(tmp_path: Path):
    mounted = {"HIGGSDEMO_SECRETS_DIR": str(tmp_path)}
    assert Access.from_environment(mounted).authority is None
    (tmp_path / "ca").write_text("-----BEGIN CERTIFICATE-----")
    assert Access.from_environment(mounted).authority == str(tmp_path / "ca")
    named = mounted | {"HIGGSDEMO_STORAGE_CA": "/ca.pem"}
    assert Access.from_environment(named).authority == "/ca.pem"
