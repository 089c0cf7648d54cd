from io import StringIO

from rich.console import Console

from higgsdemo.display.yields import yields_table
from higgsdemo.inference import normalise, yields
from higgsdemo.model import Totals
from tests.inference.builders import run, sample, totals_of


def printed(totals: Totals, *, terminal: bool = False, width: int = 80) -> str:
    out = StringIO()
    console = Console(file=out, force_terminal=terminal, width=width)
    console.print(yields_table(yields(normalise(totals))))
    return out.getvalue()


def rows(text: str) -> dict[str, list[str]]:
    whole = text.split("Events in 121")[0]
    return {line.split()[0]: line.split()[1:] for line in whole.splitlines() if line.strip()}


def test_numbers_in_a_pipe(whole: Totals) -> None:
    text = printed(whole)
    found = rows(text)
    assert found["data"] == ["52", "16", "34", "102"]
    assert found["ZZ"][-3:] == ["80.08", "±", "0.30"]
    assert found["Higgs"][-3:] == ["9.731", "±", "0.046"]
    assert found["background"][-3:] == ["83.99", "±", "1.92"]
    assert found["expected"][-3:] == ["93.72", "±", "1.92"]
    assert "Events in 121-130 GeV" in text
    assert "8.204 ± 0.042" in text


def test_plain_in_a_pipe_and_framed_in_a_terminal(whole: Totals) -> None:
    plain = printed(whole)
    assert "\x1b" not in plain
    assert not set(plain) & set("╭─│╰├┼")
    assert max(len(line.rstrip()) for line in plain.splitlines()) <= 80
    assert "…" not in plain
    framed = printed(whole, terminal=True)
    assert "╭" in framed
    assert "\x1b[" in framed


def test_demo_data_are_marked(demo: Totals) -> None:
    text = printed(demo)
    assert text.startswith("SIMULATED DEMO DATA")
    assert rows(text)["pseudo-data"][-1] == "82"


def test_only_data(only_data: Totals) -> None:
    found = rows(printed(only_data))
    assert found["data"][-1] == "102"
    assert "expected" not in found
    assert "background" not in found


def test_what_is_missing_is_said() -> None:
    text = printed(
        run(
            totals_of(sample("d", "data"), {"4mu": [1] * 37}),
            totals_of(sample("z", "zz"), {"4mu": [1] * 37}, generated=5),
        )
    )
    assert "not in the simulation: z (4mu): no cross section is known" in text
    assert "simulation not scaled to the data of d (4mu)" in text
