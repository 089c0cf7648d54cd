from pathlib import Path

import numpy as np
import pytest
import uproot

from higgsdemo.columns.rootfile import read_root_file
from higgsdemo.errors import InputError
from higgsdemo.storage import open_source
from tests.columns.files import random_events, write_events


def test_keys_as_uproot_sees_them(tmp_path: Path):
    path = tmp_path / "some.root"
    with uproot.recreate(path) as file:
        file["one"] = np.histogram([1.0])
        file["folder/two"] = "text"
        file["one"] = np.histogram([2.0, 3.0])
    with open_source(str(path)) as source, uproot.open(path) as other:
        file = read_root_file(source)
        found = {f"{key.name};{key.cycle}": key.kind for key in file.keys}
        assert found == other.classnames(recursive=False)
        assert file.find("one").cycle == 2
        assert file.find("two") is None
        assert b"text" not in file.content(file.find("one"))


def test_the_content_of_an_object(tmp_path: Path):
    for compression in ("none", "zlib", "lzma"):
        path = tmp_path / f"{compression}.root"
        write_events(path, *random_events(10), compression=compression)
        with open_source(str(path)) as source:
            file = read_root_file(source)
            key = file.find("Events")
            assert len(file.content(key)) == key.object_bytes


def test_files_of_other_sizes_than_their_header_says(tmp_path: Path):
    path = write_events(tmp_path / "events.root", *random_events(10))
    content = path.read_bytes()
    path.write_bytes(content + b"more")  # harmless, as to ROOT
    with open_source(str(path)) as source:
        assert read_root_file(source).stop == len(content)
    path.write_bytes(content[:-1])
    with open_source(str(path)) as source, pytest.raises(InputError) as caught:
        read_root_file(source)
    assert caught.value.what == "the file is truncated"
    assert f"it has {len(content) - 1} bytes, its header says {len(content)}" == caught.value.why


def test_a_directory_and_an_object_that_disagree(tmp_path: Path):
    path = write_events(tmp_path / "events.root", *random_events(10))
    content = bytearray(path.read_bytes())
    with open_source(str(path)) as source:
        key = read_root_file(source).find("Events")
    content[key.start + 3] ^= 1  # the length in the key of the object itself
    path.write_bytes(content)
    with open_source(str(path)) as source:
        file = read_root_file(source)
        found = file.find("Events")
        with pytest.raises(InputError, match="other sizes"):
            file.content(found)
