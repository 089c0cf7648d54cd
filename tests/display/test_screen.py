"""The screen: everything in its place, at any size, whatever the names."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from higgsdemo.display.screen import Screen, bar, plain_line
from higgsdemo.errors import Cause
from higgsdemo.ledger import Counts, Problem
from higgsdemo.ledger.news import Refusals
from higgsdemo.monitor import Monitor, Rates, View
from tests.ledger.builders import failure_of, make_tasks, result_of
from tests.monitor.builders import new_run

HOSTILE = "\x1b]0;owned\x07\x1b[2J<b>[red]evil[/red]\u202e\r\n.root"


@pytest.fixture
def view(tmp_path: Path) -> View:
    """A run under way: 3 of 6 done, one failed, one running."""
    tasks = make_tasks(6)
    run = new_run(tmp_path, tasks)
    with run.ledger() as ledger, Monitor(run) as monitor:
        for task in tasks[:3]:
            ledger.deliver(result_of(task))
        ledger.fail(failure_of(tasks[3], Cause.BAD_INPUT, "the file is damaged"), again=False)
        ledger.start(tasks[4].id, "local process 7")
        monitor.refresh()
        view = monitor.refresh()
    return replace(view, rates=Rates(1.25e6, 3.0, 2.0, 5e7, 30.0, 75.0, 0.93))


def shown(view: View, width: int, height: int, *notes: str) -> list[str]:
    text = io.StringIO()
    console = Console(file=text, width=width, height=height, force_terminal=True, color_system=None)
    console.print(Screen(view, notes))
    return text.getvalue().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 36), (60, 16), (200, 60), (30, 10)])
def test_it_fits_and_says_what_matters(view: View, width: int, height: int) -> None:
    lines = shown(view, width, height, "nobody works on it")
    assert len(lines) <= max(height, 17)
    assert max(len(line) for line in lines) <= width
    text = "\n".join(lines)
    assert "nobody works on it" in text
    if width >= 80:
        assert "6 planned = 3 done + 1 failed (1 bad-input) + 1 running + 1 queued" in text
        assert "about 1 min 15 s left" in text
        assert "1.25 Mevents/s   2 files/s   400 Mb/s   93 % CPU   running: local 1" in text
        assert "1 bad-input (file cannot be read): the file is damaged, e.g. " in text
        assert "Run2012B_DoubleMuParked" in text
        assert "█" in text


def test_many_samples_are_joined_by_group(view: View) -> None:
    zz = view.samples[1]
    many = replace(view, samples=tuple(replace(zz, name=f"ZZ{i}") for i in range(40)))
    text = "\n".join(shown(many, 80, 24))
    assert "ZZ (40)" in text
    assert "ZZ39" not in text


def test_hostile_names_and_messages_change_nothing_on_the_terminal(view: View) -> None:
    evil = replace(
        view,
        run_id="r",
        title=HOSTILE,
        places={HOSTILE: 1},
        alarms=(HOSTILE,),
        problems=(Problem("bug", HOSTILE, 1, HOSTILE, HOSTILE * 10_000),),
        samples=tuple(replace(one, name=HOSTILE) for one in view.samples),
    )
    text = "\n".join(shown(evil, 200, 40, HOSTILE))
    assert not any(mark in text for mark in ("\x07", "\u202e", "\r", "\x1b]", "\x1b[2J"))
    assert "[red]evil[/red]" in text
    assert "\n" not in plain_line(evil)


def test_what_is_no_part_of_the_run_is_said_in_one_line(view: View) -> None:
    strange = replace(view, refusals=Refusals(7, (f"a/{HOSTILE}: of another version",) * 7, 2))
    text = "\n".join(shown(strange, 80, 24))
    assert text.count("refused, not part of this run: a/") == 1
    assert "more documents were refused" in text
    assert "a sink came back without what it held" in text
    assert "\x1b]" not in text
    assert "refused" not in "\n".join(shown(view, 80, 24))


def test_the_bar_shows_each_state_and_even_one_of_many() -> None:
    text = bar(Counts(26_920, 13_460, 1, 13_458, {"lost": 1}), 20)
    assert len(text.plain) == 20
    spans = [(span.end - span.start, span.style) for span in text.spans]
    assert [length for length, _ in spans] == [10, 1, 1, 8]
    assert len(bar(Counts(3, 3, 0, 0, {}), 7).plain) == 7
    assert len(bar(Counts(0, 0, 0, 0, {}), 7).plain) == 7


def test_a_line_for_a_pipe(view: View) -> None:
    assert plain_line(view).startswith(
        "6 planned = 3 done + 1 failed (1 bad-input) + 1 running + 1 queued, "
        "1.25 Mevents/s, 400 Mb/s, about 1 min 15 s left"
    )


def test_the_json_form_is_whole(view: View) -> None:
    document = json.loads(json.dumps(view.to_json()))
    assert document["failed"] == {"bad-input": 1}
    assert document["rates"]["efficiency"] == 0.93
    assert document["samples"]["ZZTo4mu"]["planned"] == 3
    assert document["problems"][0]["message"] == "the file is damaged"
