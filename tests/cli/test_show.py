"""`plot`, `yields` and the end of `run`, on real CMS candidates and on demo data."""

from pathlib import Path
from typing import Any

import pytest

from higgsdemo.simulation import Settings, generate


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    generate(Settings(output=folder, events_scale=0.002, seed=3))
    return folder


def test_the_278_candidates_end_in_a_plot_of_real_data(higgsdemo: Any, shared_data: Path) -> None:
    said = higgsdemo("run", shared_data / "candidates", "--run", "real")
    assert said.status == 0, said.err
    for ending in ("png", "pdf", "svg"):
        assert Path(f"runs/real/plots/m4l.{ending}").stat().st_size > 5000
    assert "CMS" in Path("runs/real/plots/m4l.svg").read_text()
    assert "SIMULATED" not in said.out
    table = [line.split() for line in said.out.splitlines() if line.startswith("data")]
    assert table[0] == ["data", "52", "16", "34", "102"]
    assert table[1] == ["data", "3", "3", "6", "12"]


def test_demo_data_is_labelled_in_table_json_and_plot(higgsdemo: Any, demo: Path) -> None:
    said = higgsdemo("run", demo, "--run", "demo")
    assert said.status == 0, said.err
    assert "SIMULATED DEMO DATA" in said.out
    svg = Path("runs/demo/plots/m4l.svg").read_text()
    assert "SIMULATED DEMO DATA" in svg
    assert higgsdemo("yields", "demo", "--json").json["simulated_demo_data"] is True
    assert "signal strength" in said.out


def test_json_of_a_run_is_one_document(higgsdemo: Any, demo: Path) -> None:
    said = higgsdemo("run", demo, "--run", "demo", "--json", "--filter", "sample=SM*", "--no-plot")
    assert said.status == 0, said.err
    assert said.json["run"] == "demo"
    assert said.json["complete"] is True
    assert said.json["plots"] == []


def test_plot_writes_what_is_asked_for(higgsdemo: Any, demo: Path) -> None:
    higgsdemo("run", demo, "--run", "demo", "--no-plot")
    assert list(Path("runs/demo/plots").iterdir()) == []
    said = higgsdemo(
        "plot", "demo", "--variable", "mZ1", "--channel", "4mu", "--format", "png", "--json"
    )
    assert [Path(path).name for path in said.json["files"]] == ["mZ1-4mu.png"]
    assert Path(said.json["files"][0]).read_bytes().startswith(b"\x89PNG")
    elsewhere = higgsdemo("plot", "demo", "--output", "figures/mass", "--format", "svg")
    assert elsewhere.out.split() == ["figures/mass.svg"]


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (("--variable", "m4ll"), "m4l"),
        (("--channel", "4m"), "4mu"),
        (("--format", "pgn"), "png"),
    ],
)
def test_unknown_words_have_near_ones(
    higgsdemo: Any, demo: Path, words: tuple[str, str], nearest: str
) -> None:
    higgsdemo("run", demo, "--run", "demo", "--no-plot", "--filter", "group=higgs")
    said = higgsdemo("plot", "demo", *words)
    assert said.status == 2
    assert nearest in said.err.split("did you mean: ")[1]


def test_a_partial_run_is_normalised_and_says_so(higgsdemo: Any, demo: Path) -> None:
    """Half of the data is not there: the simulation is scaled to the half that is."""
    higgsdemo("run", demo, "--run", "all", "--no-plot")
    whole = higgsdemo("yields", "all", "--json").json
    (demo / "Run2012C_DoubleMuParked.root").rename(demo / "away")
    try:
        assert higgsdemo("run", demo, "--run", "part", "--skip-bad-files").status == 0
    finally:
        (demo / "away").rename(demo / "Run2012C_DoubleMuParked.root")
    part = higgsdemo("yields", "part", "--json").json
    assert part["complete"] is False
    assert part["skipped"] == ["Run2012C_DoubleMuParked.root"]
    share = 4436.728455 / (4436.728455 + 7132.244375)

    def higgs(document: Any, channel: str) -> float:
        (found,) = (
            one
            for one in document["entries"]
            if (one["group"], one["channel"]) == ("higgs", channel)
        )
        return sum(found["contents"])

    assert higgs(part, "4mu") == pytest.approx(share * higgs(whole, "4mu"), rel=1e-3)
    assert higgs(part, "4e") == pytest.approx(higgs(whole, "4e"))
    svg = Path("runs/part/plots/m4l.svg").read_text()
    assert "Run2012C_DoubleMuParked.root" in svg


def test_the_cutflow_shows_every_step(higgsdemo: Any, demo: Path) -> None:
    higgsdemo("run", demo, "--run", "demo", "--no-plot", "--filter", "sample=ZZTo4mu")
    said = higgsdemo("yields", "demo", "--cutflow")
    assert said.status == 0
    assert "all events" in said.out
    steps = higgsdemo("yields", "demo", "--json").json["cutflow"]["ZZTo4mu"]["4mu"]
    counts = [count for _, count in steps]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1] > 0


def test_what_is_not_known_is_not_zero(higgsdemo: Any, demo: Path) -> None:
    higgsdemo("run", demo, "--run", "demo", "--no-plot", "--filter", "sample=ZZTo4mu")
    zz = next(line for line in higgsdemo("yields", "demo").out.splitlines() if "ZZ" in line[:3])
    assert "0.00" not in zz
