import errno
import os
from pathlib import Path

import pytest

from higgsdemo.errors import Cause, InputError, TransientError
from higgsdemo.storage import LocalSource

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "f").write_bytes(CONTENT)
    return tmp_path / "f"


def test_reads_ranges_in_the_order_asked(path: Path):
    ranges = [(200_000, 200_010), (5, 5), (0, 300), (250, 1000), (255_990, 256_000)]
    with LocalSource(path) as source:
        assert source.size == len(CONTENT)
        assert [bytes(part) for part in source.read(ranges)] == [CONTENT[a:b] for a, b in ranges]
        assert source.read([]) == []


def test_counts_what_was_fetched(path: Path):
    with LocalSource(path) as source:
        assert (source.bytes_read, source.requests) == (0, 0)
        source.read([(0, 10), (1000, 1010), (200_000, 200_001)])
        assert (source.bytes_read, source.requests) == (1010 + 1, 2)


def test_a_file_that_ends_early_is_truncated(path: Path):
    with LocalSource(path) as source:
        for wanted in [(255_990, 256_001), (999_999, 999_999 + 5)]:
            with pytest.raises(InputError) as caught:
                source.read([wanted])
            assert caught.value.what == "the file is truncated"
            assert "256000" in caught.value.why or "999999" in caught.value.why
        os.truncate(path, 100)
        with pytest.raises(InputError, match="truncated"):
            source.read([(0, 200)])


@pytest.mark.parametrize("wrong", [(-1, 5), (9, 3)])
def test_impossible_ranges_are_bugs(path: Path, wrong):
    with LocalSource(path) as source, pytest.raises(ValueError, match="not a byte range"):
        source.read([wrong])


def test_reading_a_closed_file_is_a_bug(path: Path):
    source = LocalSource(path)
    source.close()
    source.close()
    with pytest.raises(ValueError, match="is closed"):
        source.read([(0, 1)])


def _refused(path: Path | str) -> InputError:
    with pytest.raises(InputError) as caught:
        LocalSource(path)
    assert caught.value.cause is Cause.BAD_INPUT
    return caught.value


def test_missing(tmp_path: Path):
    refused = _refused(tmp_path / "missing")
    assert refused.what == "cannot read the input: no such file"
    assert refused.where == str(tmp_path / "missing")
    assert refused.hint


def test_a_folder(tmp_path: Path):
    assert _refused(tmp_path).what == "cannot read the input: a folder, not a file"


def test_a_path_through_a_file(path: Path):
    assert "a part of the path is a file" in _refused(path / "more").hint


def test_a_pipe_is_refused_without_waiting(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    assert _refused(tmp_path / "pipe").what == "cannot read the input: not a regular file"


def test_links_in_a_circle(tmp_path: Path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "circle" in _refused(tmp_path / "loop").hint


def test_names_that_no_file_can_have(tmp_path: Path):
    assert "longer than" in _refused(tmp_path / ("x" * 300)).hint
    assert "not a path" in _refused(str(tmp_path / "a\0b")).what


def test_no_permission(path: Path, monkeypatch: pytest.MonkeyPatch):
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read anything
        _fail(monkeypatch, "open", errno.EACCES)
    assert _refused(path).what == "cannot read the input: no permission to read the file"


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENOMEM])
@pytest.mark.parametrize("call", ["open", "pread"])
def test_what_may_pass_is_transient(path: Path, monkeypatch, number: int, call: str):
    with LocalSource(path) as source:
        _fail(monkeypatch, call, number)
        with pytest.raises(TransientError) as caught:
            source.read([(0, 1)]) if call == "pread" else LocalSource(path)
        assert caught.value.cause is Cause.TRANSIENT
        assert caught.value.why == os.strerror(number)
        assert caught.value.where == str(path)
        monkeypatch.undo()
        assert bytes(source.read([(0, 1)])[0]) == b"\0"


def test_no_descriptor_is_left_open(path: Path, tmp_path: Path):
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("this system does not list the open files of a process")
    before = len(list(descriptors.iterdir()))
    for wrong in (tmp_path, tmp_path / "missing"):
        _refused(wrong)
    LocalSource(path).close()
    assert len(list(descriptors.iterdir())) == before


def _fail(monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    """Let the system call fail, as a disk does that this test has not got."""

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
