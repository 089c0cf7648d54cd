"""URLs of sinks."""

import pytest

from higgsdemo.errors import UsageError
from higgsdemo.sinks import open_sink
from higgsdemo.storage.access import Access


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
