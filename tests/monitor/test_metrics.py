"""Figures for Prometheus, read as Prometheus reads them."""

import socket
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from higgsdemo.errors import Cause, UsageError
from higgsdemo.monitor import Background, Monitor
from higgsdemo.monitor.metrics import serve
from tests.ledger.builders import DATA, failure_of, make_tasks, result_of
from tests.monitor.builders import new_run


def scraped(url: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Metric to values of its labels, in the order of their names, to value."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60) as page:
        text = page.read().decode()
    return {
        family.name: {
            tuple(one.labels[name] for name in sorted(one.labels)): one.value
            for one in family.samples
        }
        for family in text_string_to_metric_families(text)
    }


def test_they_are_the_figures_of_the_view(tmp_path: Path) -> None:
    tasks = make_tasks(6)
    run = new_run(tmp_path, tasks, samples={"title": 'of "two"\nsamples \x1b[31m'})
    with run.ledger() as ledger, Monitor(run) as monitor, serve(monitor.latest, 0) as endpoint:
        assert endpoint.said == f"metrics: http://127.0.0.1:{endpoint.port}/metrics"
        assert scraped(endpoint.url) == {}  # nobody has looked yet
        monitor.refresh()
        for task in tasks[:3]:
            ledger.deliver(result_of(task))
        ledger.start(tasks[4].id, "geneva/job/1")
        ledger.fail(failure_of(tasks[3], Cause.LOST), again=False)
        view = monitor.refresh()
        found = scraped(endpoint.url)
    planned = sum(found["higgsdemo_tasks"].values())
    assert planned == view.counts.planned == 6
    assert found["higgsdemo_tasks"]["", "r", DATA.name, "done"] == 2
    assert found["higgsdemo_tasks"]["lost", "r", "ZZTo4mu", "failed"] == 1
    assert found["higgsdemo_events"]["r", DATA.name] == view.samples[0].events
    assert found["higgsdemo_running_tasks"] == {("geneva", "r"): 1}
    assert found["higgsdemo_event_rate_hertz"]["r",] == pytest.approx(view.rates.events_per_s)
    assert found["higgsdemo_run_info"] == {("false", "r", view.title): 1}


def test_a_port_in_use_gives_way_to_the_next_and_that_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with serve(lambda: None, port) as endpoint:
            assert port < endpoint.port <= port + 20
            assert f"(port {port} is in use)" in endpoint.said


def test_the_port_is_free_afterwards() -> None:
    with serve(lambda: None, 0) as endpoint:
        port = endpoint.port
    with socket.socket() as again:
        again.bind(("127.0.0.1", port))


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "prometheus_client", None)
    with pytest.raises(UsageError, match="prometheus-client") as told, serve(lambda: None, 0):
        pass
    assert told.value.hint == "pip install 'higgsdemo[metrics]'"


def test_a_run_is_followed_in_the_background(tmp_path: Path) -> None:
    tasks = make_tasks(2)
    run = new_run(tmp_path, tasks)
    with run.ledger() as ledger, Background(run, every_s=0.01) as latest:
        ledger.deliver(result_of(tasks[0]))
        while (view := latest()) is None or view.counts.done < 1:
            assert latest.error is None
