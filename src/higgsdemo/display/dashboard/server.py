"""The web server of the dashboard: one page, one socket a browser, and nothing that changes a run.

Everything is local: the page's policy (CSP) lets a browser load from this server alone, and run no
code but its files.
"""

from __future__ import annotations

import asyncio
import functools
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.web import Application

from higgsdemo.display.dashboard import figures, handlers
from higgsdemo.display.dashboard.cost import Price
from higgsdemo.display.dashboard.feed import Feed
from higgsdemo.display.dashboard.follow import Follower
from higgsdemo.display.dashboard.sections import standing
from higgsdemo.ledger import Manifest, RunDirectory
from higgsdemo.monitor import Monitor, View
from higgsdemo.monitor.gathering import OpenSinks, Standing

PING_S = 20  # a dead tunnel is noticed, here
BEAT_S = 20  # and there: pages do not see pings, and of a run that has ended there is no news
APART_S = 0.1  # between two messages to a browser, at least


@dataclass(frozen=True)
class Door:
    """Who gets in: `token` where it is asked for; `origins` are HOST[:PORT] of proxies."""

    host: str
    port: int
    token: str | None = None
    origins: frozenset[str] = field(default_factory=frozenset)


class Dashboard:
    """A run on the web. `serve` runs until SIGINT or SIGTERM."""

    def __init__(
        self,
        run: RunDirectory,
        manifest: Manifest,
        door: Door,
        open_sinks: OpenSinks | None = None,
        *,
        monitor: Callable[[], Monitor] | None = None,
    ) -> None:
        self.run = run
        self.door = door
        self.feed = Feed()
        self.sockets: set[handlers.Live] = set()
        self.drawing = asyncio.Lock()  # matplotlib's settings are those of the whole process
        self.record = run.record
        self._price = Price.of(self.record)
        self._groups = tuple(dict.fromkeys(sample.group for sample in manifest.samples))
        self._demo = any(sample.demo for sample in manifest.samples)
        self._coming: View | None = None
        self._told = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._follower = Follower(
            run,
            open_sinks,
            monitor=monitor or (lambda: Monitor(run)),
            on_view=self._hear_view,
            on_standing=self._hear_standing,
        )

    async def serve(self, listening: socket.socket) -> None:
        """Serve at a socket that listens."""
        self._loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, stop.set)
        server = HTTPServer(self._application(), max_body_size=64 * 1024, no_keep_alive=False)
        server.add_sockets([listening])
        self._follower.start()
        beating = asyncio.ensure_future(self._beat())
        try:
            await stop.wait()
        finally:
            beating.cancel()
            for viewer in list(self.sockets):
                viewer.close(1001, "the server ends")
            server.stop()
            await asyncio.to_thread(self._follower.stop)
            await server.close_all_connections()

    def figures(self, look: figures.Look) -> dict[str, Any]:
        """Return the figures of a look, empty."""
        return {
            "spectrum": figures.spectrum(self._groups, look, demo=self._demo),
            "significance": figures.significance(look),
            "speed": figures.speed(look),
        }

    def _application(self) -> Application:
        return Application(
            handlers.routes(self),
            websocket_ping_interval=PING_S,
            websocket_ping_timeout=PING_S,
            websocket_max_message_size=16 * 1024,
            compress_response=True,
            serve_traceback=False,
            log_function=lambda _: None,
        )

    # -- from the threads of the follower --------------------------------------------------------

    def _hear_view(self, view: View) -> None:
        self._coming = view
        self._in_loop(self._take)

    def _hear_standing(self, said: Standing) -> None:
        self._in_loop(functools.partial(self._follow, said))

    def _in_loop(self, what: Any) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what)

    # -- in the loop -----------------------------------------------------------------------------

    def _follow(self, said: Standing) -> None:
        self.feed.extra["following"] = standing(said)
        self._tell_soon()

    def _take(self) -> None:
        view, self._coming = self._coming, None
        if view is None:
            return  # a later one was taken already
        self.feed.take(view)
        self.feed.extra["choices"] = {
            "channels": list(view.normalised.channels),
            "years": [year for year in view.normalised.years if year is not None],
            "variables": list(view.totals.variables) or [view.normalised.variable],
        }
        if self._price is not None:
            until = view.last if view.ended and view.last is not None else view.at
            cost = self._price.to_json(until, view.rates.left_s, ended=view.ended)
            self.feed.extra["cost"] = cost
        self._tell_soon()

    def _tell_soon(self) -> None:
        if not self._told and self._loop is not None:
            self._told = True
            self._loop.call_later(APART_S, self._tell)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            for viewer in list(self.sockets):
                viewer.beat()

    def _tell(self) -> None:
        self._told = False
        for viewer in list(self.sockets):
            viewer.push()
