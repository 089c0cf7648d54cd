"""One small demo folder for all tests of the room."""

from dataclasses import dataclass
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from higgsdemo.simulation import Settings, generate


@dataclass(frozen=True)
class Demo:
    settings: Settings
    paths: list[Path]
    calls: list[tuple[str, int, int]]

    def arrays(self, name, *branches):
        with uproot.open(self.settings.output / f"{name}.root") as file:
            return file["Events"].arrays(list(branches) or None)

    def places(self, name):
        """(run, luminosityBlock, event) of every event."""
        columns = self.arrays(name, "run", "luminosityBlock", "event")
        return list(zip(*(columns[field].to_list() for field in columns.fields), strict=True))


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    settings = Settings(tmp_path_factory.mktemp("demo"), events_scale=0.01)
    calls = []
    paths = generate(settings, lambda *call: calls.append(call))
    return Demo(settings, paths, calls)


def content(path):
    """All branches of a file as plain numpy arrays, to compare two files bit by bit."""
    with uproot.open(path) as file:
        arrays = file["Events"].arrays()
    flat = {}
    for name in arrays.fields:
        column = arrays[name]
        flat[name] = np.asarray(ak.flatten(column) if column.ndim > 1 else column)
    return flat


def same(one, other):
    one, other = content(one), content(other)
    assert one.keys() == other.keys()
    return all(one[name].tobytes() == other[name].tobytes() for name in one)
