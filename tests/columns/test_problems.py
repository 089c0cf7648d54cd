from higgsdemo.columns import problems
from higgsdemo.errors import Cause, InputError


def test_each_says_where_and_blames_the_input():
    found = [
        problems.damaged("f.root", "why", branch="b", entry=3),
        problems.unreadable("f.root", "why"),
        problems.truncated("f.root", "why"),
        problems.not_root("f.root", "why"),
        problems.no_tree("f.root", "Events", []),
        problems.not_tree("f.root", "Events", "TH1D"),
        problems.no_branches("f.root", ["a"], ["b"]),
        problems.wrong_kind("f.root", "b", "a word", "a number"),
        problems.disagrees("f.root", "b", "n", 3, 9, 4, 5),
        problems.disagrees_at("f.root", "b", "n", 3),
        problems.negative("f.root", "n", 3, -1),
    ]
    for error in found:
        assert isinstance(error, InputError)
        assert error.cause is Cause.BAD_INPUT
        assert error.where.startswith("f.root")
        assert error.hint


def test_a_place():
    assert problems.damaged("f", "why", branch="b", entry=0).where == "f, branch b, entry 0"


def test_one_missing_branch():
    error = problems.no_branches("f.root", ["Muon_pt"], ["Muon_Pt", "run"])
    assert error.what == "missing branch: Muon_pt"
    assert error.nearest == ("Muon_Pt",)


def test_a_file_without_trees():
    assert problems.no_tree("f.root", "Events", []).why == "there is no tree in it"


def test_a_span_of_one_entry():
    assert "5 in entry 3, b has 4" in problems.disagrees("f", "b", "n", 3, 4, 4, 5).why
    assert "5 in entries 3 to 8, b has 4" in problems.disagrees("f", "b", "n", 3, 9, 4, 5).why
