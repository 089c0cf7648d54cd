import json
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from higgsdemo.catalog import load_set
from higgsdemo.catalog.certification import load_sections
from higgsdemo.catalog.indexes import LuminosityTable
from higgsdemo.catalog.luminosity import (
    Luminosity,
    SectionTable,
    integrated,
    intersection,
    processed_luminosity,
    read_section_table,
)
from higgsdemo.errors import UsageError
from higgsdemo.model import (
    Sample,
    SampleTotals,
    Sections,
    Totals,
    count_sections,
    merge_sections,
    sections_of,
)
from tests.model.sections import unpacked

BRILCALC = """\
#Data tag : v1 , Norm tag: None
#run:fill,ls,time,beamstatus,E(GeV),delivered(/ub),recorded(/ub),avgpu,source
194050:2621,52:52,05/13/12 02:33:24,STABLE BEAMS,4000,92142.5,88011,21.3,DT
194050:2621,53:53,05/13/12 02:33:47,STABLE BEAMS,4000,92000.0,87500,21.2,DT
194050:2621,54:0,05/13/12 02:34:10,STABLE BEAMS,4000,91000.0,0.0,21.1,DT
194051:2621,1:1,05/13/12 02:40:00,STABLE BEAMS,4000,90000.0,85000,20.9,DT
#Summary:
#nfill,nrun,nls,ncms,totdelivered(/ub),totrecorded(/ub)
#1,2,4,3,365142.5,260511.0
"""
LUMICALC = (
    "Run:Fill,LS,UTCTime,Beam Status,E(GeV),Delivered(/ub),Recorded(/ub),avgPU\r\n"
    "194050:2621,52:52,05/13/12 02:33:24,STABLE BEAMS,4000,92142.5,88011,21.3\r\n"
)


def table(tmp_path: Path, text: str, name: str = "lumi.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


def made(values: dict[tuple[int, int], tuple[float, float]]) -> SectionTable:
    keys = sorted(values)
    return SectionTable(
        np.array([run * 2**32 + section for run, section in keys], dtype=np.int64),
        np.array([values[key][0] for key in keys], dtype=np.float64),
        np.array([values[key][1] for key in keys], dtype=np.float64),
    )


def test_a_table_of_brilcalc(tmp_path: Path) -> None:
    read = read_section_table(table(tmp_path, BRILCALC))
    assert [(key >> 32, key & 0xFFFFFFFF) for key in read.keys.tolist()] == [
        (194050, 52),
        (194050, 53),
        (194050, 54),
        (194051, 1),
    ]
    assert read.recorded_pb.tolist() == pytest.approx([0.088011, 0.0875, 0.0, 0.085], rel=1e-15)
    assert read.delivered_pb.tolist() == pytest.approx([0.0921425, 0.092, 0.091, 0.09], rel=1e-15)


def test_a_table_of_lumicalc2(tmp_path: Path) -> None:
    read = read_section_table(table(tmp_path, LUMICALC))
    assert read.recorded_pb.tolist() == pytest.approx([0.088011])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_blanks_and_a_byte_order_mark(tmp_path: Path, end: str) -> None:
    text = "\ufeff" + BRILCALC.replace("\n", f" {end}{end}")
    assert read_section_table(table(tmp_path, text)).keys.size == 4


@pytest.mark.parametrize(
    ("unit", "factor"), [("/mb", 1e-9), ("/ub", 1e-6), ("/nb", 1e-3), ("/pb", 1), ("/fb", 1e3)]
)
def test_units_are_those_of_the_header(tmp_path: Path, unit: str, factor: float) -> None:
    text = f"#run:fill,ls,delivered({unit}),recorded(/pb)\n1:2,3:3,50,4\n"
    read = read_section_table(table(tmp_path, text))
    assert read.delivered_pb.tolist() == pytest.approx([50 * factor])
    assert read.recorded_pb.tolist() == [4]


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    text = '#run,recorded(/pb),note,ls,Delivered( /pb )\n7,1.5,"a, quoted: note",9,2.5\n'
    read = read_section_table(table(tmp_path, text))
    assert read.keys.tolist() == [7 * 2**32 + 9]
    assert (read.recorded_pb.tolist(), read.delivered_pb.tolist()) == ([1.5], [2.5])


def test_lines_in_any_order_and_again(tmp_path: Path) -> None:
    head, *lines = LUMICALC.splitlines() + BRILCALC.splitlines()[3:4]
    shuffled = "\n".join([head, *(line.removesuffix(",DT") for line in lines[::-1]), *lines[:1]])
    read = read_section_table(table(tmp_path, shuffled))
    assert (read.keys & 0xFFFFFFFF).tolist() == [52, 53]


def test_two_years_together(tmp_path: Path) -> None:
    one = table(tmp_path, BRILCALC, "2012.csv")
    other = table(tmp_path, LUMICALC.replace("194050", "160431"), "2011.csv")
    assert read_section_table([one, other]).keys.size == 5
    assert read_section_table([one, one]).keys.size == 4


def test_one_section_with_two_luminosities_is_refused(tmp_path: Path) -> None:
    other = table(tmp_path, BRILCALC.replace("87500", "87501"), "other.csv")
    with pytest.raises(UsageError, match="one luminosity section has two luminosities") as caught:
        read_section_table([table(tmp_path, BRILCALC), other])
    assert caught.value.why == "run 194050, section 53: 0.0875 and 0.087501 pb^-1 recorded"


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("", "no header that begins with run:fill", None),
        ("<html>\n", "no header that begins with run:fill", None),
        ("#Data tag\n1:1,2:2,3\n", "no header that begins with run:fill", None),
        ("#run:fill,ls,delivered(/ub),recorded(/ub)\n", "no luminosity section", 1),
        ("#run:fill,time,delivered(/ub),recorded(/ub)\n1:1,0,1,1\n", "no column 'ls'", 1),
        ("#run:fill,ls,delivered(/ub)\n1:1,1:1,1\n", "no column 'recorded'", 1),
        ("#run,ls,delivered,recorded\n1,1,1,1\n", "no column 'delivered'", 1),
        (
            "#run:fill,ls,delivered(hz/ub),recorded(hz/ub)\n1:1,1:1,1,1\n",
            "delivered(hz/ub): the unit is none of /mb, /ub, /nb, /pb, /fb",
            1,
        ),
        (BRILCALC.replace("87500", "many"), "'many'", 4),
        (BRILCALC.replace("87500", ""), "''", 4),
        (BRILCALC.replace("87500", "nan"), "nan is not a luminosity", 4),
        (BRILCALC.replace("87500", "1e999"), "inf is not a luminosity", 4),
        (BRILCALC.replace("53:53", "53:54"), "ls 53:54 names two luminosity sections", 4),
        (BRILCALC.replace("53:53", "x"), "x is not a number", 4),
        (BRILCALC.replace("53:53", "4294967296"), "4294967296 is not a number", 4),
        (BRILCALC.replace("53:53", "5" * 40), "5555 is not a number", 4),
        (BRILCALC.replace("194051:2621", "1-2"), "1-2 is not a number", 6),
        (BRILCALC.replace("194051:2621", "run 5"), "not a line of the table: 'run 5", 6),
        (BRILCALC[: BRILCALC.index(",85000")], "it has 6 columns, fewer than the header", 6),
        (BRILCALC + LUMICALC, "a second header has other columns", 10),
    ],
)
def test_what_is_not_such_a_table_is_refused(
    tmp_path: Path, text: str, said: str, line: int | None
) -> None:
    path = table(tmp_path, text)
    with pytest.raises(UsageError, match="not a table of luminosity by section") as caught:
        read_section_table(path)
    assert said in str(caught.value.why)
    assert caught.value.where == (str(path) if line is None else f"{path}:{line}")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the table"):
        read_section_table(tmp_path / "none.csv")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00root")
    with pytest.raises(UsageError, match="not a table"):
        read_section_table(tmp_path / "binary")
    with pytest.raises(UsageError, match="no table of luminosity by section is named"):
        read_section_table([])


def test_sections_without_an_entry_count_zero_and_are_listed(tmp_path: Path) -> None:
    read = read_section_table(table(tmp_path, BRILCALC))
    sections = {194050: [[50, 53], [60, 2**31 - 1]], 194051: [[1, 1]], 5: [[1, 2]], 6: []}
    got = integrated(read, sections)
    assert got.recorded_pb == pytest.approx(0.088011 + 0.0875 + 0.085, rel=1e-15)
    assert got.delivered_pb == pytest.approx(0.0921425 + 0.092 + 0.09, rel=1e-15)
    assert got.sections == 3
    assert got.missing == {5: [[1, 2]], 194050: [[50, 51], [60, 2**31 - 1]]}
    assert got.sections_missing == 2 + 2 + 2**31 - 60
    assert integrated(read, {}) == Luminosity(0.0, 0.0, 0, {})


def test_the_certified_ones_only(tmp_path: Path) -> None:
    read = read_section_table(table(tmp_path, BRILCALC))
    got = integrated(read, {194050: [[52, 54]], 194051: [[1, 1]]}, {194050: [[1, 52], [54, 99]]})
    assert (got.recorded_pb, got.sections, got.missing) == (pytest.approx(0.088011), 2, {})


spans = st.tuples(st.integers(0, 25), st.integers(0, 6)).map(lambda s: [s[0], s[0] + s[1]])
some_sections = st.dictionaries(st.integers(1, 3), st.lists(spans, max_size=5), max_size=3)
values = st.dictionaries(
    st.tuples(st.integers(1, 3), st.integers(0, 31)),
    st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(values, some_sections, some_sections, st.booleans())
def test_the_same_as_one_section_after_the_other(
    content: dict[tuple[int, int], tuple[float, float]],
    sections: Sections,
    certified: Sections,
    masked: bool,
) -> None:
    wanted = unpacked(sections) & (unpacked(certified) if masked else unpacked(sections))
    got = integrated(made(content), sections, certified if masked else None)
    found = wanted & content.keys()
    assert got.delivered_pb == math.fsum(content[key][0] for key in found)
    assert got.recorded_pb == math.fsum(content[key][1] for key in found)
    assert got.sections == len(found)
    assert unpacked(got.missing) == wanted - found
    assert got.missing == merge_sections(got.missing, {})  # sorted, joined


@settings(max_examples=200, deadline=None)
@given(some_sections, some_sections)
def test_the_intersection_is_that_of_sets(one: Sections, other: Sections) -> None:
    both = intersection(one, other)
    assert unpacked(both) == unpacked(one) & unpacked(other)
    assert both == intersection(other, one)
    assert both == (merge_sections(both, {}) or {})


def union(parts: Iterable[Sections]) -> Sections:
    together: Sections = {}
    for part in parts:
        for run, ranges in part.items():
            together.setdefault(run, []).extend(ranges)
    return merge_sections(together, {}) or {}


@pytest.fixture(scope="module")
def era(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SectionTable, LuminosityTable, dict[str, Sections]]:
    """The muon stream of Run2012B: its real files, luminosities and certified sections.

    The portal's table is not here, nor which file holds which sections. So each file is given
    some sections of the era, in turn, and its real luminosity is split between them: a table
    by section that is consistent with the real one by file.
    """
    path = shared_data / "lumi" / "cms_run2012b_doublemuparked_aod_22jan2013-v1.json"
    per_file = json.loads(path.read_text())
    (golden,) = (shared_data / "certification").glob("Cert_190456-208686*")
    certified = {
        run: spans for run, spans in load_sections(golden).items() if 193833 <= run <= 196531
    }
    pairs = np.array(sorted(unpacked(certified)))
    random = np.random.default_rng(2012)
    sections = {}
    lines = ["#run:fill,ls,time,beamstatus,E(GeV),delivered(/ub),recorded(/ub),avgpu,source"]
    for at, (url, ub) in enumerate(per_file.items()):
        mine = pairs[at :: len(per_file)]
        sections[url] = sections_of(mine[:, 0], mine[:, 1])
        shares = random.dirichlet(np.ones(len(mine))) * ub
        lines += [
            f"{run}:2600,{number}:{number},05/13/12 02:33:24,STABLE BEAMS,4000,"
            f"{share / 0.95!r},{share!r},21.3,DT"
            for (run, number), share in zip(mine.tolist(), shares.tolist(), strict=True)
        ]
    made_up = tmp_path_factory.mktemp("lumi") / "2012lumibyls.csv"
    made_up.write_text("\n".join(lines))
    return read_section_table(made_up), LuminosityTable(path), sections


def test_by_section_and_by_file_agree_for_each_file_and_in_all(
    era: tuple[SectionTable, LuminosityTable, dict[str, Sections]],
) -> None:
    by_section, by_file, sections = era
    everything = union(sections.values())
    for url, some in sections.items():
        got = integrated(by_section, some)
        recorded = by_file[url.removeprefix("root://eospublic.cern.ch/")]
        assert recorded is not None
        assert got.recorded_pb == pytest.approx(recorded, rel=1e-12, abs=1e-15)
        assert got.missing == {}
    total = integrated(by_section, everything)
    assert len(sections) == 2279
    assert total.recorded_pb == pytest.approx(4436.728455, rel=1e-9)
    assert total.sections == count_sections(everything) == by_section.keys.size > 20_000


def totals(**said: object) -> SampleTotals:
    sample = load_set("aod-2011-2012")["dmu_2012b"]
    fields = {"sample": sample, "events": 10**6, "tasks": 1, "tasks_planned": 2} | said
    return SampleTotals(**fields)  # type: ignore[arg-type]


def test_a_partial_run_beside_its_plan(
    era: tuple[SectionTable, LuminosityTable, dict[str, Sections]],
) -> None:
    by_section, by_file, sections = era
    done = list(sections)[::2]
    used = union(sections[url] for url in done)
    counted = math.fsum(by_file[url.removeprefix("root://eospublic.cern.ch/")] or 0 for url in done)
    muons = totals(
        sections_seen=used,
        sections_used=used,
        luminosity_pb=counted,
        luminosity_planned_pb=4436.728455,
    )
    (got,) = processed_luminosity(Totals("r", {"dmu_2012b": muons}), by_section)
    assert got.processed is not None
    assert got.processed.recorded_pb == pytest.approx(counted, rel=1e-12)
    assert 2000 < counted < 2500
    assert got.difference_pb == pytest.approx(0, abs=1e-9)
    assert got.planned_pb == 4436.728455
    assert not got.sparse
    assert len(got.lines()) == 3


def test_what_is_told_about_a_difference() -> None:
    table = made({(1, 1): (2.0, 1.5), (1, 2): (3.0, 2.5)})
    one = totals(
        events=20,
        sections_seen={1: [[1, 4]]},
        sections_used={1: [[1, 3]]},
        luminosity_pb=5.0,
        luminosity_planned_pb=10.0,
    )
    (got,) = processed_luminosity(Totals("r", {"mu": one}), table)
    assert got.difference_pb == -1.0
    assert (got.events_per_section, got.sparse) == (5.0, True)
    assert got.lines() == [
        "mu: 4 pb^-1 recorded (5 delivered) in 2 sections processed",
        "the plan counts 5 pb^-1 for the same tasks: difference -1 pb^-1 (-20.000%)",
        "planned in all: 10 pb^-1",
        "1 sections processed are not in the table and count 0, the first: run 1, 3 to 3",
        "5 events a section: sections without any were not seen, so this is a lower bound",
    ]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"sections_used": None}, "the input has no runs and luminosity sections"),
        ({"sections_used": None, "tasks": 0}, "nothing is done"),
        (
            {"sections_used": {1: [[1, 1]]}, "sample": Sample("mu", "data", (), demo=True)},
            "SIMULATED DEMO DATA, not in any table",
        ),
    ],
)
def test_where_it_is_not_known_it_says_why(said: dict[str, object], why: str) -> None:
    one = totals(luminosity_pb=5.0, **said)
    (got,) = processed_luminosity(Totals("r", {"mu": one}), made({}))
    assert (got.processed, got.counted_pb, got.difference_pb) == (None, 5.0, None)
    assert got.lines() == [f"mu: not known by section: {why}"]


def test_nothing_counted_and_nothing_used_is_no_division_by_zero() -> None:
    one = totals(events=0, sections_seen={}, sections_used={}, luminosity_pb=0.0)
    (got,) = processed_luminosity(Totals("r", {"mu": one}), made({}))
    assert (got.difference_pb, got.events_per_section, got.sparse) == (0.0, None, False)
    assert got.lines()[1].endswith("difference +0 pb^-1")


def test_simulation_has_no_luminosity() -> None:
    simulated = SampleTotals(load_set("nanoaod-2012")["ZZTo4mu"])
    assert processed_luminosity(Totals("r", {"zz": simulated}), made({})) == ()


def test_a_whole_year_is_read_in_seconds(tmp_path: Path) -> None:
    """250,000 lines, as many as a year has; a loop of Python over lines takes no longer."""
    line = ":2600,{0}:{0},05/13/12 02:33:24,STABLE BEAMS,4000,9.2142e4,8.8011e4,21.3,DT"
    lines = [line.format(number) for number in range(1, 501)]
    text = "\n".join(f"{run}{rest}" for run in range(190000, 190500) for rest in lines)
    path = table(tmp_path, BRILCALC.splitlines()[1] + "\n" + text)
    read = read_section_table(path)
    assert read.keys.size == 250_000
    got = integrated(read, {run: [[1, 500]] for run in range(190000, 190500)})
    assert got.recorded_pb == pytest.approx(250_000 * 0.088011, rel=1e-12)
