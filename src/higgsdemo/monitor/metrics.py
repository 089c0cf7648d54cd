"""The figures of a run for Prometheus: what a view says, told whenever it is asked for."""

from __future__ import annotations

import contextlib
import errno
import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from higgsdemo.errors import UsageError
from higgsdemo.monitor.view import View

if TYPE_CHECKING:
    from prometheus_client.core import Metric

Latest = Callable[[], View | None]

LOOPBACK = "127.0.0.1"
_NEXT = 20  # ports tried after one that is in use


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where metrics are served. `wanted` is the port that was asked for."""

    port: int
    wanted: int

    @property
    def url(self) -> str:
        """The address for Prometheus."""
        return f"http://{LOOPBACK}:{self.port}/metrics"

    @property
    def said(self) -> str:
        """What people should know."""
        if self.wanted in (0, self.port):
            return f"metrics: {self.url}"
        return f"metrics: {self.url} (port {self.wanted} is in use)"


def check_installed() -> None:
    """Raise UsageError if the package prometheus-client is missing."""
    try:
        importlib.import_module("prometheus_client")
    except ImportError as error:
        raise UsageError(
            "metrics need the package prometheus-client", hint="pip install 'higgsdemo[metrics]'"
        ) from error


@contextlib.contextmanager
def serve(latest: Latest, port: int) -> Iterator[Endpoint]:
    """Serve the figures of the `latest` view on the loopback interface while this is open.

    Port 0 is any free one; where `port` is in use, the next free one is taken. Raises UsageError
    if the package prometheus-client is missing, or the port may not be used.
    """
    check_installed()
    from prometheus_client import CollectorRegistry, start_http_server

    registry = CollectorRegistry()
    registry.register(_Figures(latest))
    server: Any = None
    for candidate in [port] if port == 0 else range(port, min(port + _NEXT, 65536)):
        try:
            server, thread = start_http_server(candidate, addr=LOOPBACK, registry=registry)
            break
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise UsageError(
                    f"metrics cannot be served on port {candidate}",
                    why=error.strerror,
                    hint="take a port of 1024 or more, or 0 for any free one",
                ) from error
    if server is None:
        raise UsageError(
            f"ports {port} to {candidate} are in use", hint="0 takes any free one: --metrics-port 0"
        )
    try:
        yield Endpoint(server.server_port, port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Figures:
    """A collector, as prometheus-client calls it."""

    def __init__(self, latest: Latest) -> None:
        self._latest = latest

    def describe(self) -> Iterable[Metric]:
        """Say nothing beforehand."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Give the figures of this moment."""
        view = self._latest()
        if view is not None:
            yield from figures(view)


def figures(view: View) -> Iterator[Metric]:
    """Yield the figures of a view as Prometheus metrics, each with the run as a label."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    run = view.run_id

    def gauge(name: str, text: str, *labels: str) -> Any:
        return GaugeMetricFamily(f"higgsdemo_{name}", text, labels=("run", *labels))

    about = gauge("run_info", "The run: its title, and whether it is simulated.", "title", "demo")
    about.add_metric([run, view.title, str(view.demo).lower()], 1)
    yield about
    tasks = gauge("tasks", "Tasks by state; the states add up to those planned.", "sample",
                  "state", "cause")  # fmt: skip
    files = gauge("files", "Input files wholly worked off, and planned.", "sample", "kind")
    luminosity = gauge("luminosity_inverse_picobarns", "Luminosity of the data that are in, and "
                       "planned.", "sample", "kind")  # fmt: skip
    events = CounterMetricFamily("higgsdemo_events", "Events read.", labels=("run", "sample"))
    for one in view.samples:
        counts = one.counts
        for state in ("done", "running", "queued"):
            tasks.add_metric([run, one.name, state, ""], getattr(counts, state))
        for cause, count in counts.failed.items():
            tasks.add_metric([run, one.name, "failed", cause], count)
        files.add_metric([run, one.name, "done"], one.files)
        files.add_metric([run, one.name, "planned"], one.files_planned)
        for kind, value in (("done", one.luminosity_pb), ("planned", one.luminosity_planned_pb)):
            if one.is_data and value is not None:
                luminosity.add_metric([run, one.name, kind], value)
        events.add_metric([run, one.name], one.events)
    yield from (tasks, files, luminosity, events)
    places = gauge("running_tasks", "Running tasks by cluster or host.", "place")
    for place, count in view.places.items():
        places.add_metric([run, place], count)
    yield places
    rates = view.rates
    for name, text, value in (
        ("event_rate_hertz", "Events read a second.", rates.events_per_s),
        ("task_rate_hertz", "Tasks done a second.", rates.tasks_per_s),
        ("file_rate_hertz", "Files worked off a second.", rates.files_per_s),
        ("input_rate_bytes_per_second", "Input worked off a second.", rates.bytes_per_s),
        ("rates_window_seconds", "The time over which rates are taken.", rates.window_s),
        ("left_seconds", "Estimated time to the end.", rates.left_s),
        ("cpu_efficiency_ratio", "CPU time over the time that tasks held cores.", rates.efficiency),
        ("alarms", "What should never happen, and did.", len(view.alarms)),
    ):
        if value is not None:
            one_gauge = gauge(name, text)
            one_gauge.add_metric([run], value)
            yield one_gauge
    significance = gauge("significance_sigma", "Local significance of the signal.", "kind")
    if view.history:
        latest = view.history[-1]
        for kind, sigma in (("expected", latest.expected), ("observed", latest.observed)):
            if sigma is not None:
                significance.add_metric([run, kind], sigma)
    yield significance
