import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from higgsdemo.errors import HiggsdemoError, InputError, UsageError
from higgsdemo.storage import SCHEMES, Access, LocalSource, Source, open_source


@pytest.mark.parametrize("name", ["plain", "with space", "a%20b", "käse", "a#b?c", "a:b"])
def test_paths_and_file_urls(tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_bytes(b"content")
    for url in (str(path), path.as_uri(), path.as_uri().replace("//", "//localhost", 1)):
        with open_source(url) as source:
            assert isinstance(source, LocalSource)
            assert isinstance(source, Source)
            assert source.url == url
            assert bytes(source.read([(0, 7)])[0]) == b"content"


def test_short_file_urls_and_capitals(tmp_path: Path):
    path = tmp_path / "f"
    path.write_bytes(b"x")
    for url in (f"file:{path}", f"FILE://{path}"):
        with open_source(url) as source:
            assert source.size == 1


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "f").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    with open_source("f") as source:
        assert source.size == 1


def test_unknown_schemes_are_usage_errors():
    with pytest.raises(UsageError) as caught:
        open_source("fils:///data/f.root")
    assert caught.value.what == "unknown kind of URL: fils://"
    assert caught.value.nearest == ("file://",)
    assert all(f"{name}://" in caught.value.hint for name in SCHEMES)


def test_a_file_url_of_another_host():
    with pytest.raises(UsageError, match="three slashes"):
        open_source("file://data/f.root")


def test_a_missing_file_keeps_its_url(tmp_path: Path):
    url = (tmp_path / "not here").as_uri()
    with pytest.raises(InputError) as caught:
        open_source(url)
    assert caught.value.where == url


def test_every_scheme_is_lazy():
    """What a kind of storage needs is imported by its first file: workers start fast."""
    code = (
        "import sys, higgsdemo.storage as s; s.open_source(sys.argv[1]).close();"
        "heavy = {'XRootD', 'botocore', 'google', 'obstore', 'ssl', 'http', 'configparser'};"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))"
    )
    # Measured by itself: the coverage of subprocesses imports some of these too.
    alone = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    ran = subprocess.run(
        [sys.executable, "-c", code, __file__],
        capture_output=True,
        text=True,
        check=True,
        env=alone,
    )
    assert ran.stdout == "[]\n"


def test_no_secret_of_a_url_is_told(access: Callable[..., Access]):
    signed = "X-Amz-Credential=AK%2Fx&X-Amz-Signature=0123456789abcdef0123456789abcdef"
    for url in (f"http://127.0.0.1:9/f?{signed}", f"ftp://user:p4ssw0rd@h/f?{signed}"):
        with pytest.raises(HiggsdemoError) as caught:
            open_source(url, access=access(tries=1))
        told = f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
        assert not any(secret in told for secret in ("0123456789", "p4ssw0rd", "AK%2Fx"))
