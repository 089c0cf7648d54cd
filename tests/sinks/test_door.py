"""URLs of sinks."""

from pathlib import Path

import pytest

from higgsdemo.errors import Cause, UsageError
from higgsdemo.model import Failure
from higgsdemo.sinks import open_sink
from higgsdemo.storage.access import Access
from higgsdemo.storage.patience import Rate, upload_rate


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("rediz://h", "redis://"),
        ("http://h/x", "unknown kind of sink"),
        ("/a/folder", "named by a URL"),
        ("", "named by a URL"),
        ("s3:///key", "no bucket"),
        ("file://host/folder", "three slashes"),
        ("redis://h/x", "redis://HOST:PORT/DB"),
        ("redis://h:99999999/0", "redis://HOST:PORT/DB"),
        ("redis://", "redis://HOST:PORT/DB"),
        ("redis://h/0?ssl_cert_reqs=none", "redis://HOST:PORT/DB"),
    ],
)
def test_what_is_no_sink(url: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_sink(url)
    assert said in str(caught.value)


def test_secrets_of_a_wrong_url_are_not_repeated() -> None:
    for url in ("redis://me:hush/hush@h:x/0", "rediz://me:hush@h", "redis://me:hush@h/zero"):
        with pytest.raises(UsageError) as caught:
            open_sink(url)
        assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("file:///a%20b/c", "file:///a%20b/c"),
        ("FILE:/a", "file:///a"),
        ("redis://me:hu%40sh@h", "redis://h:6379/0"),
        ("rediss://:hush@[::1]:7/3", "rediss://[::1]:7/3"),
    ],
)
def test_what_is_shown_has_no_secret(url: str, shown: str) -> None:
    if url.startswith("redis"):
        pytest.importorskip("redis")
    with open_sink(url, access=Access()) as sink:
        assert sink.url == shown


def test_what_is_written_is_held_to_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """All sinks of a process share one limit, and take what they send from it before they do."""
    taken: list[int] = []
    monkeypatch.setattr(Rate, "take", lambda _, count: taken.append(count))
    access = Access(upload_bytes_per_second=1000.0)
    failure = Failure("0123456789abcdef", Cause.TRANSIENT, "busy", None, {})
    for _ in range(2):
        with open_sink(tmp_path.as_uri(), access=access) as sink:
            sink.deliver(failure, "r")
    (file,) = tmp_path.glob("r/results/*")
    assert taken == [file.stat().st_size] * 2
    with open_sink(tmp_path.as_uri(), access=Access()) as sink:
        sink.deliver(failure, "r")
    assert len(taken) == 2
    assert upload_rate(access) is upload_rate(Access(upload_bytes_per_second=1000.0))
