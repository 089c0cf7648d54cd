"""Byte ranges from real servers, and from one where everything goes wrong."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from higgsdemo.errors import CredentialsError, InputError, TaskError, TransientError, UsageError
from higgsdemo.storage import Access, Source, open_source
from higgsdemo.storage.web import checksums
from tests.services.faults import (
    Changed,
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
from tests.services.http_files import HttpServer
from tests.storage.conftest import blob, publish

Make = Callable[..., Access]
Digest = Callable[[Source], str]


def patience(*faults: Fault) -> float:
    """How long to wait for a byte: short where none will come."""
    return 0.4 if any(isinstance(fault, Stall) for fault in faults) else 10.0


PASSING: dict[str, tuple[Fault, ...]] = {
    "503 burst": (Status(503), Status(503), Status(503)),
    "429 with Retry-After": (Status(429, retry_after=0.05),),
    "SlowDown": (slow_down(), slow_down()),
    "500": (Status(500),),
    "truncated": (Truncate(100), Truncate(0), Truncate(7000)),
    "reset": (Reset(), Reset(0), Reset(500)),
    "stalled headers": (Stall(1.0, after=-1),),
    "stalled body": (Stall(1.0, after=100),),
    "slow, but alive": (Trickle(100_000),),
    "length too long": (WrongLength(50),),
    "length too short": (WrongLength(-50),),
    "another range, said": (WrongRange(7),),
    "range ignored": (IgnoreRange(),),
    "redirected": (Redirect("/moved.root"),),
}


@pytest.mark.parametrize("number", [0, 1, 3], ids=["first", "second", "later"])
@pytest.mark.parametrize("faults_", PASSING.values(), ids=PASSING.keys())
def test_faults_that_pass_change_nothing(
    faults: FaultServer,
    access: Make,
    events: Path,
    digest: Digest,
    true_digest: str,
    faults_: tuple[Fault, ...],
    number: int,
):
    publish(events, faults.folder, "a.root")
    publish(events, faults.folder, "moved.root")
    (moved := faults.folder / "moved.root").touch()
    import os

    times = (faults.folder / "a.root").stat()
    os.utime(moved, ns=(times.st_atime_ns, times.st_mtime_ns))  # the same ETag: the same file
    faults.script("a.root", *number * [None], *faults_)
    with open_source(faults.url("a.root"), access=access(stall_s=patience(*faults_))) as source:
        assert digest(source) == true_digest
    assert any(entry.fault for entry in faults.requests("a.root"))


def test_faults_everywhere_all_the_time(
    faults: FaultServer, access: Make, events: Path, digest: Digest, true_digest: str
):
    publish(events, faults.folder, "a.root")
    kinds = [fault for row in PASSING.values() for fault in row if not isinstance(fault, Stall)]
    kinds = [fault for fault in kinds if not isinstance(fault, Redirect)]
    for seed in range(5):
        faults.scatter("a.root", *kinds, share=0.6, seed=seed, in_a_row=3)
        with open_source(faults.url("a.root"), access=access(tries=10)) as source:
            assert digest(source) == true_digest


LASTING: dict[str, tuple[Fault, type[TaskError], str]] = {
    "503": (Status(503), TransientError, "503"),
    "hours of Retry-After": (Status(503, retry_after=9000), TransientError, "9000 s"),
    "truncated": (Truncate(100), TransientError, "ended after 100 of"),
    "reset": (Reset(0), TransientError, "the connection broke"),
    "stalled": (Stall(1.0), TransientError, "no byte came for 0.4 s"),
    "another range": (WrongRange(7), TransientError, "instead of"),
    "too long": (WrongLength(50), TransientError, "announced"),
    "redirect loop": (Redirect("/a.root"), TransientError, "redirects"),
    "redirect to nowhere": (Redirect("file:///etc/passwd"), TransientError, "not the web"),
    "401": (Status(401), CredentialsError, "BEARER_TOKEN"),
    "403": (Status(403), CredentialsError, "no permission"),
    "expired token": (expired_token(), CredentialsError, "expired"),
    "404": (Status(404), InputError, "no such file"),
    "410": (Status(410), InputError, "no such file"),
    "400": (Status(400), InputError, "refuses"),
    "another ETag": (WrongEtag(), TransientError, "changed while it was read"),
    "another file": (Changed(b"root" + bytes(9000)), TransientError, "changed while it was read"),
    "gone to nothing": (Changed(b""), TransientError, "changed while it was read"),
}


@pytest.mark.parametrize(
    ("number", "fault", "kind", "says"),
    [
        pytest.param(number, *row, id=f"{name}, from request {number}")
        for name, row in LASTING.items()
        for number in (0, 2)
        # From the start it is another file, read whole.
        if number or not isinstance(row[0], WrongEtag | Changed)
    ],
)
def test_faults_that_last_end_in_their_cause(
    faults: FaultServer,
    access: Make,
    events: Path,
    digest: Digest,
    number: int,
    fault: Fault,
    kind: type[TaskError],
    says: str,
):
    publish(events, faults.folder, "a.root")
    faults.script("a.root", *number * [None], then=fault)
    url = faults.url("a.root")
    settings = access(tries=2, stall_s=patience(fault))
    with pytest.raises(TaskError) as caught, open_source(url, access=settings) as source:
        digest(source)
    assert type(caught.value) is kind
    assert says in str(caught.value)
    assert caught.value.where == url


def test_a_server_without_ranges_says_what_to_do(faults: FaultServer, access: Make):
    (faults.folder / "big").write_bytes(blob(100_000))
    faults.script("big", then=IgnoreRange())
    with pytest.raises(InputError, match="whole files only") as caught:
        open_source(faults.url("big"), access=access())
    assert "HIGGSDEMO_STAGE_IN" in (caught.value.hint or "")


def test_a_small_file_may_come_whole(faults: FaultServer, access: Make):
    (faults.folder / "small").write_bytes(b"x" * 100)
    faults.script("small", then=IgnoreRange())
    with open_source(faults.url("small"), access=access()) as source:
        assert (source.size, bytes(source.read([(90, 100)])[0])) == (100, b"x" * 10)


def test_empty_files(http_files: HttpServer, access: Make):
    (http_files.folder / "empty").write_bytes(b"")
    with open_source(http_files.url("empty"), access=access()) as source:
        assert source.size == 0
        assert source.read([(0, 0)]) == [b""]


def test_names_with_letters_of_urls(http_files: HttpServer, access: Make):
    for name in ("with space", "käse%20", "a+b=c"):
        (http_files.folder / name).write_bytes(b"content")
        with open_source(http_files.url(name), access=access()) as source:
            assert source.size == 7
    with open_source(f"{http_files.endpoint}/with space", access=access()) as source:
        assert source.size == 7


def test_an_unreachable_host_is_told_in_seconds(access: Make):
    began = time.monotonic()
    with pytest.raises(TransientError, match=r"cannot reach 127\.0\.0\.1:9: .* after 0\.\d s"):
        open_source("http://127.0.0.1:9/f", access=access())
    assert time.monotonic() - began < 5
    with pytest.raises(TransientError, match=r"no\.such\.host\.invalid:80: its name is not known"):
        open_source("http://no.such.host.invalid/f", access=access(tries=1))


@pytest.mark.parametrize(
    "url", ["http:///f", "http://host:port/f", "https://user:very-secret@host/f"]
)
def test_urls_that_are_none(url: str, access: Make):
    with pytest.raises(UsageError) as caught:
        open_source(url, access=access())
    assert "very-secret" not in str(caught.value)


@pytest.fixture
def guarded(tmp_path: Path, events: Path):
    with fault_server(tmp_path, token="token-1") as server:
        publish(events, server.folder, "a.root")
        yield server


def test_a_bearer_token_lets_in(guarded: FaultServer, access: Make):
    url = guarded.url("a.root")
    with pytest.raises(CredentialsError, match="BEARER_TOKEN_FILE"):
        open_source(url, access=access())
    with pytest.raises(CredentialsError) as caught:
        open_source(url, access=access({"BEARER_TOKEN": "token-of-another"}))
    assert "token-of-another" not in str(caught.value)
    with open_source(url, access=access({"BEARER_TOKEN": "token-1"})) as source:
        assert source.size > 0


def test_a_token_renewed_midway_is_taken_up(
    guarded: FaultServer, access: Make, digest: Digest, true_digest: str, tmp_path: Path
):
    file = tmp_path / "token"
    file.write_text("token-1")
    with open_source(
        guarded.url("a.root"), access=access({"BEARER_TOKEN_FILE": str(file)})
    ) as source:
        guarded.token = "token-2"
        file.write_text("token-2")
        assert digest(source) == true_digest


def test_a_token_that_ends_midway_stops(guarded: FaultServer, access: Make, digest: Digest):
    settings = access({"BEARER_TOKEN": "token-1"})
    with open_source(guarded.url("a.root"), access=settings) as source:
        guarded.token = "token-2"
        with pytest.raises(CredentialsError):
            digest(source)


def test_another_host_never_sees_the_token(
    faults: FaultServer, http_files: HttpServer, access: Make, monkeypatch: pytest.MonkeyPatch
):
    (http_files.folder / "there").write_bytes(b"x" * 50)
    (faults.folder / "here").write_bytes(b"x" * 50)
    faults.script("here", then=Redirect(http_files.url("there")))
    seen: list[str | None] = []
    answer = http_files.answer

    def spy(asked, entry):
        seen.append(asked.headers.get("authorization"))
        return answer(asked, entry)

    monkeypatch.setattr(http_files, "answer", spy)
    with open_source(faults.url("here"), access=access({"BEARER_TOKEN": "token-1"})) as source:
        assert source.size == 50
    assert seen == [None]


def test_a_lent_address_that_expired_is_asked_for_again(faults: FaultServer, access: Make):
    (faults.folder / "lent").write_bytes(blob(50_000))
    (faults.folder / "here").write_bytes(blob(50_000))
    import os

    os.utime(faults.folder / "lent", ns=(1, 1))
    os.utime(faults.folder / "here", ns=(1, 1))
    faults.script("here", Redirect("/lent"), Redirect("/lent"))
    faults.script("lent", None, Status(403))
    with open_source(faults.url("here"), access=access()) as source:
        assert bytes(source.read([(30_000, 50_000)])[0]) == blob(50_000)[30_000:]


def test_the_checksums_of_stores():
    md5, amazon = 32 * "a", {"x-amz-request-id": "1"}
    assert checksums({"etag": f'"{md5}"', **amazon}) == (f"md5:{md5}",)
    assert checksums({"etag": f'"{md5}-12"', **amazon}) == ()  # in several parts: no MD5
    assert checksums({"etag": f'"{md5}"'}) == ()  # any other server's ETag means nothing
    kms = {"x-amz-server-side-encryption": "aws:kms"}
    assert checksums({"etag": f'"{md5}"', **amazon, **kms}) == ()
    assert checksums({"x-goog-hash": "crc32c=4waSgw==,md5=AAAAAAAAAAAAAAAAAAAAAA=="}) == (
        "crc32c:e3069283",
        "md5:" + 32 * "0",
    )
