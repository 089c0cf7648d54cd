"""The workflow from files to output: histograms, cutflow, sections, ranges, bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import reduce
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from higgsdemo.errors import InputError, UsageError
from higgsdemo.model import CHANNELS, Histogram, Output, merge_sections
from higgsdemo.workflows.h4l import AXES, SELECTIONS
from tests.workflows.builders import Event, process, random_events, select, write
from tests.workflows.test_default import FOUR


@pytest.fixture(scope="module")
def events() -> list[Event]:
    found = random_events(np.random.default_rng(30), 1500)
    return [
        replace(event, run=190645 + i // 600, section=1 + i // 100) for i, event in enumerate(found)
    ]


@pytest.fixture(scope="module")
def path(events: list[Event], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("events") / "events.root", events)


def joined(outputs: list[Output]) -> tuple[object, ...]:
    """What a merge of results gives."""
    return (
        sum(output.events for output in outputs),
        {
            key: reduce(Histogram.__add__, (output.histograms[key] for output in outputs))
            for key in outputs[0].histograms
        },
        {
            channel: [
                (steps[0][0], sum(count for _, count in steps))
                for steps in zip(*(output.cutflow[channel] for output in outputs), strict=True)
            ]
            for channel in outputs[0].cutflow
        },
        reduce(merge_sections, (output.sections_seen for output in outputs)),
        reduce(merge_sections, (output.sections_used for output in outputs)),
    )


@pytest.mark.parametrize("selection", SELECTIONS)
def test_histograms_hold_what_was_selected(events, path, selection):
    output = process(path, options={"selection": selection})
    found = select(events, selection)
    assert output.events == len(events)
    assert output.histograms.keys() == {f"{c}/{name}" for c in CHANNELS for name in AXES}
    for channel in CHANNELS:
        masses = [masses for (_, name), masses in found.masses.items() if name == channel]
        m_4l, m_z1, m_z2 = np.array(masses).T
        for name, axis in AXES.items():
            values = {"mZ1": m_z1, "mZ2": m_z2}.get(name, m_4l)
            assert output.histograms[f"{channel}/{name}"] == Histogram.of(axis, values)
        steps = output.cutflow[channel]
        assert steps[0] == ("all events", len(events))
        assert dict(steps[1:]) == found.steps[channel].counts
        assert steps[-1][1] == len(masses)


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("channel", CHANNELS)
def test_one_channel_alone_is_as_in_all(path, selection, channel):
    everything = process(path, options={"selection": selection})
    alone = process(path, options={"selection": selection}, channels=(channel,))
    assert alone.cutflow == {channel: everything.cutflow[channel]}
    assert alone.histograms == {
        key: histogram
        for key, histogram in everything.histograms.items()
        if key.startswith(f"{channel}/")
    }


def test_one_flavour_alone_reads_less(path):
    read = {channel: process(path, channels=(channel,)).bytes_read for channel in CHANNELS}
    assert read["4mu"] < 0.8 * read["2mu2e"]


def test_4e_reads_muons_only_where_both_kinds_abound(tmp_path):
    few = [event for event in random_events(np.random.default_rng(3), 2000)
           if len(event.muons) < 4 or len(event.electrons) < 4]  # fmt: skip
    path = write(tmp_path / "few.root", few)
    assert process(path, channels=("4e",)).bytes_read < 0.8 * process(path).bytes_read
    shared = write(tmp_path / "shared.root", [*few, Event(FOUR, FOUR)])
    output = process(shared, channels=("4e",))
    assert output.histograms == {
        key: histogram for key, histogram in process(shared).histograms.items() if "4e/" in key
    }
    steps = dict(output.cutflow["4e"])
    before = steps["four with SIP < 4, abs(dxy) < 0.5 cm, abs(dz) < 1 cm too"]
    assert steps["fewer than four good muons"] == before - 1


@pytest.mark.parametrize("selection", SELECTIONS)
def test_ranges_of_a_file_add_up_to_the_file(path, selection):
    settings = {"is_data": True, "options": {"selection": selection}}
    cuts = [0, 1, 700, 700, 1499, 1500]
    parts = [process(path, start=start, stop=stop, **settings) for start, stop in pairwise(cuts)]
    assert joined(parts) == joined([process(path, **settings)])


def test_files_of_a_task_add_up(path, events, tmp_path):
    other = write(tmp_path / "other.root", events[:300])
    both = process(path, other)
    assert joined([both]) == joined([process(path), process(other)])
    assert both.bytes_read >= process(path).bytes_read


def test_no_events_give_every_key_and_step(path, tmp_path):
    empty = process(write(tmp_path / "empty.root", []), is_data=True)
    full = process(path, is_data=True)
    assert empty.events == 0
    assert empty.histograms.keys() == full.histograms.keys()
    assert not any(histogram.total for histogram in empty.histograms.values())
    for channel, steps in full.cutflow.items():
        assert [label for label, _ in empty.cutflow[channel]] == [label for label, _ in steps]


def golden(folder: Path, **runs: list[list[int]]) -> str:
    path = folder / "certified.json"
    path.write_text(json.dumps({name.removeprefix("run"): spans for name, spans in runs.items()}))
    return str(path)


def test_sections_of_data_are_recorded(path):
    output = process(path, is_data=True)
    assert output.sections_seen == {190645: [[1, 6]], 190646: [[7, 12]], 190647: [[13, 15]]}
    assert output.sections_used == output.sections_seen
    simulated = process(path)
    assert simulated.sections_seen is simulated.sections_used is None


def test_certified_sections_are_applied_to_data_only(path, events, tmp_path):
    certified = golden(tmp_path, run190645=[[2, 3], [5, 99]], run190647=[[1, 13]])
    output = process(path, is_data=True, certified=certified)
    assert output.sections_seen == {190645: [[1, 6]], 190646: [[7, 12]], 190647: [[13, 15]]}
    assert output.sections_used == {190645: [[2, 3], [5, 6]], 190647: [[13, 13]]}
    kept = [event for event in events if event.section in (2, 3, 5, 6, 13)]
    found = select(kept)
    for channel in CHANNELS:
        steps = output.cutflow[channel]
        assert steps[:2] == (("all events", 1500), ("certified sections", 500))
        assert dict(steps[2:]) == found.steps[channel].counts
    simulated = process(path, certified=certified)
    assert simulated.histograms == process(path).histograms
    assert "certified sections" not in dict(simulated.cutflow["4mu"])


def test_certified_sections_of_everything_and_nothing(path, tmp_path):
    everything = golden(tmp_path, run190645=[[1, 99]], run190646=[[1, 99]], run190647=[[1, 99]])
    output = process(path, is_data=True, certified=everything)
    assert output.histograms == process(path).histograms
    assert dict(output.cutflow["4e"])["certified sections"] == 1500
    nothing = process(path, is_data=True, certified=golden(tmp_path))
    assert nothing.sections_used == {}
    assert dict(nothing.cutflow["4e"])["certified sections"] == 0
    assert not any(histogram.total for histogram in nothing.histograms.values())


@pytest.mark.parametrize("missing", [("run",), ("luminosityBlock",), ("run", "luminosityBlock")])
def test_certified_sections_need_run_and_section(events, tmp_path, missing):
    path = write(tmp_path / "bare.root", events[:50], leave_out=missing)
    with pytest.raises(InputError, match=", ".join(missing)) as caught:
        process(path, is_data=True, certified=golden(tmp_path, run1=[[1, 2]]))
    assert caught.value.where == str(path)
    assert process(path, is_data=True).sections_seen is None


def test_nan_is_refused(events, tmp_path):
    broken = list(events[:100])
    number = next(i for i in range(40, 100) if broken[i].electrons)
    first, *others = broken[number].electrons
    broken[number] = replace(broken[number], electrons=(replace(first, dz=np.nan), *others))
    path = write(tmp_path / "nan.root", broken)
    with pytest.raises(InputError, match="'Electron_dz' holds NaN") as caught:
        process(path)
    assert f"first in entry {number}" in caught.value.why
    assert process(path, channels=("4mu",)).events == 100  # not a branch that is used


def test_a_missing_branch_is_refused(events, tmp_path):
    path = write(tmp_path / "less.root", events[:20], leave_out=("Muon_dzErr",))
    with pytest.raises(InputError, match="Muon_dzErr"):
        process(path)
    assert process(path, channels=("4e",), options={"selection": "published"}).events == 20


def test_a_file_shorter_than_planned_is_refused(path):
    with pytest.raises(InputError, match="fewer entries than the task") as caught:
        process(path, start=1000, stop=1501)
    assert "it has 1500" in caught.value.why


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"channels": ("4mu", "4m")}, "unknown channel '4m'"),
        ({"channels": ()}, "no channels to fill"),
        ({"options": {"selection": "publised"}}, "does not take 'publised'"),
        ({"options": {"select": "default"}}, "no option 'select'"),
        ({"is_data": True, "certified": "/nowhere/golden.json"}, "cannot read the certified"),
    ],
)
def test_what_the_user_got_wrong(path, settings, words):
    with pytest.raises(UsageError, match=words):
        process(path, **settings)


def test_real_nanoaod(shared_data):
    path = shared_data / "nanoaod" / "nanoAOD_2015_CMS_Open_Data_ttbar.root"
    for selection in SELECTIONS:
        output = process(path, options={"selection": selection})
        assert output.events == 200
        assert not any(histogram.total for histogram in output.histograms.values())


def test_not_nanoaod(shared_data):
    with pytest.raises(InputError):
        process(shared_data / "nanoaod" / "uproot-HZZ.root")


def test_a_worker_imports_no_plotting_or_heavy_code():
    code = (
        "import sys; from higgsdemo.workflows import load; load('h4l');"
        "print([name for name in ('awkward', 'uproot', 'pyarrow', 'hist', 'boost_histogram',"
        " 'matplotlib', 'pydantic', 'rich', 'typer', 'numba', 'scipy') if name in sys.modules])"
    )
    # coverage of subprocesses would import more
    environment = {name: value for name, value in os.environ.items() if "COV" not in name}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "[]"
