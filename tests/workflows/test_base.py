"""Finding workflows and checking their options."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from higgsdemo.errors import UsageError
from higgsdemo.workflows import Option, Workflow, check_options, load, names


def positive(value: str) -> str:
    if not value.isdigit():
        raise ValueError("not a whole number")
    return str(int(value))


@dataclass
class Counting:
    name: str = "counting"
    version: str = "1"
    title: str = "counts"
    formats: tuple[str, ...] = ("nanoaod",)
    options: dict[str, Option] = field(
        default_factory=lambda: {
            "mode": Option("fast", choices=("fast", "thorough"), help="how"),
            "depth": Option("3", parser=positive, help="a whole number"),
            "note": Option(""),
        }
    )

    def process(self, task, sources): ...


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path in which `installed` puts packages."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def installed(folder: Path, name: str, *entries: str) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[higgsdemo.workflows]\n" + "\n".join(entries))


def test_h4l_is_found_by_its_entry_point():
    workflow = load("h4l")
    assert "h4l" in names()
    assert isinstance(workflow, Workflow)
    assert workflow.name == "h4l"


def test_an_unknown_workflow_is_told_the_nearest():
    with pytest.raises(UsageError, match="unknown workflow 'h41'") as caught:
        load("h41")
    assert "h4l" in caught.value.nearest


def test_anyone_may_add_a_workflow(package: Path):
    (package / "elsewhere.py").write_text(Path(__file__).read_text())
    installed(package, "elsewhere", "counting = elsewhere:Counting")
    assert "counting" in names()
    assert load("counting").title == "counts"


def test_two_packages_claiming_one_name_are_refused(package: Path):
    installed(package, "one", "counting = one:Counting")
    installed(package, "two", "counting = two:Counting")
    with pytest.raises(UsageError, match="several packages") as caught:
        load("counting")
    assert caught.value.where == "one (one:Counting), two (two:Counting)"


def test_an_entry_point_that_is_no_workflow_is_refused(package: Path):
    installed(package, "wrong", "wrong = pathlib:Path")
    with pytest.raises(UsageError, match="is not a workflow"):
        load("wrong")


def test_an_error_inside_a_workflow_module_comes_through(package: Path):
    (package / "broken_workflow.py").write_text("1 / 0")
    installed(package, "broken", "broken = broken_workflow:Any")
    with pytest.raises(ZeroDivisionError):
        load("broken")


def test_options_are_filled_with_defaults():
    assert check_options(Counting(), {"depth": "007"}) == {
        "mode": "fast",
        "depth": "7",
        "note": "",
    }


def test_an_unknown_option_is_told_the_nearest():
    with pytest.raises(UsageError, match="no option 'dept'") as caught:
        check_options(Counting(), {"dept": "1"})
    assert caught.value.nearest[0] == "depth"
    assert "depth, mode, note" in (caught.value.hint or "")


@pytest.mark.parametrize(("name", "value"), [("mode", "thoroughly"), ("depth", "deep")])
def test_a_wrong_value_is_refused(name: str, value: str):
    with pytest.raises(UsageError, match=f"option '{name}' .* does not take '{value}'") as caught:
        check_options(Counting(), {name: value})
    if name == "mode":
        assert caught.value.nearest[0] == "thorough"
    else:
        assert caught.value.why == "not a whole number"
