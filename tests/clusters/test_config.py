"""The mappings that come with the project are what config/README.md says of them."""

import re
import tarfile
from pathlib import Path

import pytest

from higgsdemo.clusters.datasets import Resolved, resolve
from higgsdemo.clusters.mapping import read_mapping
from higgsdemo.plan.prices import read_prices

CONFIG = Path(__file__).resolve().parents[2] / "config"
NAMES = sorted(path.name for path in CONFIG.glob("*.json"))


@pytest.fixture(scope="module")
def indexes(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("indexes")
    with tarfile.open(shared_data / "file-indexes.tar.gz") as tar:
        tar.extractall(folder, filter="data")
    return folder / "file-indexes"


def found(name: str, indexes: Path) -> Resolved:
    return resolve(read_mapping(CONFIG / name), indexes)


def told(name: str) -> list[str]:
    """The cells of the table's row on a mapping."""
    table = (CONFIG / "README.md").read_text()
    (row,) = re.findall(rf"^\| `{re.escape(name)}` \|(.*)\|$", table, re.MULTILINE)
    return [cell.strip() for cell in row.split("|")]


def test_each_mapping_is_described() -> None:
    assert NAMES == ["demo-660-nodes.json", "full.json", "laptop.json", "minimal.json"]
    for name in NAMES:
        assert told(name)


@pytest.mark.parametrize("name", NAMES)
def test_files_and_clusters_are_as_told(name: str, indexes: Path) -> None:
    entries = read_mapping(CONFIG / name)
    resolved = found(name, indexes)
    clusters, _, files, *_ = told(name)
    assert len(resolved.owners) == int(files.replace(",", ""))
    assert int(clusters.split(" x ")[0]) == len(entries)
    assert resolved.repeated == ()
    assert set(resolved.owners.values()) == {entry.name for entry in entries}


def test_two_of_them_are_all_of_the_demo(indexes: Path) -> None:
    whole, dealt = found("full.json", indexes), found("demo-660-nodes.json", indexes)
    assert set(whole.owners) == set(dealt.owners)
    assert len(whole.owners) == 26_920
    assert {s.name for s in whole.samples.samples} == {s.name for s in dealt.samples.samples}
    sizes = [list(dealt.owners.values()).count(f"kubecon-demo-{number}") for number in range(10)]
    assert (min(sizes), max(sizes)) == (2689, 2714)


def test_prices_are_those_of_the_table() -> None:
    prices = read_prices()
    for name in ("minimal.json", "full.json", "demo-660-nodes.json"):
        entries = read_mapping(CONFIG / name)
        machines = prices.machines
        per_hour = sum(3 * each.nodes * machines[each.flavor].usd_per_hour for each in entries)
        assert told(name)[-1] == f"{per_hour:.0f} USD"


def test_the_bytes_of_the_laptop(indexes: Path) -> None:
    samples = found("laptop.json", indexes).samples.samples
    files = [file for sample in samples for file in sample.files]
    assert told("laptop.json")[3] == f"{sum(file.size_bytes or 0 for file in files) / 1e9:.1f} GB"
