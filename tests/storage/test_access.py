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
            "HIGGSDEMO_CONNECTIONS": "3",
            "HIGGSDEMO_STALL_S": "7.5",
            "HIGGSDEMO_STAGGER_S": "2",
            "HIGGSDEMO_SECRETS_DIR": "/secrets",
            "AWS_REGION": "eu-north-1",
            "EDITOR": "ed",
        }
    )
    assert (access.storage_host, access.authority) == ("s3.example.org", "/ca.pem")
    assert access.anonymous
    assert access.stage_in == StageIn(Path("/dev/shm"), 4 * 10**9)
    assert access.download_bytes_per_second == 500_000
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


@pytest.mark.parametrize("name", ["DOWNLOAD_MAX_KB", "CONNECTIONS", "STALL_S", "STAGGER_S"])
@pytest.mark.parametrize("text", ["many", "-1", "nan", "inf"])
def test_values_that_make_no_sense(name: str, text: str):
    with pytest.raises(UsageError, match=f"HIGGSDEMO_{name}"):
        Access.from_environment({f"HIGGSDEMO_{name}": text})


SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "the-secret-key-1",
    "AWS_SESSION_TOKEN": "the-session-token-1",
    "GS_SECRET_ACCESS_KEY": "the-hmac-key-1",
    "BEARER_TOKEN": "the-bearer-token-1",
}


def test_no_secret_is_shown():
    access = Access.from_environment(SECRETS)
    assert not any(secret in repr(access) for secret in SECRETS.values())
    said = access.scrub(f"no: {' '.join(SECRETS.values())} https://u:p@h/f")
    assert said == "no: *** *** *** *** https://***@h/f"


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
