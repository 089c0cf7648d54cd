"""Every fault as a bare client meets it, and the same in front of S3."""

import http.client
import os
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.services import sigv4
from tests.services.faults import (
    Changed,
    Corrupt,
    Fault,
    FaultServer,
    IgnoreRange,
    Redirect,
    Reset,
    Stall,
    Status,
    Trickle,
    Truncate,
    WrongEtag,
    WrongLength,
    WrongRange,
    expired_token,
    fault_server,
    slow_down,
)
from tests.services.s3 import S3Server

SIZE = 200_000
BODY = os.urandom(SIZE)


@dataclass
class Got:
    status: int
    body: bytes
    headers: dict[str, str]
    seconds: float


@pytest.fixture
def url(faults: FaultServer) -> str:
    (faults.folder / "a.root").write_bytes(BODY)
    return "/a.root"


def get(server: FaultServer, path: str = "/a.root", **headers: str) -> Got:
    """Ask once, on a connection of its own, and follow nothing."""
    begun = time.monotonic()
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as client:
        client.request("GET", path, headers=headers)
        answer = client.getresponse()
        body = answer.read()
        return Got(answer.status, body, dict(answer.headers), time.monotonic() - begun)


def test_without_a_script_all_goes_well(faults: FaultServer, url: str) -> None:
    assert get(faults).body == BODY
    assert faults.requests()[0].fault is None


def test_one_fault_a_request_in_order(faults: FaultServer, url: str) -> None:
    faults.script("a.root", Status(503), None, Status(429), then=Status(500))
    assert [get(faults).status for _ in range(5)] == [503, 200, 429, 500, 500]
    assert [entry.number for entry in faults.requests("a.root")] == [0, 1, 2, 3, 4]
    assert [bool(entry.fault) for entry in faults.requests()] == [True, False, True, True, True]
    faults.heal()
    assert get(faults).status == 200


def test_a_path_of_its_own_goes_before_all_paths(faults: FaultServer, url: str) -> None:
    faults.script("*", then=Status(500))
    faults.script("a.root")
    assert get(faults).status == 200
    assert get(faults, "/other").status == 500


def test_only_the_method_asked_for(faults: FaultServer, url: str) -> None:
    faults.script("a.root", Status(503), method="HEAD")
    assert get(faults).status == 200


def test_retry_after(faults: FaultServer, url: str) -> None:
    faults.script("a.root", slow_down(2), slow_down(), Status(429, "Mon, 23 Nov 2026 21:00:00 GMT"))
    answers = [get(faults) for _ in range(3)]
    said = [answer.headers.get("Retry-After") for answer in answers]
    assert said == ["2", None, "Mon, 23 Nov 2026 21:00:00 GMT"]
    assert b"<Code>SlowDown</Code>" in answers[0].body


def test_truncate(faults: FaultServer, url: str) -> None:
    faults.script("a.root", Truncate(1000))
    with pytest.raises(http.client.IncompleteRead) as cut:
        get(faults)
    assert cut.value.partial == BODY[:1000]
    assert faults.bytes_sent() == 1000
    faults.script("a.root", Truncate(-1))
    with pytest.raises(http.client.RemoteDisconnected):
        get(faults)


def test_reset(faults: FaultServer, url: str) -> None:
    faults.script("a.root", Reset(1000), Reset(0), Reset())
    for _ in range(3):
        with pytest.raises(ConnectionResetError, match="reset by peer"):
            get(faults)


def test_stall(faults: FaultServer, url: str) -> None:
    faults.script("a.root", Stall(0.3), Stall(0.3, after=1000), Stall(0.3, after=-1))
    for _ in range(3):
        got = get(faults)
        assert got.body == BODY
        assert got.seconds > 0.3
    assert get(faults).seconds < 0.3


def test_a_stall_does_not_outlive_the_server(tmp_path: Path) -> None:
    begun = time.monotonic()
    with fault_server(tmp_path) as server:
        (server.folder / "a.root").write_bytes(BODY)
        server.script("a.root", Stall(60, after=-1))
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=0.2)) as client:
            client.request("GET", "/a.root")
            with pytest.raises(TimeoutError):
                client.getresponse()
    assert time.monotonic() - begun < 10


def test_trickle(faults: FaultServer, url: str) -> None:
    faults.script("a.root", Trickle(20_000))
    got = get(faults, Range="bytes=0-9999")
    assert got.body == BODY[:10_000]
    assert 0.4 < got.seconds < 5


def test_wrong_length(faults: FaultServer, url: str) -> None:
    faults.script("a.root", WrongLength(+10), WrongLength(-10))
    with pytest.raises(http.client.IncompleteRead):
        get(faults)
    assert get(faults).body == BODY[:-10]


def test_wrong_range(faults: FaultServer, url: str) -> None:
    faults.script("a.root", WrongRange(5), WrongRange(5, honest=False))
    for said in ("bytes 105-204/200000", "bytes 100-199/200000"):
        got = get(faults, Range="bytes=100-199")
        assert (got.status, got.body) == (206, BODY[105:205])
        assert got.headers["Content-Range"] == said


def test_ignored_range(faults: FaultServer, url: str) -> None:
    faults.script("a.root", IgnoreRange())
    got = get(faults, Range="bytes=100-199")
    assert (got.status, got.body) == (200, BODY)
    assert "Content-Range" not in got.headers


def test_redirect_and_loop(faults: FaultServer, url: str) -> None:
    import urllib.request

    faults.script("elsewhere", then=Redirect("/a.root", 307))
    with urllib.request.urlopen(faults.url("elsewhere"), timeout=10) as answer:
        assert answer.read() == BODY
    faults.script("loop", then=Redirect("/loop"))
    with pytest.raises(urllib.error.HTTPError, match="infinite loop"):
        urllib.request.urlopen(faults.url("loop"), timeout=10)


def test_a_token_that_expires_midway(faults: FaultServer, url: str) -> None:
    faults.script("a.root", None, None, then=expired_token())
    answers = [get(faults) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 401, 401]
    assert "expired" in answers[3].headers["WWW-Authenticate"]


def test_a_file_that_changes_midway(faults: FaultServer, url: str) -> None:
    other = os.urandom(SIZE)
    faults.script("a.root", None, WrongEtag(), then=Changed(other))
    first, wrong, third = (get(faults, Range="bytes=0-99") for _ in range(3))
    assert first.body == wrong.body == BODY[:100]
    assert third.body == other[:100]
    assert len({got.headers["ETag"] for got in (first, wrong, third)}) == 3
    assert get(faults, **{"If-Match": first.headers["ETag"]}).status == 412


def test_one_wrong_byte(faults: FaultServer, url: str) -> None:
    faults.script("a.root", None, Corrupt(150))
    right, wrong = get(faults), get(faults)
    assert right.headers["ETag"] == wrong.headers["ETag"]
    assert [i for i in range(SIZE) if right.body[i] != wrong.body[i]] == [150]


def test_scattered_faults_are_the_same_each_time(faults: FaultServer, url: str) -> None:
    def statuses(seed: int) -> list[int]:
        faults.scatter("a.root", Status(503), Status(429), share=0.5, seed=seed, in_a_row=2)
        return [get(faults, Range="bytes=0-0").status for _ in range(30)]

    first = statuses(1)
    assert first == statuses(1) != statuses(2)
    assert {206, 429, 503} == set(first)
    assert "xxx" not in "".join("x" if status != 206 else "." for status in first)


@pytest.mark.parametrize("fault", [Truncate(10), Reset(10), WrongLength(1), slow_down()])
def test_a_user_who_tries_again_gets_it_all(faults: FaultServer, url: str, fault: Fault) -> None:
    faults.script("a.root", fault)
    bodies = []
    for _ in range(2):
        try:
            got = get(faults)
        except (OSError, http.client.HTTPException):
            continue
        if got.status == 200:
            bodies.append(got.body)
    assert bodies == [BODY]


# In front of S3.


def s3fs_through(server: FaultServer, s3: S3Server) -> Any:
    s3fs = pytest.importorskip("s3fs")
    return s3fs.S3FileSystem(
        key=s3.access_key,
        secret=s3.secret_key,
        client_kwargs={"endpoint_url": server.endpoint, "region_name": s3.region},
        config_kwargs={"retries": {"max_attempts": 4, "mode": "standard"}},
        skip_instance_cache=True,
    )


def test_signatures_stay_valid_in_front_of_s3(s3: S3Server, tmp_path: Path) -> None:
    with fault_server(tmp_path, upstream=s3.endpoint) as server:
        bucket = s3.create_bucket()
        files = s3fs_through(server, s3)
        files.pipe(f"{bucket}/a file.root", BODY)
        assert files.cat_file(f"{bucket}/a file.root", start=10, end=20) == BODY[10:20]
        assert s3.request("GET", f"/{bucket}/a file.root") == BODY
        assert server.requests(f"{bucket}/a file.root", "PUT")
        status, why = sigv4.request("GET", server.endpoint, f"/{bucket}/a", s3.access_key, "wrong")
        assert (status, b"SignatureDoesNotMatch" in why) == (403, True)


def test_slow_down_in_front_of_s3(s3: S3Server, tmp_path: Path) -> None:
    with fault_server(tmp_path, upstream=s3.endpoint) as server:
        bucket = s3.create_bucket()
        s3.put(bucket, "a", BODY)
        server.script("*", slow_down(), Reset(), Truncate(100))
        files = s3fs_through(server, s3)
        assert files.cat_file(f"{bucket}/a", start=0, end=SIZE) == BODY
        assert [bool(e.fault) for e in server.requests(method="GET")].count(True) == 3


def test_an_upload_whose_answer_is_lost_has_happened(s3: S3Server, tmp_path: Path) -> None:
    with fault_server(tmp_path, upstream=s3.endpoint) as server:
        bucket = s3.create_bucket()
        server.script("*", Reset(), method="PUT")
        with pytest.raises(OSError, match="reset by peer"):
            sigv4.request(
                "PUT", server.endpoint, f"/{bucket}/a", s3.access_key, s3.secret_key, b"1"
            )
        assert s3.request("GET", f"/{bucket}/a") == b"1"


def test_a_refused_upload_has_not_happened(s3: S3Server, tmp_path: Path) -> None:
    with fault_server(tmp_path, upstream=s3.endpoint) as server:
        bucket = s3.create_bucket()
        server.script("*", slow_down(), method="PUT")
        status, _ = sigv4.request(
            "PUT", server.endpoint, f"/{bucket}/a", s3.access_key, s3.secret_key, b"1"
        )
        assert status == 503
        with pytest.raises(OSError, match="404"):
            s3.request("GET", f"/{bucket}/a")
