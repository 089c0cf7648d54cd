"""The program as `pip install higgsdemo` gives it: without any extra."""

import subprocess
import sys
from pathlib import Path

import pytest

# What only extras bring; the environment of the tests has all of it.
EXTRAS = (
    *("bokeh", "botocore", "cernopendata_client", "google", "grpc", "hist", "IPython"),
    *("jupyterlab", "kubernetes", "obstore", "openstack", "panel", "prometheus_client"),
    *("pyarrow", "redis", "urllib3", "XRootD"),
)
WITHOUT = f"""
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from importlib import util
found = util.find_spec
util.find_spec = lambda name, *more: None if name in {EXTRAS!r} else found(name, *more)
from higgsdemo.cli.main import main
main()
"""


def without_extras(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *words],
        cwd=cwd, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_the_demo_needs_no_extra(tmp_path: Path) -> None:
    for words in (
        ("generate", "--output", "data", "--events-scale", "0.01"),
        ("run", "data", "--run", "one"),
        ("status", "one"),
        ("watch", "one"),
        ("yields", "one"),
        ("plan", "data"),
    ):
        said = without_extras(*words, cwd=tmp_path)
        assert said.returncode == 0, said.stderr
    assert (tmp_path / "runs" / "one" / "plots" / "m4l.png").is_file()


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("kubernetes", "submit --samples x.yaml --clusters a --image i --sink file:///s"),
        ("kubernetes", "prepare --clusters a --image i"),
        ("kubernetes", "cleanup --clusters a --yes"),
        ("metrics", "run x.yaml --metrics-port 0"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, extra: str, words: str) -> None:
    (tmp_path / "x.root").touch()
    (tmp_path / "x.yaml").write_text(
        "name: x\nsamples: [{name: s, group: higgs, year: 2012, cross_section_pb: 1, "
        "files: [x.root]}]\n"
    )
    said = without_extras(*words.split(), cwd=tmp_path)
    assert said.returncode == 2, said.stderr
    assert "Traceback" not in said.stderr
    assert f"higgsdemo[{extra}]" in said.stderr
    assert not (tmp_path / "runs").exists()
