from dataclasses import replace

from higgsdemo.display.captions import (
    completeness_text,
    fit_text,
    luminosity_text,
    some,
    wrap,
)
from higgsdemo.inference import Fit, LeftOut, Luminosity, Share, fit, normalise
from higgsdemo.model import Totals

FB = "fb$^{-1}$"


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_luminosity_of_two_energies(whole: Totals) -> None:
    text = plain(luminosity_text(normalise(whole).luminosity.values()))
    assert text == f"2.3 {FB} (7 TeV), 11.6 {FB} (8 TeV)"


def test_years_of_one_energy_are_added_and_the_larger_stream_is_named() -> None:
    def one(channel: str, year: int, pb: float) -> Luminosity:
        return Luminosity(channel, year, 13.0, Share(pb, pb))

    found = luminosity_text([one("4mu", 2016, 1e3), one("4e", 2016, 1.5e3), one("4mu", 2017, 2e3)])
    assert plain(found) == f"3.5 {FB} (13 TeV)"


def test_little_luminosity_is_in_inverse_picobarns() -> None:
    assert luminosity_text([Luminosity("4mu", None, None, Share(31.14, 31.14))]) == "31.1 pb$^{-1}$"


def test_unknown_luminosity_is_not_called_zero() -> None:
    unknown = Luminosity("4mu", 2012, 8.0, Share(0.0, None), ("mine",))
    assert plain(luminosity_text([unknown])) == "8 TeV"


def test_complete_run(whole: Totals) -> None:
    assert completeness_text(normalise(whole)) == ["all 18 files"]


def test_run_in_progress(partial: Totals) -> None:
    files, luminosity, simulation, skipped = completeness_text(normalise(partial))
    assert files == "43 % of files: data 1030 of 1600, simulation 2100 of 5600"
    assert plain(luminosity) == (
        f"luminosity 2.3 of 2.3 {FB} (7 TeV); 4mu,2mu2e 4.3 of 11.6 {FB} (8 TeV); "
        f"4e 2.3 of 11.6 {FB} (8 TeV)"
    )
    assert simulation == "simulated events: 5 % of the least complete sample, ZZ4e12"
    assert skipped == r"5 files skipped: 0018A8E1.root, b.root, c_\$x_y\$.root, +2 more"


def test_what_is_not_in_the_stack_is_said(whole: Totals) -> None:
    late = replace(whole.samples["DY50TuneZ12"], generated_events=0.0)
    text = completeness_text(normalise(Totals("x", {**whole.samples, "DY50TuneZ12": late})))
    assert "not in the stack: DY50TuneZ12: no simulated event is in yet" in text


def test_unknown_luminosity_is_said(only_data: Totals) -> None:
    data = {name: replace(one, luminosity_pb=None) for name, one in only_data.samples.items()}
    text = completeness_text(normalise(Totals("x", data)))
    assert text == ["all 4 files", "luminosity unknown: DoubleMu12, DoubleE12, DoubleMu11, +1 more"]


def test_nearly_done_is_not_done(whole: Totals) -> None:
    late = replace(whole.samples["HZZ12"], files=9_999, files_planned=10_000)
    text = completeness_text(normalise(Totals("x", {**whole.samples, "HZZ12": late})))
    assert text[0].startswith("99 % of files")


def test_no_plan() -> None:
    assert completeness_text(normalise(Totals("none", {}))) == ["no files planned"]


def test_fit_in_words(whole: Totals) -> None:
    found = fit(normalise(whole))
    assert fit_text(found) == [
        "signal strength 0.85 +0.42 -0.35",
        "local significance 3.0 sigma (expected 3.3 sigma)",
    ]
    strength, significance = fit_text(found, mathtext=True)
    assert strength == r"signal strength $\mu$ = 0.85$^{+0.42}_{-0.35}$"
    assert significance == r"local significance 3.0$\sigma$ (expected 3.3$\sigma$)"


def test_no_fit_says_why() -> None:
    assert fit_text(Fit(reason="no data event is in yet", expected_significance=2.0)) == [
        "expected local significance 2.0 sigma",
        "signal strength not computed: no data event is in yet",
    ]


def test_fit_of_a_part_says_of_which() -> None:
    found = Fit(
        signal_strength=1.0,
        left_out=(LeftOut("4e", 2012, "late"), LeftOut("4mu", None, "late"), LeftOut("4e", 1, "x")),
    )
    assert fit_text(found)[-1] == "fit without 4e 2012, 4mu: late (and 1 more for other reasons)"


def test_lists_are_cut_and_dollars_are_no_mathtext() -> None:
    assert some(["a", "b", "c"]) == "a, b, c"
    assert some(["a", "b$", "c", "d"], 2) == r"a, b\$, +2 more"


def test_wrapped_lines_keep_their_exponents() -> None:
    assert wrap(f"1 {FB} 2 {FB}", 5) == [f"1 {FB}", f"2 {FB}"]
    assert wrap(r"a \$b c\$ 3$\sigma$", 9) == [r"a \$b c\$", r"3$\sigma$"]
