from pathlib import Path

import numpy as np
import pytest

from higgsdemo.columns.layout import Branch, Tree, boundaries, read_basket_header
from higgsdemo.columns.problems import Unfamiliar
from higgsdemo.columns.rootfile import read_root_file
from higgsdemo.columns.stream import Malformed
from higgsdemo.storage import open_source
from tests.columns.files import random_events, write_events


def tree_of(path: Path) -> Tree:
    with open_source(str(path)) as source:
        file = read_root_file(source)
        key = file.find("Events")
        return Tree(file.content(key), key.key_bytes)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return tree_of(write_events(tmp_path / "e.root", *random_events(100), basket_events=40))


def test_branches_of_numbers(tree: Tree):
    assert tree.entries == 100
    assert len(tree.branches) == 40
    listed = tree.branch("Muon_tightId")
    assert listed.counter == "nMuon"
    assert listed.dtype == np.bool_
    assert listed.edges.tolist() == [0, 40, 80, 100]
    assert (listed.starts > 0).all()
    assert not listed.embedded
    number = tree.branch("event")
    assert number.counter is None
    assert number.dtype == np.dtype(">u8")
    assert tree.boundaries == (0, 40, 80, 100)


def test_other_branches_are_unfamiliar(root_files: Path):
    leaves = tree_of(root_files / "counter-i-upper.root")
    for name in ("Fix_x", "Muon_a", "Muon_d32", "Muon_f16", "two"):
        with pytest.raises(Unfamiliar, match=name):
            leaves.branch(name)
    assert leaves.branch("Muon_pt").counter == "nMuon"
    vectors = tree_of(root_files / "vectors.root")
    with pytest.raises(Unfamiliar, match="Muon_pt is a TBranchElement"):
        vectors.branch("Muon_pt")


def test_embedded_baskets(root_files: Path):
    whole = tree_of(root_files / "embedded.root").branch("run")
    assert whole.edges.tolist() == [0, 2000]
    assert np.frombuffer(whole.embedded[0], ">i4").tolist() == [i // 100 for i in range(2000)]
    last = tree_of(root_files / "embedded-last.root").branch("run")
    assert last.edges.size > 10
    assert set(last.embedded) == {last.edges.size - 2}


def test_a_tree_of_a_branch_with_small_baskets_has_few_boundaries(root_files: Path):
    found = tree_of(root_files / "zlib-small-baskets.root")
    assert found.boundaries == (0, 1100, 2200, 3300, 4400, 5000)
    assert found.branch("nMuon").edges.size > 30
    unaligned = tree_of(root_files / "zlib-unaligned.root")
    assert unaligned.boundaries == (0, 5000)
    sizes = [unaligned.branch(name).edges.size for name in ("nMuon", "Muon_pt", "Muon_tightId")]
    assert min(sizes) > 2
    assert len(set(sizes)) == 3


def test_bytes_that_are_no_tree():
    with pytest.raises(Unfamiliar, match="the tree"):
        Tree(bytes(100), 40)
    with pytest.raises(Unfamiliar, match="version 3"):
        Tree(b"\x40\x00\x00\x02\x00\x03", 40)


def test_bytes_that_are_no_basket():
    for content in (b"", bytes(100), b"\xff" * 100):
        with pytest.raises(Malformed):
            read_basket_header(content)


def test_common_boundaries():
    def branch(*edges: int) -> Branch:
        none = np.zeros(0, np.int64)
        return Branch("b", np.dtype(">f4"), None, np.array(edges, np.int64), none, none)

    assert boundaries([], 7) == (0, 7)
    assert boundaries([], 0) == (0,)
    assert boundaries([branch(0, 3, 5, 9), branch(0, 5, 7, 9)], 9) == (0, 5, 9)
