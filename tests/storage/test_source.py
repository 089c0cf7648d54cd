from pathlib import Path

from higgsdemo.storage import LocalSource, ReadsAhead, Source


def test_local_files_are_sources(tmp_path: Path):
    (tmp_path / "f").write_bytes(b"x")
    with LocalSource(tmp_path / "f") as source:
        found: Source = source
        assert isinstance(found, Source)
    assert not isinstance(object(), Source)
    assert not isinstance(LocalSource(tmp_path / "f"), ReadsAhead)
