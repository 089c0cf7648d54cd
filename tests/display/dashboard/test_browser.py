"""The page in a real browser: what it shows equals the ledger, and it recovers by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from higgsdemo.errors import Cause
from higgsdemo.inference import Normalised, normalise
from higgsdemo.ledger import Merger, RunDirectory
from higgsdemo.model import Failure, Histogram, Sample
from tests.display.dashboard.builders import (
    M4L,
    SAMPLES,
    Served,
    dashboard,
    deliver,
    make_run,
    results,
    tasks_of,
)
from tests.display.dashboard.conftest import Tab
from tests.display.dashboard.test_follow import push
from tests.services.fixtures import or_skip
from tests.services.redis import redis_server
from tests.sinks.conftest import use_redis

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("chromium")]
Open = Callable[..., Tab]
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def of_ledger(run: RunDirectory) -> Normalised:
    merger = Merger(run.manifest())
    with run.look() as ledger:
        merger.update(ledger)
    return normalise(merger.totals())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    run = make_run(tmp_path_factory.mktemp("runs"))
    deliver(run)
    return run


@pytest.fixture(scope="module")
def served(whole: RunDirectory) -> Iterator[Served]:
    with dashboard(whole) as one:
        yield one


def test_what_it_shows_is_the_ledger(served: Served, whole: RunDirectory, tab: Open) -> None:
    page = tab()
    page.go(served.url)
    truth = of_ledger(whole)
    inside = (M4L.edges[:-1] >= 121) & (M4L.edges[1:] <= 130)
    for key, channel in (("0", None), ("1", "4mu"), ("2", "4e"), ("3", "2mu2e")):
        page.page.keyboard.press(key)  # a channel by its key
        channels = None if channel is None else [channel]
        both = truth.spectrum(["higgs", "zz"], channels)
        data = truth.spectrum(["data"], channels).counts
        page.until("() => higgsdemo.plots.latest.channel", channel)
        page.until("() => higgsdemo.plots.columns.hover.data.reduce((a, b) => a + b)", data.sum())
        assert page.column("hover", "total") == pytest.approx(both.contents)
        assert page.column("data", "y") == data[data > 0].tolist()
        legend = page.legend()
        assert legend["data"] == [data.sum(), data[inside].sum()]
        higgs = truth.spectrum(["higgs"], channels).contents
        assert legend["higgs"] == pytest.approx([higgs.sum(), higgs[inside].sum()])
    assert "24 tasks = 24 done + 0 failed + 0 running + 0 queued · complete" in page.text("#counts")
    assert page.text("#files") == "24"
    assert page.text("#luminosity") == "8.0 fb⁻¹"
    seen = truth.spectrum(["data"]).counts[inside].sum()
    assert page.text("#window-data") == f"{seen} seen"
    page.until("() => /σ/.test(document.getElementById('observed').textContent)")
    # Nothing came from elsewhere, and nothing was refused by the page's own policy.
    assert page.requests
    assert [url for url in page.requests if f"//127.0.0.1:{served.port}/" not in url] == []
    assert page.errors == []


def test_scale_bins_zoom_reload(served: Served, tab: Open) -> None:
    page = tab()
    page.go(served.url)
    page.page.locator("#scale input[value=log]").check()
    page.until("() => higgsdemo.plots.models.y?.start > 0 && higgsdemo.plots.log")
    page.page.select_option("#merged", "2")
    page.until("() => higgsdemo.plots.latest.merged", 2)
    assert len(page.column("hover", "left")) == 19
    page.until("() => higgsdemo.plots.models['y-axis'].axis_label", "Events / 6 GeV")
    page.page.click("#zoom-signal")
    x = "() => [higgsdemo.plots.models.x.start, higgsdemo.plots.models.x.end]"
    assert page.page.evaluate(x) == [100, 150]
    page.page.click("#zoom-in")
    assert page.page.evaluate(x) == [110, 140]
    page.page.click("#zoom-reset")
    assert page.page.evaluate(x) == [70, 181]
    box = page.page.locator("#plot").bounding_box()  # a drag with the mouse zooms too
    page.page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 100)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 120, steps=5)
    page.page.mouse.up()
    page.until("() => higgsdemo.plots.zoomed")
    start, end = page.page.evaluate(x)
    assert 70 < start < end < 181
    page.page.reload()
    page.until("() => window.higgsdemo?.plots.latest?.merged", 2)  # the choice is in the address
    page.until("() => higgsdemo.plots.log")
    assert page.page.locator("#scale input[value=log]").is_checked()


def test_hover_tells_the_yields(served: Served, whole: RunDirectory, tab: Open) -> None:
    page = tab()
    page.go(served.url)
    box = page.page.locator("#plot").bounding_box()
    page.page.mouse.move(box["x"] + 0.55 * box["width"], box["y"] + 0.6 * box["height"])
    tip = page.page.locator(".bk-Tooltip")
    tip.wait_for()
    words = tip.evaluate("(e) => e.shadowRoot.textContent")
    found = re.search(r"([\d.]+) to ([\d.]+) GeV", words)
    assert found, words
    place = int(np.searchsorted(M4L.edges, float(found[1])))
    truth = of_ledger(whole)
    assert f"{truth.spectrum(['zz']).contents[place]:.2f}" in words
    assert f"{truth.spectrum(['higgs']).contents[place]:.2f}" in words


def test_the_half_finished_run_without_electrons(tmp_path: Path, tab: Open) -> None:
    """Normalised by hand: L x sigma / generated, of what is in; 4e has no luminosity."""
    run = make_run(tmp_path)
    first_half = {task.id for task in tasks_of()[: 2 * len(SAMPLES)]}
    made = results(tasks_of())
    with run.ledger() as ledger:
        for task in tasks_of():
            if task.id in first_half and task.sample != "DoubleElectron":
                ledger.deliver(made[task.id])
    samples = {sample.name: sample for sample in SAMPLES}

    def by_hand(*channels: str) -> np.ndarray:
        total = np.zeros(M4L.bins)
        for task in tasks_of():
            sample: Sample = samples[task.sample]
            if task.id not in first_half or sample.is_data:
                continue
            luminosity = 8000.0 / 2  # half of the muon stream's files
            generated = 4000.0 / 2
            weight = luminosity * (sample.cross_section_pb or 0) / generated
            for channel in channels:
                histogram = made[task.id].output.histograms.get(f"{channel}/m4l")
                if isinstance(histogram, Histogram):
                    total += weight * histogram.values
        return total

    with dashboard(run) as one:
        page = tab()
        page.go(one.url)
        assert page.column("hover", "total") == pytest.approx(by_hand("4mu", "2mu2e"))
        page.page.locator("#channel input[value='4mu']").check()
        page.until("() => higgsdemo.plots.latest.channel", "4mu")
        assert page.column("hover", "total") == pytest.approx(by_hand("4mu"))
        page.page.locator("#channel input[value='4e']").check()
        page.until("() => higgsdemo.plots.latest.channel", "4e")
        assert sum(page.column("hover", "total")) == 0
        assert "Nothing is in of DoubleElectron" in page.text("#missing")
        row = page.text("#samples tr[data-sample=DoubleElectron]")
        assert re.search(r"0 / 4\s+none\s+0 / 4,000\s+0.0 / 8000.0", row), row
        assert re.search(r"2 / 4\s+50 %", page.text("#samples tr[data-sample=DoubleMu]"))
        assert page.text("#luminosity") == "4.0 fb⁻¹"
        assert "of 8.0 fb⁻¹ at 8 TeV" in page.text("#luminosity-small")


def test_it_comes_back_after_kill_9(tmp_path: Path, tab: Open) -> None:
    run = make_run(tmp_path)
    deliver(run, "DoubleMu", "Higgs")
    page = tab()
    with dashboard(run) as one:
        port = one.port
        page.go(one.url, "&channel=4mu")
        assert page.text("#link") == "live"
        one.kill()
        page.until("() => document.getElementById('link').textContent", "reconnecting…")
    deliver(run, "ZZ4mu")
    with dashboard(run, "--port", port) as again:
        assert again.port == port
        page.until("() => document.getElementById('link').textContent", "live")
        page.until("() => /12 done/.test(document.getElementById('counts').textContent)")
        truth = of_ledger(run).spectrum(["higgs", "zz"], ["4mu"]).contents
        page.until("() => higgsdemo.plots.columns['stack-zz'].top.some((top) => top > 0.1)")
        assert page.column("hover", "total") == pytest.approx(truth)
        deliver(run)  # and it goes on by itself
        page.until("() => /24 done/.test(document.getElementById('counts').textContent)")


def test_it_goes_on_when_redis_was_killed_and_when_it_came_back_empty(
    tmp_path: Path, tab: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path)
    tasks = run.manifest().tasks
    counts = "document.getElementById('counts').textContent"
    following = "document.getElementById('follow').textContent"
    with or_skip(redis_server(tmp_path)) as server:
        url = use_redis(server, monkeypatch)
        push(url, run, tasks[:9])
        with dashboard(run, "--sink", url) as one:
            page = tab()
            page.go(one.url)
            page.until(f"() => {counts}.includes(' 9 done')")
            server.kill()
            page.until(f"() => {following}.includes('waiting for the sink')")
            assert page.text("#link") == "live"  # of the server, which is there
            assert " 9 done" in page.text("#counts")  # what is known is shown as before
            server.restart()
            push(url, run, tasks[9:15])
            page.until(f"() => {counts}.includes(' 15 done')")
            page.until(f"() => {following}.startsWith('collecting from')")
            assert not page.page.locator("#alarms").is_visible()
            server.restart(keep_data=False)
            push(url, run, tasks[15:])
            page.until(f"() => {counts}.includes('complete')")
            assert "came back without what it held" in page.text("#alarms")
            truth = of_ledger(run).spectrum(["higgs", "zz"]).contents
            page.until("() => higgsdemo.plots.columns['stack-zz'].top.some((top) => top > 0.1)")
            assert page.column("hover", "total") == pytest.approx(truth)
    with run.ledger() as ledger:
        made = results(tasks)
        assert dict(ledger.digests()) == {task.id: made[task.id].digest for task in tasks}


def test_hostile_names_are_text(tmp_path: Path, tab: Open) -> None:
    evil = Sample(HOSTILE, "zz", (), year=2012, cross_section_pb=1.0, generated_events=4000)
    run = make_run(tmp_path, samples=(*SAMPLES[:3], evil), title=HOSTILE)
    deliver(run, "DoubleMu", "Higgs")
    with run.ledger() as ledger:
        for task in tasks_of((evil,)):
            ledger.start(task.id, HOSTILE)
            if task.files[0].name.endswith("/0.root"):
                bug = Failure(task.id, Cause.BUG, f"{HOSTILE}\x1b[2J\x00", f"Traceback {HOSTILE}")
                ledger.fail(bug, again=False)
    with dashboard(run) as one:
        page = tab()
        page.go(one.url)
        assert HOSTILE in page.text("#title")
        assert HOSTILE in page.text("#samples")
        assert HOSTILE.partition("/")[0] in page.text("#places")
        assert f"{HOSTILE}\ufffd[2J\ufffd" in page.text("#problems")
        page.page.locator("#problems button").click()
        page.until("() => document.getElementById('detail').open")
        assert f"Traceback {HOSTILE}" in page.text("#detail")
        page.page.keyboard.press("Escape")
        page.page.fill("#text", "onerror")
        page.until("() => document.getElementById('found').textContent", "4 tasks")
        assert HOSTILE in page.text("#tasks")
        page.page.locator("#tasks .open").first.click()
        page.until("() => document.getElementById('detail').open")
        assert HOSTILE in page.text("#detail")
        assert page.page.evaluate("() => document.querySelectorAll('img, main script').length") == 0
        assert page.page.title() != "owned"
        assert [url for url in page.requests if url.endswith("/x")] == []


def test_the_ledger_is_searched_and_paged_on_the_server(served: Served, tab: Open) -> None:
    page = tab()
    page.go(served.url)
    page.page.locator("#text").scroll_into_view_if_needed()
    page.until("() => document.getElementById('found').textContent", "24 tasks")
    page.page.fill("#text", "zz4e 2.root")
    page.until("() => document.querySelectorAll('#tasks tbody tr').length", 1)
    page.page.locator("#tasks .open").click()
    page.until("() => document.getElementById('detail').innerText.includes('1 attempt')")
    page.page.get_by_text("Close", exact=True).click()
    page.page.fill("#text", "")
    page.page.select_option("#sample", "Higgs")
    page.until("() => document.getElementById('found').textContent", "4 tasks")
    page.page.locator("#tasks th button", has_text="task").first.click()
    page.until(
        "() => document.querySelector('[aria-sort]')?.getAttribute('aria-sort')", "ascending"
    )


def test_keyboard_presentation_and_themes(served: Served, tab: Open) -> None:
    page = tab()
    page.go(served.url)
    focused = "() => document.activeElement.id || document.activeElement.name"
    found = []
    for _ in range(12):
        page.page.keyboard.press("Tab")
        found.append(page.page.evaluate(focused))
    assert {"stage", "theme", "channel", "scale", "year", "merged", "variable"} <= set(found)
    outline = "() => getComputedStyle(document.activeElement).outlineStyle"
    assert page.page.evaluate(outline) != "none"  # one sees where one is
    page.page.evaluate("() => document.activeElement.blur()")
    page.page.keyboard.press("d")
    page.until("() => document.documentElement.dataset.theme", "dark")
    page.page.keyboard.press("p")
    page.until("() => document.body.classList.contains('stage')")
    size = "() => parseFloat(getComputedStyle(document.getElementById('observed')).fontSize)"
    assert page.page.evaluate(size) > 45  # px, of 1000: to be read from the last row
    assert page.page.evaluate("() => document.documentElement.scrollHeight <= innerHeight")
    page.page.keyboard.press("Escape")
    page.until("() => !document.body.classList.contains('stage')")
    unnamed = """() => [...document.querySelectorAll('button, select, input, [role=img]')].filter(
        (e) => !(e.textContent || e.getAttribute('aria-label') || e.closest('label'))).length"""
    assert page.page.evaluate(unnamed) == 0


def test_a_phone_needs_no_scrolling_sideways(served: Served, tab: Open) -> None:
    page = tab(viewport={"width": 390, "height": 844})
    page.go(served.url)
    assert page.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
