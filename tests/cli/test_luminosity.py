"""`yields` and `plot` with tables of luminosity, by section and by file: the whole program."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.catalog.certification import load_sections
from higgsdemo.catalog.indexes import LuminosityTable
from higgsdemo.catalog.names import logical_name
from higgsdemo.catalog.recorded import luminosity_by_file
from higgsdemo.ledger import create_run
from higgsdemo.model import Sample, Task, TaskFile
from tests.cli.conftest import Said
from tests.ledger.builders import ZZ, make_task, result_of

Higgsdemo = Callable[..., Said]
COUNT = 24
HEADER = "#run:fill,ls,time,beamstatus,E(GeV),delivered(/ub),recorded(/ub),avgpu,source"
DATA = Sample("dmu_2012b", "data", (), year=2012)
SPREAD = (0.5, 0.3, 0.2)  # of a file's luminosity over its sections


class Run:
    """Real files of the muon stream of Run2012B with their real luminosities; half are done.

    Which sections a file holds is not known here: each has three certified ones of the era.
    """

    def __init__(self, shared: Path, folder: Path) -> None:
        self.by_file = shared / "lumi" / "cms_run2012b_doublemuparked_aod_22jan2013-v1.json"
        whole = json.loads(self.by_file.read_text())
        # Some hold no certified section: no luminosity.
        real = [(url, ub) for url, ub in whole.items() if ub > 0][:COUNT]
        (golden,) = (shared / "certification").glob("Cert_190456-208686*")
        certified = [
            (run, section)
            for run, spans in sorted(load_sections(golden).items())
            if 193833 <= run <= 196531
            for low, high in spans
            for section in range(low, high + 1)
        ]
        lines, tasks, results = [HEADER], [], []
        for at, (url, ub) in enumerate(real):
            mine = certified[3 * at : 3 * at + 3]
            lines += [
                f"{run}:2600,{ls}:{ls},05/13/12 02:33:24,STABLE BEAMS,4000,{ub * share / 0.95!r},"
                f"{ub * share!r},21.3,DT"
                for (run, ls), share in zip(mine, SPREAD, strict=True)
            ]
            file = TaskFile(logical_name(url, "/"), url, 100)
            task = Task(DATA.name, (file,), events=2000, is_data=True)
            tasks.append(task)
            sections: dict[int, list[list[int]]] = {}
            for run, ls in mine:
                sections.setdefault(run, []).append([ls, ls])
            results.append(result_of(task, sections_seen=sections, sections_used=sections))
        self.by_section = folder / "2012lumibyls.csv"
        self.by_section.write_text("\n".join(lines))
        self.done = results[::2]
        self.done_pb = sum(ub for _, ub in real[::2]) * 1e-6
        simulated = [make_task(number, ZZ) for number in range(3)]
        self.made = create_run(
            folder / "runs", "half", record={}, samples=(DATA, ZZ), tasks=[*tasks, *simulated]
        )
        with self.made.ledger() as ledger:
            for result in [*self.done, *map(result_of, simulated)]:
                ledger.deliver(result)


@pytest.fixture
def run(shared_data: Path, tmp_path: Path) -> Run:
    return Run(shared_data, tmp_path)


def recorded(said: Said) -> dict[str, Any]:
    assert said.status == 0, said.err
    (one,) = said.json["recorded_luminosity"]
    return one  # type: ignore[no-any-return]


def test_by_section_and_by_file_agree_on_real_files(higgsdemo: Higgsdemo, run: Run) -> None:
    bare = higgsdemo("yields", "half", "--json")
    assert "recorded_luminosity" not in bare.json
    assert bare.json["data_of_unknown_luminosity"]
    both = ("--luminosity", run.by_section, "--luminosity", run.by_file)
    one = recorded(higgsdemo("yields", "half", *both, "--json"))
    assert one["by_section_pb"] == pytest.approx(run.done_pb, rel=1e-12)
    assert one["by_file_pb"] == pytest.approx(run.done_pb, rel=1e-12)
    assert (one["used_pb"], one["source"]) == (one["by_section_pb"], "section")
    assert (one["sections"], one["sections_missing"]) == (3 * COUNT // 2, 0)
    of_files = recorded(higgsdemo("yields", "half", "--luminosity", run.by_file, "--json"))
    assert (of_files["used_pb"], of_files["source"]) == (of_files["by_file_pb"], "file")
    said = higgsdemo("yields", "half", *both)
    assert "by section +0.000% of it" in said.out or "by section -0.000% of it" in said.out


def test_the_simulation_is_scaled_to_it(higgsdemo: Higgsdemo, run: Run) -> None:
    bare = higgsdemo("yields", "half", "--json").json
    with_it = higgsdemo("yields", "half", "--luminosity", run.by_section, "--json").json
    assert bare["data_of_unknown_luminosity"]
    assert not with_it["data_of_unknown_luminosity"]
    said = higgsdemo("plot", "half", "--luminosity", run.by_section, "--format", "svg", "--json")
    assert said.status == 0, said.err
    assert Path(said.json["files"][0]).exists()


def test_what_is_no_table(higgsdemo: Higgsdemo, run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    said = higgsdemo("yields", "half", "--luminosity", tmp_path / "x.csv")
    assert said.status == 2
    assert "not a table of luminosity by section" in said.err
    assert higgsdemo("yields", "half", "--luminosity", tmp_path / "none.json").status == 2


def test_a_part_of_a_file_has_the_share_of_its_events(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text(json.dumps({"root://h//eos/opendata/a.root": 8e6}))
    file = TaskFile("/eos/opendata/a.root", "/a.root", 100)
    parts = [
        Task("d", (file,), start=0, stop=300, events=300, is_data=True),
        Task("d", (file,), start=300, stop=400, events=100, is_data=True),
    ]
    table = [LuminosityTable(path)]
    assert luminosity_by_file(table, parts, {parts[0].id}) == {"d": 6.0}
    assert luminosity_by_file(table, parts, {one.id for one in parts}) == {"d": 8.0}
    unknown = dataclasses.replace(parts[1], events=None)
    assert luminosity_by_file(table, [parts[0], unknown], {parts[0].id}) == {}
    strange = Task("e", (TaskFile("b.root", "/b.root"),), is_data=True)
    assert luminosity_by_file(table, [strange], {strange.id}) == {}
